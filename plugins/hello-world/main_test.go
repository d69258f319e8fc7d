package main

import (
	"errors"
	"testing"

	"geomill/sdk/sdktest"
	"geomill/sdk/wire"
)

func TestGreets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		inputs map[string]any
		want   string
	}{
		{map[string]any{"name": "hi there2"}, "Hello hi there2!"},
		{map[string]any{"name": "Ada", "message": "Welcome back.  "}, "Hello Ada! Welcome back."},
		{map[string]any{"name": ""}, "Hello !"},
	}
	for _, tt := range tests {
		var got map[string]any
		sdktest.Run(t, helloWorld(), tt.inputs).Decode("echo", &got)
		if len(got) != 2 || got["id"] != "echo" || got["value"] != tt.want {
			t.Errorf("%v gives %v, want the value %q", tt.inputs, got, tt.want)
		}
	}
}

func TestNeedsAName(t *testing.T) {
	t.Parallel()
	var p *wire.Problem
	r := sdktest.Run(t, helloWorld(), map[string]any{"message": 1})
	if !errors.As(r.Err, &p) || p.Kind != wire.InvalidInput || len(p.Faults) != 2 {
		t.Errorf("error %v, want two faults", r.Err)
	}
}
