package plugin

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhatIsLeftOfAHostIsSweptLater(t *testing.T) {
	t.Parallel()
	base := filepath.Dir(quick(t).RunDir)
	dir, err := openRunDir(filepath.Join(base, "r"), quiet())
	if err != nil {
		t.Fatal(err)
	}
	stuck := filepath.Join(dir.path, "stuck")
	if err := os.Mkdir(stuck, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", stuck, "tmpfs", 0, ""); err != nil {
		dir.close()
		t.Skipf("NOT TESTED: nothing is mounted here, which could not be removed: %v", err)
	}
	dir.close()
	if _, err := os.Stat(filepath.Join(dir.path, lockFile)); err != nil {
		t.Errorf("the lock is gone: %v", err)
	}
	if err := unix.Unmount(stuck, 0); err != nil {
		t.Fatal(err)
	}
	sweep(filepath.Join(base, "r"), quiet())
	if _, err := os.Stat(dir.path); !os.IsNotExist(err) {
		t.Errorf("not swept: %v", err)
	}
}
