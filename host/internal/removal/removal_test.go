package removal_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"geomill/host/internal/removal"

	"golang.org/x/sys/unix"
)

// TestMain removes a directory with few open files and as whoever it is, when it
// is asked to.
func TestMain(m *testing.M) {
	path := os.Getenv("REMOVE")
	if path == "" {
		os.Exit(m.Run())
	}
	if most, err := strconv.ParseUint(os.Getenv("OPEN_FILES"), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			panic(err)
		}
	}
	if err := removal.Tree(path); err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// removeAside removes a directory in another process.
func removeAside(t *testing.T, path string, user *syscall.Credential) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.CommandContext(t.Context(), "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = []string{"REMOVE=" + path, "OPEN_FILES=100"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %.500s", err, out)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is left: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTreeThatIsDeeperThanFilesMayBeOpenIsRemoved(t *testing.T) {
	t.Parallel()
	top := filepath.Join(t.TempDir(), "top")
	must(t, os.Mkdir(top, 0o700))
	at, err := unix.Open(top, unix.O_DIRECTORY, 0)
	must(t, err)
	for i := range 1500 {
		must(t, unix.Mkdirat(at, "d", 0o700))
		if i%100 == 0 { // names that are wanted for what is moved
			must(t, unix.Mkdirat(at, "moved"+strconv.Itoa(i/100+1), 0o700))
		}
		next, err := unix.Openat(at, "d", unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(at))
		at = next
	}
	must(t, unix.Close(at))
	removeAside(t, top, nil)
}

func TestClosedDirectoriesAreRemovedByTheirOwner(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0, 0o100, 0o200, 0o400, 0o500} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			above, err := os.MkdirTemp("", "removal")
			must(t, err)
			t.Cleanup(func() { os.RemoveAll(above) })
			top := filepath.Join(above, "top")
			dirs := []string{above, top, top + "/a", top + "/a/b"}
			for _, dir := range dirs[1:] {
				must(t, os.Mkdir(dir, 0o700))
				must(t, os.WriteFile(dir+"/file", nil, 0))
			}
			var user *syscall.Credential
			if os.Geteuid() == 0 {
				user = &syscall.Credential{Uid: 65534, Gid: 65534}
				for _, dir := range dirs {
					must(t, os.Chown(dir, 65534, 65534))
				}
			}
			for _, dir := range []string{top + "/a/b", top + "/a", top} {
				must(t, os.Chmod(dir, mode))
			}
			removeAside(t, top, user)
		})
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept", "file")
	must(t, os.Mkdir(filepath.Dir(kept), 0o500))
	t.Cleanup(func() { os.Chmod(filepath.Dir(kept), 0o700) })
	top := filepath.Join(dir, "top")
	must(t, os.MkdirAll(top+"/d", 0o700))
	must(t, os.Symlink("../../kept", top+"/d/link"))
	must(t, os.Symlink("kept", filepath.Join(dir, "link")))
	must(t, errors.Join(removal.Tree(top), removal.Tree(filepath.Join(dir, "link"))))
	info, err := os.Stat(filepath.Dir(kept))
	if err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("what a link leads to: %v, %v", info, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestWideTreeIsRemoved(t *testing.T) {
	t.Parallel()
	top := filepath.Join(t.TempDir(), "top")
	for i := range 3000 {
		path := filepath.Join(top, strconv.Itoa(i%7), strings.Repeat("n", 200)+strconv.Itoa(i))
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, nil, 0o600))
	}
	must(t, removal.Tree(top))
	if _, err := os.Lstat(top); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it is left")
	}
}

func TestWhatIsNotThereOrCannotBeRemoved(t *testing.T) {
	t.Parallel()
	if err := removal.Tree(filepath.Join(t.TempDir(), "nothing")); err != nil {
		t.Error(err)
	}
	if err := removal.Tree("/proc/self/task"); err == nil {
		t.Error("no error")
	}
}
