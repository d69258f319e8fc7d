package plugin

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWhatIsKeptSurvivesAndIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(scratch, "k")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		rulings := map[string]*ruling{}
		k, err := openKeep(dir)
		if err != nil {
			r.Fatal(err)
		}
		for range rapid.IntRange(0, 9).Draw(r, "steps") {
			file := rapid.SampledFrom([]string{"a", "b/c", ".."}).Draw(r, "file")
			var set *ruling
			if rapid.Bool().Draw(r, "set") {
				set = &ruling{Hash: rapid.StringMatching(`[0-9a-f]{4}`).Draw(r, "hash"), Firm: rapid.Bool().Draw(r, "firm")}
			}
			if err := k.rule(file, set); err != nil {
				r.Fatal(err)
			}
			rulings[file] = set
			if rapid.Bool().Draw(r, "reopen") {
				if k, err = openKeep(dir); err != nil {
					r.Fatal(err)
				}
			}
		}
		for file, want := range rulings {
			if got := k.of(file).Ruling; (got == nil) != (want == nil) || got != nil && *got != *want {
				r.Fatalf("%s: %+v, want %+v", file, got, want)
			}
		}
	})
}

func TestBrokenMemoryOfPluginsIsReplaced(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	if err := os.MkdirAll(cfg.KeepDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.KeepDir, keepFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	b.version(t)
	if b.logs.record("what was decided about plugins is lost, and so are their versions before") == nil {
		t.Error("nothing is said of it")
	}
	install(t, cfg.Dir, "chaos", "1.0.1")
	b.becomes(t, "1.0.1")
	if b = b.again(t); b.status("chaos").Previous == nil {
		t.Error("the version before is not remembered")
	}
}

func TestWhatIsWrongWithAKeptManifestIsSaid(t *testing.T) {
	t.Parallel()
	memory, err := openKeep("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := memory.open("a.yaml", "/a.yaml", "h", os.Geteuid()); !errors.Is(err, errNoCopy) {
		t.Errorf("in memory: %v", err)
	}
	for name, c := range map[string]struct {
		damage func(at string) error
		want   string
	}{
		"nothing":             {func(string) error { return nil }, ""},
		"no copy":             {os.RemoveAll, errNoCopy.Error()},
		"no manifest":         {func(at string) error { return os.Remove(filepath.Join(at, "a.yaml")) }, "there is no manifest in"},
		"open to others":      {func(at string) error { return os.Chmod(filepath.Join(at, "a.yaml"), 0o666) }, "writable by group or others: chmod go-w"},
		"a tool open to them": {func(at string) error { return os.Chmod(filepath.Join(at, "a"), 0o777) }, "its tool a is not as it should be: writable by group or others"},
		"a tool less":         {func(at string) error { return os.Remove(filepath.Join(at, "a")) }, errChanged.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := openKeep(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			exe := opened(t, sole(t, files(t, map[string]string{"a.yaml": aManifest, "a*": "x"})))
			if err := k.save(exe, description{}); err != nil {
				t.Fatal(err)
			}
			if err := c.damage(filepath.Join(k.dirOf(exe.name), exe.hash)); err != nil {
				t.Fatal(err)
			}
			kept, err := k.open(exe.name, exe.path, exe.hash, os.Geteuid())
			if err == nil {
				kept.close()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
