package plugin

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"geomill/host/internal/job"

	"golang.org/x/sys/unix"
)

func TestResultDoesNotChangeOnceItIsHandedOver(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "cling")
	if err != nil {
		t.Fatal(err)
	}
	file := a.raw["out"].File
	change := map[string]job.Value{"change": {Data: []byte("now")}}
	if a, err = b.runWith(t.Context(), "cling", change, time.Second); err != nil {
		t.Fatal(err)
	}
	t.Logf("the plugin tried: %s", a.raw["out"].JSON)
	if got, err := os.ReadFile(file); err != nil || string(got) != "result" {
		t.Errorf("the result is now %q, %v", got, err)
	}
}

// handed is a file in out below a directory, which is returned.
func handed(t *testing.T) (root, file string) {
	t.Helper()
	root = t.TempDir()
	file = filepath.Join(root, "out", "file")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("result"), 0o600); err != nil {
		t.Fatal(err)
	}
	return root, file
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestFileThatNobodyWritesIsSealedWithoutACopy(t *testing.T) {
	t.Parallel()
	root, file := handed(t)
	reader, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if !closed(int(reader.Fd())) {
		t.Skip("NOT TESTED: the file system of temporary files gives no leases")
	}
	before := inode(t, file)
	if err := sealFile(root, job.Value{File: file, Size: 6}); err != nil {
		t.Fatal(err)
	}
	if inode(t, file) != before {
		t.Error("it was copied")
	}
}

func TestFileThatIsStillOpenForWritingIsSealedByACopy(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(*os.File) func(){
		"open": func(f *os.File) func() {
			return func() { _, _ = f.WriteAt([]byte("X"), 0); f.Close() }
		},
		"mapped": func(f *os.File) func() {
			b, err := unix.Mmap(int(f.Fd()), 0, 6, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			return func() { b[0] = 'X'; _ = unix.Munmap(b) }
		},
	} {
		root, file := handed(t)
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		write := hold(f)
		if err := sealFile(root, job.Value{File: file, Size: 6}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		write()
		if got, err := os.ReadFile(file); err != nil || string(got) != "result" {
			t.Errorf("%s: the file is now %q, %v", name, got, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
			t.Errorf("%s: left: %v", name, left)
		}
	}
}

func TestWhatIsNoFileOfItsOwnIsNotSealed(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(root, file string) error{
		"has another name": func(root, file string) error { return os.Link(file, filepath.Join(root, "other")) },
		"is a link": func(root, file string) error {
			return exchange(file, func() error { return os.Symlink("/etc/passwd", file) })
		},
		"is a pipe": func(root, file string) error {
			return exchange(file, func() error { return syscall.Mkfifo(file, 0o600) })
		},
		"is a directory":    func(root, file string) error { return exchange(file, func() error { return os.Mkdir(file, 0o700) }) },
		"is gone":           func(root, file string) error { return os.Remove(file) },
		"has another size":  func(root, file string) error { return os.Truncate(file, 5) },
		"is behind a link":  func(root, file string) error { return behind(filepath.Dir(file)) },
		"is all behind one": func(root, file string) error { return behind(root) },
	} {
		root, file := handed(t)
		if err := spoil(root, file); err != nil {
			t.Fatal(err)
		}
		if err := sealFile(root, job.Value{File: file, Size: 6}); err == nil {
			t.Errorf("a file that %s is sealed", name)
		}
	}
	root, _ := handed(t)
	if err := sealFile(root, job.Value{File: root + "x/file"}); err == nil {
		t.Error("a file elsewhere is sealed")
	}
}

func exchange(file string, by func() error) error {
	if err := os.Remove(file); err != nil {
		return err
	}
	return by()
}

// behind moves a directory and leaves a link to it.
func behind(dir string) error {
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		return err
	}
	return os.Symlink(dir+"-moved", dir)
}
