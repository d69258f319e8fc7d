package host

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestInputIsFoundWhereverItsJobIs(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"jobs/one/in", "jobs/one/2/in", "work/h1-7/one/2/in"} {
		data := t.TempDir()
		dir := filepath.Join(data, filepath.FromSlash(place))
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "text"), []byte("content"), 0o600)); err != nil {
			t.Fatal(err)
		}
		roots, err := openInputRoots(data)
		if err != nil {
			t.Fatal(err)
		}
		defer roots.close()
		f, size, err := roots.openInput("one", "text")
		if err != nil {
			t.Errorf("%s: %v", place, err)
			continue
		}
		defer f.Close()
		if text, err := io.ReadAll(f); err != nil || string(text) != "content" || size != 7 {
			t.Errorf("%s: %q of %d, %v", place, text, size, err)
		}
		if _, _, err := roots.openInput("two", "text"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the input of another job: %v", err)
		}
	}
}
