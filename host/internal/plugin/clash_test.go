package plugin

import (
	"os"
	"path/filepath"
	"testing"
)

// Who has a process goes by the names of the files alone, so that a host that
// starts anew decides as one that runs.
func TestNewcomerWithAnEarlierNameTakesOverAProcess(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "twin-b", "b")
	b := serve(t, cfg)
	b.runs("echo", "b")
	install(t, cfg.Dir, "twin-a", "a")
	b.runs("echo", "a")
	b.refused("twin-b", "process echo is not offered: "+alreadyOffered("twin-a"))
	install(t, cfg.Dir, "twin-c", "c")
	eventually(t, "one with a later name", func() bool { return b.status("twin-c").Name != "" })
	b.runs("echo", "a")
	b.refused("twin-c", "process echo is not offered: "+alreadyOffered("twin-a"))
	if err := os.Remove(filepath.Join(cfg.Dir, "twin-a")); err != nil {
		t.Fatal(err)
	}
	b.runs("echo", "b")
	eventually(t, "an end of the refusal", func() bool { return b.status("twin-b").Reason == "" })
}
