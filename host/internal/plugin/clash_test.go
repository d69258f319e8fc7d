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
	if s := b.status("twin-b"); s.Reason != "process echo is not offered: "+alreadyOffered("twin-a") {
		t.Errorf("status: %+v", s)
	}
	install(t, cfg.Dir, "twin-c", "c")
	eventually(t, "one with a later name", func() bool { return b.status("twin-c").Name != "" })
	b.runs("echo", "a")
	if s := b.status("twin-c"); s.Reason != "process echo is not offered: "+alreadyOffered("twin-a") {
		t.Errorf("status: %+v", s)
	}
	if err := os.Remove(filepath.Join(cfg.Dir, "twin-a")); err != nil {
		t.Fatal(err)
	}
	b.runs("echo", "b")
	if s := b.status("twin-b"); s.Reason != "" {
		t.Errorf("status: %+v", s)
	}
}
