package plugin

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"geomill/host/internal/job"

	"errors"
)

// tree makes files in dir: a name that ends in / is a directory, a value that
// begins with -> a symbolic link, one that begins with x is executable.
func tree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		target, link := strings.CutPrefix(text, "->")
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		case link:
			err = os.Symlink(target, path)
		case strings.HasPrefix(text, "x"):
			err = os.WriteFile(path, []byte(text), 0o755)
		default:
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestVersionsSideBySideAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files     map[string]string
		path      string // of the plugin, below the plugins directory
		available string
		refused   string // contained
		silent    bool
	}{
		"one version":      {files: map[string]string{"p/1.0.0/plugin": "x"}, path: "p/1.0.0/plugin", available: "1.0.0"},
		"the highest":      {files: map[string]string{"p/1.9.0/plugin": "x", "p/1.10.0/plugin": "x", "p/v1.2/plugin": "x"}, path: "p/1.10.0/plugin", available: "1.10.0 1.9.0 v1.2"},
		"before its final": {files: map[string]string{"p/2.0.0-rc.1/plugin": "x", "p/2.0.0/plugin": "x"}, path: "p/2.0.0/plugin", available: "2.0.0 2.0.0-rc.1"},
		"current":          {files: map[string]string{"p/1.0.0/plugin": "x", "p/2.0.0/plugin": "x", "p/current": "->1.0.0"}, path: "p/1.0.0/plugin", available: "2.0.0 1.0.0"},
		"current by another name": {files: map[string]string{"p/nightly/plugin": "x", "p/2.0.0/plugin": "x", "p/current": "->nightly"},
			path: "p/nightly/plugin", available: "2.0.0"},
		"the only executable": {files: map[string]string{"p/1.0.0/run.py": "x", "p/1.0.0/README": "r", "p/1.0.0/run.py.minisig": "x"}, path: "p/1.0.0/run.py", available: "1.0.0"},
		"plugin among others": {files: map[string]string{"p/1.0.0/plugin": "x", "p/1.0.0/tool": "x"}, path: "p/1.0.0/plugin", available: "1.0.0"},
		"a link":              {files: map[string]string{"p/1.0.0/plugin": "->run.py", "p/1.0.0/run.py": "x"}, path: "p/1.0.0/plugin", available: "1.0.0"},
		"half installed":      {files: map[string]string{"p/1.0.0/plugin": "x", "p/2.0.0.tmp/plugin": "x", "p/.3.0.0/plugin": "x"}, path: "p/1.0.0/plugin", available: "1.0.0"},
		"with a manifest": {files: map[string]string{"p/1.0.0/plugin": "x", "p/1.0.0/plugin.json": `{"name":"p","version":"v1.0","homepage":"x"}`},
			path: "p/1.0.0/plugin", available: "1.0.0"},

		"a name of another encoding": {files: map[string]string{"p\xff": "x"}, refused: `its name "p\xff"`},
		"a name over two lines":      {files: map[string]string{"p\nq": "x"}, refused: `its name "p\nq"`},
		"a name like a flag":         {files: map[string]string{"-rf/1.0.0/plugin": "x"}, refused: `its name "-rf"`},
		"no versions":                {files: map[string]string{"p/lib/plugin": "x", "p/plugin": "x"}, silent: true},
		"empty":                      {files: map[string]string{"p/": ""}, silent: true},
		"signatures":                 {files: map[string]string{"p.minisig": "s", "SHA256SUMS": "s", "SHA256SUMS.minisig": "s"}, silent: true},
		"an empty version":           {files: map[string]string{"p/1.0.0/plugin": "x", "p/2.0.0/": ""}, refused: "no executable in"},
		"several executables":        {files: map[string]string{"p/1.0.0/a": "x", "p/1.0.0/b": "x"}, refused: "2 executables in"},
		"not executable":             {files: map[string]string{"p/1.0.0/plugin": "-"}, refused: "chmod +x"},
		"current leads nowhere":      {files: map[string]string{"p/1.0.0/plugin": "x", "p/current": "->2.0.0"}, refused: "leads nowhere"},
		"current leads away":         {files: map[string]string{"p/1.0.0/plugin": "x", ".q/1.0/": "", "p/current": "->../.q/1.0"}, refused: "not a version beside it"},
		"current is a directory":     {files: map[string]string{"p/1.0.0/plugin": "x", "p/current/plugin": "x"}, refused: "not a symbolic link"},
		"manifest of another":        {files: map[string]string{"p/1.0.0/plugin": "x", "p/1.0.0/plugin.json": `{"name":"q","version":"1.0.0"}`}, refused: `plugin.json gives the name "q", its directory "p"`},
		"manifest of another one":    {files: map[string]string{"p/1.0.0/plugin": "x", "p/1.0.0/plugin.json": `{"name":"p","version":"1.0.1"}`}, refused: `gives the version "1.0.1", its directory "1.0.0"`},
		"manifest that is none":      {files: map[string]string{"p/1.0.0/plugin": "x", "p/1.0.0/plugin.json": `[]`}, refused: "plugin.json is not what it should be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := quick(t).Dir
			tree(t, dir, c.files)
			found, skips, err := discover(dir, os.Geteuid())
			switch {
			case err != nil:
				t.Fatal(err)
			case c.silent:
				if len(found)+len(skips) != 0 {
					t.Errorf("found %+v, skipped %+v", found, skips)
				}
			case c.refused != "":
				if len(found) != 0 || len(skips) != 1 || !strings.Contains(skips[0].unfit.Error(), c.refused) {
					t.Errorf("found %+v, skipped %+v", found, skips)
				}
			case len(found) != 1 || len(skips) != 0:
				t.Errorf("found %+v, skipped %+v", found, skips)
			default:
				if p := found[0]; p.file != "p" || p.path != filepath.Join(dir, c.path) || strings.Join(p.available, " ") != c.available {
					t.Errorf("%+v", p)
				}
			}
		})
	}
}

func TestVersionsThatOthersMayReplaceAreRefused(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"p", "p/1.0.0", "p/1.0.0/plugin"} {
		dir := quick(t).Dir
		tree(t, dir, map[string]string{"p/1.0.0/plugin": "x"})
		path := filepath.Join(dir, at)
		if err := os.Chmod(path, 0o775); err != nil {
			t.Fatal(err)
		}
		_, skips, err := discover(dir, os.Geteuid())
		if err != nil || len(skips) != 1 || skips[0].unfit.fix != "chmod go-w "+path {
			t.Errorf("%s: %+v, %v", at, skips, err)
		}
		if os.Geteuid() != 0 {
			continue
		}
		if err := errors.Join(os.Chmod(path, 0o755), os.Chown(path, 65534, -1)); err != nil {
			t.Fatal(err)
		}
		_, skips, err = discover(dir, 0)
		if err != nil || len(skips) != 1 || skips[0].unfit.fix != "chown 0 "+path {
			t.Errorf("%s: %+v, %v", at, skips, err)
		}
	}
}

func TestVersionsAreTheSameHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for pair, want := range map[[2]string]bool{
		{"1.0.0", "1.0.0"}: true, {"v1.0.0", "1.0.0"}: true, {"1.0", "1.0.0"}: true, {"nightly", "nightly"}: true,
		{"1.0.0", "1.0.1"}: false, {"1.0.0", "1.0.0-rc.1"}: false, {"1.0.0+a", "1.0.0+b"}: false, {"nightly", "1.0.0"}: false, {"", "1.0.0"}: false,
	} {
		if got := sameVersion(pair[0], pair[1]); got != want {
			t.Errorf("%q: %v", pair, got)
		}
	}
}

// versioned installs the chaos plugin as a version of the plugin chaos.
func versioned(t *testing.T, dir, directory, edition string) {
	t.Helper()
	at := filepath.Join(dir, "chaos", directory)
	if err := os.MkdirAll(at+".tmp", 0o755); err != nil {
		t.Fatal(err)
	}
	install(t, at+".tmp", "plugin", edition)
	if err := os.Rename(at+".tmp", at); err != nil {
		t.Fatal(err)
	}
}

// point has the version current be another, by a rename.
func point(t *testing.T, dir, version string) {
	t.Helper()
	link := filepath.Join(dir, "chaos", "current")
	if err := errors.Join(os.Symlink(version, link+".tmp"), os.Rename(link+".tmp", link)); err != nil {
		t.Fatal(err)
	}
}

func TestNewVersionsAndCurrentTakeEffectWhileTheHostRuns(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	b := begin(t, cfg)
	runs := func(version string) {
		t.Helper()
		eventually(t, "version "+version, func() bool { a, err := b.run(t.Context(), "echo"); return err == nil && a.Version == version })
	}
	versioned(t, cfg.Dir, "1.0.0", "1.0.0")
	runs("1.0.0")
	versioned(t, cfg.Dir, "1.1.0", "1.1.0")
	runs("1.1.0")
	point(t, cfg.Dir, "1.0.0")
	runs("1.0.0")
	if s := b.status("chaos"); !slices.Equal(s.Available, []string{"1.1.0", "1.0.0"}) || s.Path != filepath.Join(cfg.Dir, "chaos", "1.0.0", "plugin") {
		t.Errorf("status: %+v", s)
	}
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "chaos")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "removed plugin", func() bool { _, err := b.host.Process("echo"); return errors.Is(err, job.ErrNoSuchProcess) })
}

func TestWatchSeesVersionsOfPlugins(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.RescanEvery = 1 << 40
	b := serve(t, cfg)
	versioned(t, cfg.Dir, "1.0.0", "1.0.0")
	eventually(t, "dropped plugin", func() bool { _, err := b.run(t.Context(), "echo"); return err == nil })
	versioned(t, cfg.Dir, "2.0.0", "2.0.0")
	eventually(t, "its next version", func() bool { a, err := b.run(t.Context(), "echo"); return err == nil && a.Version == "2.0.0" })
	install(t, filepath.Join(cfg.Dir, "chaos", "2.0.0"), "plugin", "2")
	eventually(t, "another content of it", func() bool { a, err := b.run(t.Context(), "echo"); return err == nil && a.Version == "2" })
	point(t, cfg.Dir, "1.0.0")
	eventually(t, "current", func() bool { a, err := b.run(t.Context(), "echo"); return err == nil && a.Version == "1.0.0" })
}

func TestPluginMustSayWhatItsDirectoriesDo(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	versioned(t, cfg.Dir, "1.0.0", "1.0.0")
	b := serve(t, cfg)
	versioned(t, cfg.Dir, "2.0.0", "1.9.9")
	eventually(t, "the refusal", func() bool {
		return strings.Contains(b.status("chaos").Reason, `the one before goes on: the plugin gives the version "1.9.9", its directory "2.0.0"`)
	})
	if a, err := b.run(t.Context(), "echo"); err != nil || a.Version != "1.0.0" {
		t.Errorf("the one before: %q, %v", a.Version, err)
	}
	if err := os.Rename(filepath.Join(cfg.Dir, "chaos", "2.0.0"), filepath.Join(cfg.Dir, "chaos", "1.9.9")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the corrected directory", func() bool { a, err := b.run(t.Context(), "echo"); return err == nil && a.Version == "1.9.9" })
	if err := os.Rename(filepath.Join(cfg.Dir, "chaos"), filepath.Join(cfg.Dir, "order")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the refusal of the name", func() bool {
		return strings.Contains(b.status("order").Reason, `the plugin gives the name "chaos", its directory "order"`)
	})
}

func TestPluginThatLaterSaysItIsAnotherIsNotUsed(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	flag := filepath.Join(cfg.Dir, "..", "flag")
	cfg.Env = []string{"CHAOS_FLAG=" + flag}
	install(t, cfg.Dir, "fickle", "1")
	b := serve(t, cfg)
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := b.run(t.Context(), "echo")
	if u, ok := errors.AsType[*job.UnavailableError](err); !ok {
		t.Errorf("%v, %+v", err, u)
	}
	if s := b.status("fickle"); !strings.Contains(s.Reason, "says it is somebody-else 1, but was admitted as chaos 1") {
		t.Errorf("status: %+v", s)
	}
}
