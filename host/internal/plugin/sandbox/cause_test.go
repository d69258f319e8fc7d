package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCauseIsTheSandboxOnlyWhereAListWouldChangeIt(t *testing.T) {
	t.Parallel()
	m := Probe()
	if m.abi == 0 {
		t.Skip("NOT TESTED: this machine lacks Landlock")
	}
	root := tree(t, "open/a", "closed", "home/b", "data/store/c", "work/d")
	at := func(name string) string { return filepath.Join(root, name) }
	for from, to := range map[string]string{"open/link": "data/store/c", "linked": "data"} {
		if err := os.Symlink(at(to), at(from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(at("closed"), 0); err != nil {
		t.Fatal(err)
	}
	s := &Spec{Read: []string{at("home")}, Write: []string{at("work")}, Except: []string{at("linked")}}
	for path, want := range map[string]Cause{
		"open/a": Unlisted, "open": Unlisted, "open/../open/a": Unlisted,
		"closed": Other, "data": Other, "data/store/c": Other, "linked/store": Other, "linked/gone": Other, "open/link": Other, "": Other,
		"home/b": Unclear, "work/d": Unclear, "gone": Unclear, "open/a/b": Unclear,
	} {
		if got := m.Cause(s, root+"/"+path); got != want {
			t.Errorf("%q: %d, want %d", path, got, want)
		}
	}
	for path, want := range map[string]Cause{"/proc": Unlisted, "/proc/self/status": Unclear, "/dev/null": Unclear, "/": Other} {
		if got := m.Cause(s, path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if got := m.Cause(&Spec{Off: true}, at("open/a")); got != Other {
		t.Errorf("without a sandbox: %d", got)
	}
	if got := new(Machine).Cause(s, at("open/a")); got != Other {
		t.Errorf("without Landlock: %d", got)
	}
}

func TestCauseIsLookedForAsTheUserOfTheProcess(t *testing.T) {
	t.Parallel()
	m := Probe()
	if m.abi == 0 || !m.drop || os.Geteuid() != 0 {
		t.Skip("NOT TESTED: this machine lacks Landlock or root's capabilities, or the tests do not run as root")
	}
	shared, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(shared) })
	if err := os.Chmod(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		mode   os.FileMode
		owner  int
		own    Cause // for the user of the host
		others Cause // for nobody
	}{
		"of-all": {0o644, 0, Unlisted, Unlisted}, "of-the-host": {0o600, 0, Unlisted, Other}, "of-nobody": {0o600, nobody, Other, Unlisted},
	} {
		path := filepath.Join(shared, name)
		if err := os.WriteFile(path, nil, tt.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, tt.owner, tt.owner); err != nil {
			t.Fatal(err)
		}
		for uid, want := range map[int]Cause{0: tt.own, nobody: tt.others} {
			if got := m.Cause(&Spec{UID: uid}, path); got != want {
				t.Errorf("%s for user %d: %d, want %d", name, uid, got, want)
			}
		}
	}
	if os.WriteFile(filepath.Join(shared, "of-nobody"), nil, 0) != nil {
		t.Error("the host has lost its own rights")
	}
}
