package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"geomill/host/internal/plugin/sandbox"
)

// ownUsers is a configuration in which plugins have users of their own.
func ownUsers(t *testing.T) string {
	t.Helper()
	if err := sandbox.ProbeUsers(232000, 232099); err != nil {
		t.Skipf("NOT TESTED: plugins cannot have users of their own: %v", err)
	}
	if err := os.Chmod(filepath.Dir(t.TempDir()), 0o711); err != nil { // they pass through it
		t.Fatal(err)
	}
	return "plugin-uids: 232000-232099\n"
}

// uidOf returns the user of a process.
func uidOf(t *testing.T, pid int) uint32 {
	t.Helper()
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}

func TestDetachedJobOfAPluginWithAUserOfItsOwnOutlivesItsHost(t *testing.T) {
	t.Parallel()
	config := ownUsers(t)
	l, s, c := startLasting(t, config)
	pid := l.pid(1)
	if uid := uidOf(t, pid); uid < 232000 || uid > 232099 {
		t.Errorf("the plugin runs as %d", uid)
	}
	l.outlives(s, c, pid)
}

func TestLargeResultOfAPluginWithAUserOfItsOwnIsTheHosts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(ownUsers(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, []string{"echo"}, "--config", file)
	c := newWeb(t, s.url)
	large := strings.Repeat("large ", 1<<19)
	path := c.submit(t, "echo", fmt.Sprintf(`{"text":%q}`, large))
	c.await(t, path, "successful")
	stored, err := filepath.Glob(filepath.Join(s.data(), "store", "results", "*", "*", "*"))
	if err != nil || len(stored) == 0 {
		t.Fatalf("stored: %v, %v", stored, err)
	}
	whole := 0
	for _, path := range stored {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), large) {
			whole++
		}
		if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != os.Geteuid() || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is that of %d with mode %o", path, st.Uid, info.Mode().Perm())
		}
	}
	if whole == 0 {
		t.Error("the text is not among what is stored")
	}
}
