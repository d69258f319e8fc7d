package plugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"geomill/host/internal/plugin/sandbox"
)

// denials makes files outside of the host's directories and in a private one, and
// returns the paths that plugins say they may not read.
func denials(t *testing.T, private string) map[string]string {
	t.Helper()
	outside := t.TempDir()
	at := func(name string) string { return filepath.Join(outside, name) }
	paths := map[string]string{
		"listed": at(`a "b" [c]`), "closed": at("closed"), "control": at("a\tb"), "long": at(strings.Repeat("d/", hintBytes/2) + "e"),
		"private": filepath.Join(private, "store"), "link": at("link"), "above": filepath.Dir(private), "by-dots": outside + "/../" + filepath.Base(outside) + "/link",
		"gone": at("gone"), "gone-private": filepath.Join(private, "gone"), "system": "/usr", "process": "/proc/self/status",
	}
	for _, name := range []string{"listed", "closed", "control", "long", "private"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(paths[name]), 0o755), os.WriteFile(paths[name], nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(paths["closed"], 0), os.Symlink(paths["private"], paths["link"])); err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestAHintRepeatsAPathOfAPluginOnlyWhereListingItHelps(t *testing.T) {
	t.Parallel()
	for _, l := range sandbox.Probe().Missing() {
		if l.Name == "landlock-files" {
			t.Skip("NOT TESTED: this machine lacks Landlock: " + l.Reason)
		}
	}
	cfg := quick(t)
	private := filepath.Join(filepath.Dir(cfg.Dir), "data")
	cfg.Private = []string{private}
	paths := denials(t, private)
	paths["cache"] = filepath.Join(cfg.CacheDir, "a")
	for name, path := range paths {
		place(t, cfg.Dir, name, fmt.Appendf(nil, "#!/bin/sh\ncat >&2 <<'END'\nopen %s: permission denied\nEND\nexit 1\n", path), 0o755)
	}
	b := serve(t, cfg)
	const some = "perhaps for its sandbox: plugin-config.%s can list what else it may read and write"
	for name, want := range map[string]string{
		"listed": `perhaps for its sandbox: plugin-config: {%q: {read: [` + strings.ReplaceAll(fmt.Sprintf("%q", paths["listed"]), "%", "%%") + `]}} lets it read that`,
		"closed": "", "private": "", "gone-private": "", "link": "", "by-dots": "", "above": "", "cache": "",
		"control": some, "long": some, "gone": some, "system": some, "process": some,
	} {
		s := b.status(name)
		_, hint, hinted := strings.Cut(s.Reason, "; perhaps")
		if want == "" {
			if s.State != StateRefused || hinted {
				t.Errorf("%s: %s, perhaps%s", name, s.State, hint)
			}
			continue
		}
		if want = fmt.Sprintf(want, name); !strings.HasPrefix("perhaps"+hint, want) {
			t.Errorf("%s: perhaps%s, want %s", name, hint, want)
		}
	}
}
