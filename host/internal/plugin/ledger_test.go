package plugin

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheLastTransitionsAreRemembered(t *testing.T) {
	t.Parallel()
	var l ledger
	for i := range 100 {
		l.note(Transition{Instance: int64(i + 1), To: StateReady})
	}
	h := l.history()
	if len(h) != historyLength || h[0].Instance != 101-historyLength || h[historyLength-1].Instance != 100 {
		t.Errorf("%d transitions: %+v", len(h), h)
	}
	if n := l.counters().Transitions[StateReady]; n != 100 {
		t.Errorf("%d counted", n)
	}
}

func TestStartsAreCountedByResultAndTime(t *testing.T) {
	t.Parallel()
	var l ledger
	for _, d := range []time.Duration{0, 10 * time.Millisecond, 11 * time.Millisecond, time.Minute} {
		l.started(startReady, d)
	}
	l.started(startFailed, time.Second)
	c := l.counters()
	if d := cmp.Diff(map[string]int64{"ready": 4, "failed": 1, "abandoned": 0}, c.Starts); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int64{2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1}, c.StartSeconds.Counts); d != "" || c.StartSeconds.Sum < 60.02 {
		t.Errorf("%s, sum %f", d, c.StartSeconds.Sum)
	}
}

func TestEveryEndHasAReason(t *testing.T) {
	t.Parallel()
	for want, cause := range map[string]error{
		"crash": errDied, "memory": errMemory, "idle": errUnused, "recycle-memory": errSwollen,
		"stop": fmt.Errorf("%w: its plugin was replaced", errRetired),
	} {
		if got := endReasons[endReason(cause)].name; got != want {
			t.Errorf("%v: %s, want %s", cause, got, want)
		}
	}
	if got := endReasons[endReason(errors.New("x"))].name; got != "stop" {
		t.Errorf("an unknown one: %s", got)
	}
}
