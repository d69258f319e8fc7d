package wire_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"geomill/sdk/wire"
)

// A flood of one job neither holds up the jobs beside it nor goes through whole.
func TestFloodIsThinned(t *testing.T) {
	t.Parallel()
	const events = 100_000
	over := make(chan struct{})
	session := newSession(t, map[string]runFunc{"echo": echo, "flood": func(ctx context.Context, _ wire.Start, ev wire.Events) (wire.Values, error) {
		for i := range events {
			ev.Progress(float64(i)/events, "")
			ev.Log(slog.LevelInfo, strings.Repeat("x", 1000), nil)
		}
		ev.Log(slog.LevelInfo, "last", nil)
		return nil, nil
	}})
	slow := &recorder{}
	var flood sync.WaitGroup
	flood.Go(func() {
		defer close(over)
		if _, err := session.Run(t.Context(), wire.Start{JobID: "flood", ProcessID: "flood"}, 0, slow); err != nil {
			t.Error(err)
		}
	})
	beside := 0
	for done := false; !done; beside++ {
		select {
		case <-over:
			done = true
		default:
		}
		if _, err := session.Run(t.Context(), wire.Start{JobID: fmt.Sprint(beside), ProcessID: "echo"}, 0, discard{}); err != nil {
			t.Fatal(err)
		}
	}
	flood.Wait()
	left, lines := 0, 0
	for _, l := range slow.lines {
		var n int
		if _, err := fmt.Sscanf(l.message, "%d log lines left out", &n); err == nil {
			left += n
		} else {
			lines++
		}
	}
	if left+lines != events+1 || slow.lines[len(slow.lines)-1].message != "last" {
		t.Errorf("%d lines arrived and %d were reported as left out", lines, left)
	}
	t.Logf("%d jobs beside; %d lines and %d of %d progress reports arrived", beside, lines, len(slow.progress), events)
}
