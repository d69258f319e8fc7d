package plugin

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"geomill/host/internal/plugin/cgroup"
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

func TestAnInstanceStartsWithoutAGroupThatCannotBeMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := cgroup.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	logs := &logBuffer{}
	g := &groups{log: slog.New(slog.NewJSONHandler(logs, nil)), tree: tree}
	g.once.Do(func() {})
	if group := g.make(Limits{Processes: 5}); group != nil || logs.record("plugin instance has no control group; its use is only looked at") == nil {
		t.Errorf("%v, %s", group, logs)
	}
}
