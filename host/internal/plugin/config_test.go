package plugin

import (
	"path/filepath"
	"testing"
	"time"
)

func TestConfigIsCheckedAndFilled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"no directory":        {Log: quiet()},
		"no logger":           {Dir: "plugins"},
		"variable without =":  {Dir: "plugins", Log: quiet(), Env: []string{"X"}},
		"variable of ours":    {Dir: "plugins", Log: quiet(), Env: []string{"GEOMILL_LIFELINE_FD=9"}},
		"go-plugin's":         {Dir: "plugins", Log: quiet(), Env: []string{"PLUGIN_MIN_PORT=1"}},
		"killed before asked": {Dir: "plugins", Log: quiet(), TermAfter: 2 * time.Second, KillAfter: time.Second},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	h, err := New(Config{Dir: "plugins", Log: quiet(), Env: []string{"PROJ_DATA=/x"}})
	if err != nil {
		t.Fatal(err)
	}
	if c := h.cfg; !filepath.IsAbs(c.Dir) || !filepath.IsAbs(c.RunDir) || c.CacheDir != "" || c.HandshakeTimeout != 10*time.Second ||
		c.HeartbeatMisses != 3 || c.CrashLimit != 5 {
		t.Errorf("%+v", c)
	}
}
