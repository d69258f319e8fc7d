package main

import (
	"errors"
	"reflect"
	"testing"

	"geomill/sdk"
	"geomill/sdk/schema/derive"
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

func TestSpeaksGerman(t *testing.T) {
	t.Parallel()
	for of, said := range map[reflect.Type]map[string]sdk.Translation{
		reflect.TypeFor[Inputs]():  german.Inputs,
		reflect.TypeFor[Outputs](): german.Outputs,
	} {
		properties, err := derive.Properties(of)
		if err != nil || len(said) != len(properties) {
			t.Errorf("%s has %d translations for %d fields (%v)", of, len(said), len(properties), err)
		}
		for _, p := range properties {
			if words := said[p.Name]; words.Title == "" || words.Description == "" {
				t.Errorf("%s: no German for %s", of, p.Name)
			}
		}
	}
}
