package main

import (
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

func layer(t *testing.T, name string) json.RawMessage {
	t.Helper()
	text, err := os.ReadFile("../../examples/data/" + name + ".geojson")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCountriesByZoneOverTheWire(t *testing.T) {
	t.Parallel()
	areas := map[string]float64{}
	for _, operation := range []string{"clip", "intersection", "difference", "union"} {
		result := sdktest.Run(t, process(), map[string]any{"a": layer(t, "countries"), "b": layer(t, "zones"), "operation": operation})
		var document vector.Document
		var count int
		var area float64
		result.Decode("result", &document)
		result.Decode("count", &count)
		result.Decode("area", &area)
		pieces, err := document.Layer()
		if err != nil {
			t.Fatal(err)
		}
		if len(pieces.Features) != count || math.Abs(pieces.Area()-area) > 1e-9*area {
			t.Errorf("%s: count %d and area %g for %d features of %g m²", operation, count, area, len(pieces.Features), pieces.Area())
		}
		areas[operation] = area
	}
	// The zones cover the globe: all land is in them, and their union is it.
	const land, globe = 1.4736321e14, 5.10065622e14
	for operation, want := range map[string]float64{"clip": land, "intersection": land, "difference": 0, "union": globe} {
		if math.Abs(areas[operation]-want) > 1e-6*globe {
			t.Errorf("%s: %g m², want %g", operation, areas[operation], want)
		}
	}
}

func TestWrongInputsAreNamedTogether(t *testing.T) {
	t.Parallel()
	bad := json.RawMessage(`{"type":"Point","coordinates":[1,99]}`)
	err := sdktest.Run(t, process(), map[string]any{"a": bad, "b": bad, "operation": "clip"}).Err
	var problem *wire.Problem
	if !errors.As(err, &problem) || problem.Kind != wire.InvalidInput || len(problem.Faults) != 2 {
		t.Fatalf("got %v, want two invalid inputs", err)
	}
	for i, input := range []string{"a", "b"} {
		if f := problem.Faults[i]; f.Input != input || f.Pointer != "/coordinates" {
			t.Errorf("got %+v, want %s and its coordinates", f, input)
		}
	}
}

func TestALayerThatDoesNotFitTheOperationIsNamed(t *testing.T) {
	t.Parallel()
	point := json.RawMessage(`{"type":"Point","coordinates":[1,2]}`)
	for _, test := range []struct{ operation, input, message string }{
		{"clip", "b", "areas"}, {"erase", "operation", "clip"},
	} {
		err := sdktest.Run(t, process(), map[string]any{"a": layer(t, "zones"), "b": point, "operation": test.operation}).Err
		var problem *wire.Problem
		if !errors.As(err, &problem) || len(problem.Faults) != 1 ||
			problem.Faults[0].Input != test.input || !strings.Contains(problem.Faults[0].Message, test.message) {
			t.Errorf("%s: got %v, want %s and something about %q", test.operation, err, test.input, test.message)
		}
	}
}
