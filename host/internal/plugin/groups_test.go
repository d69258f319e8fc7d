package plugin

import (
	"log/slog"
	"testing"
)

func TestControlGroupsAreLookedForOnceAndOnlyForLimits(t *testing.T) {
	t.Parallel()
	logs := &logBuffer{}
	g := &groups{log: slog.New(slog.NewJSONHandler(logs, nil))}
	if group := g.make(Limits{Files: 5}); group != nil || logs.String() != "" {
		t.Errorf("without a limit that they bound: %v, %s", group, logs)
	}
	for range 2 {
		group := g.make(Limits{Processes: 5})
		if group != nil {
			if err := group.Close(); err != nil {
				t.Error(err)
			}
		}
		have, lack := logs.record("control groups hold plugins to their limits"), logs.record("control groups do not hold plugins to their limits; their use is only looked at")
		if (group != nil) != (have != nil) || (group == nil) != (lack != nil && lack["reason"] != "") {
			t.Errorf("group %v, %s", group, logs)
		}
	}
}
