package wire

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestJobDirectoryIsNotFollowedOutOfItsRoot(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(root, outside string) error{
		"the directory of the job":     func(root, outside string) error { return os.Symlink(outside, filepath.Join(root, "job")) },
		"the directory of the attempt": func(root, outside string) error { return plantBelow(root, "job", "1", outside) },
		"the directory of inputs":      func(root, outside string) error { return plantBelow(root, "job/1", "in", outside) },
		"the input": func(root, outside string) error {
			return plantBelow(root, "job/1/in", "x", filepath.Join(outside, "x"))
		},
	} {
		root, outside := t.TempDir(), t.TempDir()
		if err := plant(root, outside); err != nil {
			t.Fatal(err)
		}
		d := &jobDir{path: filepath.Join(root, "job", "1"), base: root}
		rel, err := d.write(inDir, "x", []byte("secret"))
		d.close()
		if left, e := os.ReadDir(outside); e != nil || len(left) > 0 {
			t.Errorf("%s: %v is outside (%s, %v)", name, left, rel, errors.Join(err, e))
		}
	}
}

// plantBelow makes a directory with a link in it.
func plantBelow(root, dir, name, to string) error {
	at := filepath.Join(root, dir)
	return errors.Join(os.MkdirAll(at, 0o700), os.Symlink(to, filepath.Join(at, name)))
}

func TestJobDirectoryIsMadeInItsRoot(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := &jobDir{path: filepath.Join(root, "job", "1"), base: root}
	defer d.close()
	rel, err := d.write(inDir, "x", []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(d.abs(rel)); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	other := &jobDir{path: root + "-beside", base: root}
	if _, err := other.write(inDir, "x", nil); err == nil {
		t.Error("a directory beside the root is made")
	}
}
