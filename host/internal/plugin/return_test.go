package plugin

import (
	"os"
	"testing"
	"time"
)

// TestPluginsDirectoryThatComesBackIsTakenUpSoon has the next regular look be far
// away.
func TestPluginsDirectoryThatComesBackIsTakenUpSoon(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.RescanEvery = time.Hour
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	away := cfg.Dir + ".away"
	if err := os.Rename(cfg.Dir, away); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trouble to be told", func() bool { return b.status("chaos").Reason != "" })
	if err := os.Rename(away, cfg.Dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the trouble", func() bool { return b.status("chaos").Reason == "" })
	if b.recorded("plugins directory can be used again") == nil {
		t.Error("the end of the trouble is not logged")
	}
}
