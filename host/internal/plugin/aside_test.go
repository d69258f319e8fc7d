package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHomeThatIsVeryDeepIsRemovedWithFewOpenFiles counts those of this process that
// are in the run directory.
func TestHomeThatIsVeryDeepIsRemovedWithFewOpenFiles(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	if _, err := b.run(t.Context(), "burrow"); err != nil {
		t.Fatal(err)
	}
	homes := func() []string {
		list, err := filepath.Glob(filepath.Join(cfg.RunDir, "h*", "plugin-dir*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if len(homes()) == 0 {
		t.Fatal("no home")
	}
	if err := os.Remove(filepath.Join(cfg.Dir, "chaos")); err != nil {
		t.Fatal(err)
	}
	most := 0
	eventually(t, "the end of the home", func() bool {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		open := 0
		for _, fd := range fds {
			if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, cfg.RunDir) {
				open++
			}
		}
		most = max(most, open)
		return len(homes()) == 0
	})
	if most > 100 {
		t.Errorf("%d files of the run directory were open", most)
	}
}
