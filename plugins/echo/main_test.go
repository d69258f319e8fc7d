package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/sdk/sdktest"
	"geomill/sdk/wire"

	"github.com/google/go-cmp/cmp"
)

func TestReturnsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		inputs string
		count  int
	}{
		"text":   {`{"text":"teststring"}`, 1},
		"object": {`{"text":"","mixed":{"name":"a","more":1}}`, 2},
		"all": {`{"text":"t","pause":0.01,"numbers":[1,2,9007199254740993],"mixed":"m",
			"bbox":{"bbox":[51.9,7,52,7.1],"crs":"http://www.opengis.net/def/crs/OGC/1.3/CRS84"}}`, 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want map[string]json.RawMessage
			if err := json.Unmarshal([]byte(tt.inputs), &want); err != nil {
				t.Fatal(err)
			}
			r := sdktest.Run(t, echo(), want)
			delete(want, "pause")
			var count int
			if r.Decode("count", &count); count != tt.count {
				t.Errorf("count %d, want %d", count, tt.count)
			}
			for id, text := range want {
				var got json.RawMessage
				if r.Decode(id, &got); string(got) != string(text) {
					t.Errorf("%s is %s, want %s", id, got, text)
				}
			}
			if len(r.Outputs) != len(want)+1 {
				t.Errorf("outputs %v", slices.Sorted(maps.Keys(r.Outputs)))
			}
		})
	}
}

func TestSendsOnlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	r := sdktest.Run(t, echo(), map[string]any{"text": "a", "mixed": "b"}, sdktest.Outputs("mixed", "bbox"))
	if d := cmp.Diff([]string{"mixed"}, slices.Sorted(maps.Keys(r.Outputs))); r.Err != nil || d != "" {
		t.Errorf("error %v, outputs (-want +got):\n%s", r.Err, d)
	}
}

func TestReturnsLargeText(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("é\n", 1<<20)
	var got string
	sdktest.Run(t, echo(), map[string]any{"text": want}).Decode("text", &got)
	if got != want {
		t.Errorf("%d bytes came back, want %d", len(got), len(want))
	}
}

func TestPauseEndsWithTheJob(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := sdktest.Run(t, echo(), map[string]any{"text": "a", "pause": 1e300}, sdktest.Context(ctx))
	if !errors.Is(r.Err, context.DeadlineExceeded) {
		t.Errorf("error %v", r.Err)
	}
}

func TestRefusesInputsThatDoNotMatch(t *testing.T) {
	t.Parallel()
	r := sdktest.Run(t, echo(), map[string]any{"pause": -1, "numbers": []any{1.5}, "mixed": map[string]any{"value": "teststring"}})
	var p *wire.Problem
	if !errors.As(r.Err, &p) || p.Kind != wire.InvalidInput || len(p.Faults) != 4 {
		t.Errorf("error %v, want four faults", r.Err)
	}
}
