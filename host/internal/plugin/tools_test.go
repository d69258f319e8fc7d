package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const aManifest = "# tools\nprocesses: {}\n"

// files puts files into a new directory, the executable ones with a *.
func files(t *testing.T, list map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "plugins")
	for name, text := range list {
		mode := os.FileMode(0o644)
		if rest, ok := strings.CutSuffix(name, "*"); ok {
			name, mode = rest, 0o755
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// seen sums up what discover makes of a directory.
func seen(t *testing.T, dir string) (list []string) {
	t.Helper()
	found, skips, err := discover(dir, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range found {
		line := c.file
		if c.manifest {
			line += " manifest"
		}
		for _, tool := range c.tools {
			line += " " + filepath.Base(tool.path)
		}
		list = append(list, line)
	}
	for _, s := range skips {
		list = append(list, s.file+": "+strings.ReplaceAll(s.unfit.Error(), dir, "DIR"))
	}
	slices.Sort(list)
	return list
}

func TestAManifestHasItsTools(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"with a tool":            {map[string]string{"a.yaml": aManifest, "a*": "x"}, []string{"a.yaml manifest a"}},
		"without one":            {map[string]string{"a.yml": aManifest, "b*": "x"}, []string{"a.yml manifest", "b"}},
		"that is wrong":          {map[string]string{"a.yaml": "processes: [", "a*": "x"}, []string{"a.yaml manifest a"}},
		"executable":             {map[string]string{"a.yaml*": aManifest, "a*": "x"}, []string{"a", "a.yaml"}},
		"no manifest":            {map[string]string{"a.yaml": "threads: 4", "a*": "x"}, []string{"a", "a.yaml: " + NoManifest}},
		"in flow style":          {map[string]string{"a.yaml": `{"name": "a", ` + "\n" + ` "processes": {}}`}, []string{"a.yaml manifest"}},
		"ignored":                {map[string]string{".a.yaml": aManifest, "b.yaml.tmp": aManifest, "a*": "x"}, []string{"a"}},
		"tool not executable":    {map[string]string{"a.yaml": aManifest, "a": "x"}, []string{"a.yaml: its tool a is not as it should be: not executable: chmod +x DIR/a"}},
		"tool empty":             {map[string]string{"a.yaml": aManifest, "a*": ""}, []string{"a.yaml: its tool a is not as it should be: empty file: build or copy it anew"}},
		"a directory no tool":    {map[string]string{"a.yaml": aManifest, "a/1.0.0/plugin*": "x"}, []string{"a", "a.yaml manifest"}},
		"in a version":           {map[string]string{"a/1.0.0/plugin.yaml": aManifest, "a/1.0.0/x*": "x", "a/1.0.0/y*": "y", "a/1.0.0/data": "z"}, []string{"a manifest x y"}},
		"in a version, by name":  {map[string]string{"a/1.0.0/a.yaml": aManifest, "a/1.0.0/a*": "x"}, []string{"a manifest a"}},
		"in a version, alone":    {map[string]string{"a/1.0.0/plugin.yml": aManifest}, []string{"a manifest"}},
		"twice in a version":     {map[string]string{"a/1.0.0/plugin.yaml": aManifest, "a/1.0.0/a.yaml": aManifest}, []string{"a: both plugin.yaml and a.yaml in DIR/a/1.0.0 are manifests: keep one"}},
		"numbers of processes":   {map[string]string{"a.yaml": "processes: 4\n", "a*": "x"}, []string{"a", "a.yaml: " + NoManifest}},
		"further down":           {map[string]string{"a.yaml": "workers:\n  processes: 4\n", "a*": "x"}, []string{"a", "a.yaml: " + NoManifest}},
		"a mapping further down": {map[string]string{"a.yaml": "workers:\n  processes:\n    one: 1\n", "a*": "x"}, []string{"a", "a.yaml: " + NoManifest}},
		"in flow, further down":  {map[string]string{"a.yaml": `{"workers": {"processes": {}}}`, "a*": "x"}, []string{"a", "a.yaml: " + NoManifest}},
		"in flow, a number":      {map[string]string{"a.yaml": `{"processes": 4}`, "a*": "x"}, []string{"a", "a.yaml: " + NoManifest}},
		"a list of processes":    {map[string]string{"a.yaml": "processes:\n- one\n", "a*": "x"}, []string{"a", "a.yaml: " + NoManifest}},
		"in block style":         {map[string]string{"a.yaml": "name: a\nprocesses: # of it\n\n  # the first\n  one:\n    command: [a]\n", "a*": "x"}, []string{"a.yaml manifest a"}},
		"configuration in a dir": {map[string]string{"a/1.0.0/plugin*": "x", "a/1.0.0/a.yaml": "threads: 4"}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := seen(t, files(t, c.files)); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAFileThatCannotBeReadClaimsNoTool(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"a.yaml": aManifest, "a*": "x"})
	path := filepath.Join(dir, "a.yaml")
	if err := errors.Join(os.Chmod(path, 0), os.Chmod(filepath.Dir(filepath.Dir(dir)), passable)); err != nil {
		t.Fatal(err)
	}
	// Root may read it all the same, but not a thread of root's that uses files as
	// another user. It ends with the test.
	runtime.LockOSThread()
	uid := os.Geteuid()
	if uid == 0 {
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := unix.Setfsuid(0); err != nil {
				t.Error(err)
			}
		}()
	}
	found, skips, err := discover(dir, uid)
	if err != nil || len(found) != 1 || found[0].file != "a" || len(skips) != 1 || !strings.Contains(skips[0].unfit.Error(), "cannot be read") {
		t.Errorf("%v, %v, %v", found, skips, err)
	}
}

func TestTheCompanionOfAManifestIsItsTool(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"a.yaml": aManifest, "a*": "x", "b.yml": aManifest, "SHA256SUMS.yaml": aManifest, "SHA256SUMS": "x",
		"c.tmp.yaml": aManifest, "c.tmp*": "x", "d.yaml": "threads: 4", "d*": "x"})
	for name, want := range map[string]string{"a.yaml": "a", "b.yml": "", "SHA256SUMS.yaml": "", "c.tmp.yaml": ""} {
		if want != "" {
			want = filepath.Join(dir, want)
		}
		if tool, ok := Companion(filepath.Join(dir, name)); !ok || tool != want {
			t.Errorf("%s: %q, %v", name, tool, ok)
		}
	}
	if _, ok := Companion(filepath.Join(dir, "d.yaml")); ok {
		t.Error("a configuration file has a companion")
	}
}

// sole returns the only candidate in a directory.
func sole(t *testing.T, dir string) candidate {
	t.Helper()
	found, skips, err := discover(dir, os.Geteuid())
	if err != nil || len(found) != 1 || len(skips) != 0 {
		t.Fatalf("%v, %v, %v", found, skips, err)
	}
	return found[0]
}

func opened(t *testing.T, c candidate) *executable {
	t.Helper()
	e, err := openExecutable(c, os.Geteuid(), unhashed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	return e
}

func TestTheHashOfAManifestIsThatOfTheListOfItsFiles(t *testing.T) {
	t.Parallel()
	sum := func(text string) string {
		h := sha256.Sum256([]byte(text))
		return hex.EncodeToString(h[:])
	}
	dir := files(t, map[string]string{"a.yaml": aManifest, "a*": "x"})
	before := sole(t, dir)
	want := sum(fmt.Sprintf("%s  a.yaml\n%s  a\n", sum(aManifest), sum("x")))
	if got := opened(t, before).hash; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	replace(t, filepath.Join(dir, "a"), "y")
	after := sole(t, dir)
	if before.sighting() == after.sighting() {
		t.Error("another tool is not seen")
	}
	if _, err := openExecutable(before, os.Geteuid(), unhashed); !errors.Is(err, errChanged) {
		t.Errorf("a tool that was exchanged: %v", err)
	}
	if got := opened(t, after).hash; got == want {
		t.Error("another tool has the same hash")
	}
	if err := os.Remove(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if got := opened(t, sole(t, dir)).hash; got != sum(sum(aManifest)+"  a.yaml\n") {
		t.Errorf("without a tool: %s", got)
	}
}

// replace puts another executable in the place of one.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".tmp", []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}

func TestAKeptManifestIsWhole(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"bare":     files(t, map[string]string{"a.yaml": aManifest, "a*": "x"}),
		"dotted":   files(t, map[string]string{"a.b/1.0.0/a.b.yaml": aManifest, "a.b/1.0.0/one*": "x"}),
		"versions": files(t, map[string]string{"a/1.0.0/plugin.yaml": aManifest, "a/1.0.0/one*": "x", "a/1.0.0/two*": "y"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := openKeep(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			exe := opened(t, sole(t, dir))
			if err := k.save(exe, description{}); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			kept, err := k.open(exe.name, exe.path, exe.hash, os.Geteuid())
			if err != nil {
				t.Fatal(err)
			}
			defer kept.close()
			if kept.hash != exe.hash || kept.path != exe.path || len(kept.bundle.tools) != len(exe.bundle.tools) {
				t.Errorf("%+v, want %+v", kept, exe)
			}
			f, err := kept.bundle.tools[0].duplicate()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if text, err := io.ReadAll(f); err != nil || string(text) != "x" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

func TestAManifestIsKnownByAllOfItsFiles(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"a.yaml": aManifest, "a*": "x"})
	k, err := openCache("")
	if err != nil {
		t.Fatal(err)
	}
	c := sole(t, dir)
	if k.knows(c) {
		t.Error("what was never seen is known")
	}
	k.remember(opened(t, c), description{})
	if !k.knows(c) {
		t.Error("what was described is not known")
	}
	replace(t, filepath.Join(dir, "a"), "y")
	if k.knows(sole(t, dir)) {
		t.Error("with another tool it is known, too")
	}
}

func TestAChangeOfEitherFileIsANewVersion(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	cfg.Program = chaos // takes every manifest for its own
	place(t, cfg.Dir, "a.yaml", []byte(aManifest), 0o644)
	tool := place(t, cfg.Dir, "a", []byte("one"), 0o755)
	b := serve(t, cfg)
	becomes := func(what string) {
		t.Helper()
		want := opened(t, sole(t, cfg.Dir)).hash
		eventually(t, what, func() bool { s := b.status("a.yaml"); return s.Hash == want && s.Reason == "" })
		if v, err := b.host.Verify("a.yaml"); err != nil || v.Found != want || v.Serving != want {
			t.Errorf("%s: %+v, %v", what, v, err)
		}
		if _, err := b.run(t.Context(), "echo"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	becomes("the first version")
	place(t, cfg.Dir, "a", []byte("two"), 0o755)
	becomes("another tool")
	place(t, cfg.Dir, "a.yaml", []byte(aManifest+"#\n"), 0o644)
	becomes("another manifest")
	last := b.status("a.yaml").Hash
	if err := os.Chmod(tool, 0o775); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a tool that others may change is refused", func() bool {
		s := b.status("a.yaml")
		return s.Hash == last && strings.Contains(s.Reason, "its tool a is not as it should be: writable by group or others: chmod go-w "+tool)
	})
	if err := os.Chmod(tool, 0o755); err != nil {
		t.Fatal(err)
	}
	becomes("a tool that nobody else may change")
	if list := b.host.Plugins(); len(list) != 1 {
		t.Errorf("the tool is listed: %+v", list)
	}
}

func TestWithoutAProgramAManifestIsRefused(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	place(t, cfg.Dir, "a.yaml", []byte(aManifest), 0o644)
	b := serve(t, cfg)
	if s := b.status("a.yaml"); s.Reason != errNoProgram.Error() || !s.Retry.IsZero() {
		t.Errorf("%+v", s)
	}
}

func TestAnExecutableManifestWithoutAnInterpreterIsToBeNone(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	place(t, cfg.Dir, "a.yaml", []byte("name: a\n"+aManifest), 0o755)
	b := serve(t, cfg)
	if s := b.status("a.yaml"); !strings.Contains(s.Reason, "chmod -x it, and the host serves it") {
		t.Errorf("%+v", s)
	}
}
