package main

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"geomill/plugins/internal/vector"
	"geomill/sdk/sdktest"
	"geomill/sdk/wire"
)

// countries returns the first few countries of the world.
func countries(t *testing.T, count int) vector.Layer {
	t.Helper()
	text, err := os.ReadFile("../../examples/data/countries.geojson")
	if err != nil {
		t.Fatal(err)
	}
	layer, err := vector.Document(text).Layer()
	if err != nil {
		t.Fatal(err)
	}
	return vector.Layer{Features: layer.Features[:count]}
}

func TestBuffersOfCountriesOverTheWire(t *testing.T) {
	t.Parallel()
	result := sdktest.Run(t, process(), map[string]any{"features": countries(t, 12), "distance": 20e3, "segments": 4})
	var document vector.Document
	result.Decode("result", &document)
	layer, err := document.Layer()
	if err != nil {
		t.Fatal(err)
	}
	if len(layer.Features) != 12 || string(layer.Features[0].ID) != `"242"` || !strings.Contains(string(layer.Features[0].Properties), "Fiji") {
		t.Errorf("%d features, the first is %s %s", len(layer.Features), layer.Features[0].ID, layer.Features[0].Properties)
	}
	if len(result.Progress) < 2 || result.Progress[len(result.Progress)-1].Percent < result.Progress[0].Percent {
		t.Errorf("progress %v", result.Progress)
	}
}

func TestDefaultsAreEightSegmentsAndNotDissolved(t *testing.T) {
	t.Parallel()
	result := sdktest.Run(t, process(), map[string]any{
		"features": json.RawMessage(`{"type":"MultiPoint","coordinates":[[0,0],[0.1,0]]}`), "distance": 1000,
	})
	var document vector.Document
	result.Decode("result", &document)
	layer, err := document.Layer()
	if err != nil {
		t.Fatal(err)
	}
	// Two regular polygons of 32 corners.
	want := 2 * 16 * math.Sin(math.Pi/16) * 1e6
	if off := math.Abs(layer.Area()/want - 1); off > 1e-4 {
		t.Errorf("area %g m², want %g m²", layer.Area(), want)
	}
}

func TestWrongInputsAreNamed(t *testing.T) {
	t.Parallel()
	point := json.RawMessage(`{"type":"Point","coordinates":[1,2]}`)
	tests := []struct {
		name    string
		inputs  map[string]any
		input   string
		message string
	}{
		{"no distance", map[string]any{"features": point}, "distance", "required"},
		{"no way to go", map[string]any{"features": point, "distance": 0}, "distance", "must not be 0"},
		{"too far", map[string]any{"features": point, "distance": 1e7}, "distance", "2000000"},
		{"a point cannot shrink", map[string]any{"features": point, "distance": -5}, "features", "shrinks"},
		{"latitude 99", map[string]any{"features": json.RawMessage(`{"type":"Point","coordinates":[1,99]}`), "distance": 5}, "features", "/coordinates"},
		{"65 segments", map[string]any{"features": point, "distance": 5, "segments": 65}, "segments", "64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := sdktest.Run(t, process(), test.inputs).Err
			var problem *wire.Problem
			if !errors.As(err, &problem) || problem.Kind != wire.InvalidInput || len(problem.Faults) != 1 {
				t.Fatalf("got %v, want one invalid input", err)
			}
			if f := problem.Faults[0]; f.Input != test.input || !strings.Contains(f.Pointer+" "+f.Message, test.message) {
				t.Errorf("got %+v, want %s and something about %q", f, test.input, test.message)
			}
		})
	}
}

func TestDismissingStopsBetweenFeatures(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := sdktest.Run(t, process(), map[string]any{"features": countries(t, 12), "distance": 20e3},
		sdktest.Context(ctx), sdktest.OnProgress(func(sdktest.Progress) { cancel() }))
	if !errors.Is(result.Err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", result.Err)
	}
}
