package main

import (
	"context"
	"errors"
	"testing"

	"geomill/sdk/sdktest"
	"geomill/sdk/wire"
)

func TestSleepsAndReportsProgress(t *testing.T) {
	t.Parallel()
	r := sdktest.Run(t, sleep(), map[string]any{"seconds": 0.05, "steps": 5.0})
	var slept float64
	if r.Decode("slept", &slept); slept < 0.05 {
		t.Errorf("slept %v seconds", slept)
	}
	if n := len(r.Progress); n == 0 || r.Progress[n-1] != (sdktest.Progress{Percent: 100, Message: "step 5 of 5"}) {
		t.Errorf("progress %v", r.Progress)
	}
}

func TestFailsOnDemand(t *testing.T) {
	t.Parallel()
	var p *wire.Problem
	r := sdktest.Run(t, sleep(), map[string]any{"seconds": 0, "fail": "as asked"})
	if !errors.As(r.Err, &p) || p.Kind != wire.ProcessFailed || p.Detail != "as asked" || p.Retryable {
		t.Errorf("error %#v", r.Err)
	}
}

func TestWakesWhenTheJobIsDismissed(t *testing.T) {
	t.Parallel()
	dismissed := errors.New("dismissed")
	ctx, cancel := context.WithCancelCause(t.Context())
	r := sdktest.Run(t, sleep(), map[string]any{"seconds": 600, "steps": 10000}, sdktest.Context(ctx),
		sdktest.OnProgress(func(sdktest.Progress) { cancel(dismissed) }))
	if !errors.Is(r.Err, dismissed) {
		t.Errorf("error %v", r.Err)
	}
}

func TestRefusesMoreThanADay(t *testing.T) {
	t.Parallel()
	var p *wire.Problem
	r := sdktest.Run(t, sleep(), map[string]any{"seconds": 86401})
	if !errors.As(r.Err, &p) || len(p.Faults) != 1 || p.Faults[0].Message != "must be at most 86400" {
		t.Errorf("error %v", r.Err)
	}
}
