package plugin

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeFile is what refusal looks at.
type fakeFile struct {
	mode fs.FileMode
	uid  uint32
	size int64
}

func (f fakeFile) Name() string       { return "p" }
func (f fakeFile) Size() int64        { return f.size }
func (f fakeFile) Mode() fs.FileMode  { return f.mode }
func (f fakeFile) ModTime() time.Time { return time.Time{} }
func (f fakeFile) IsDir() bool        { return f.mode.IsDir() }
func (f fakeFile) Sys() any           { return &syscall.Stat_t{Uid: f.uid} }

func TestRefusalNamesWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		file fakeFile
		want string // contained; empty: accepted
	}{
		{"own", fakeFile{0o755, 1000, 1}, ""},
		{"of root", fakeFile{0o755, 0, 1}, ""},
		{"only for the owner", fakeFile{0o700, 1000, 1}, ""},
		{"not executable", fakeFile{0o644, 1000, 1}, "not executable: chmod +x /plugins/p"},
		{"writable by the group", fakeFile{0o775, 1000, 1}, "chmod go-w /plugins/p"},
		{"writable by all", fakeFile{0o757, 1000, 1}, "chmod go-w /plugins/p"},
		{"of another user", fakeFile{0o755, 1001, 1}, "owned by user 1001"},
		{"socket", fakeFile{0o755 | fs.ModeSocket, 1000, 1}, "not a regular file"},
		{"empty", fakeFile{0o755, 1000, 0}, "empty file: build or copy it anew"},
	} {
		got := ""
		if unfit := (candidate{path: "/plugins/p"}).refusal(c.file, 1000); unfit != nil {
			got = unfit.Error()
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDiscoverListsCandidatesAndWhatWasMeantAsOne(t *testing.T) {
	t.Parallel()
	dir := quick(t).Dir
	elsewhere := filepath.Join(dir, "..")
	place(t, elsewhere, "real", []byte("x"), 0o755)
	place(t, dir, "b", []byte("x"), 0o755)
	place(t, dir, "a", []byte("x"), 0o755)
	place(t, dir, "notes.txt", []byte("x"), 0o644)
	place(t, dir, ".hidden", []byte("x"), 0o755)
	place(t, dir, "half.tmp", []byte("x"), 0o755)
	for link, target := range map[string]string{"link": "../real", "broken": "../nothing", "to-dir": ".."} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	found, skips, err := discover(dir, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	var names, skipped []string
	for _, c := range found {
		names = append(names, c.file)
		if (c.file == "link") != (c.target != "") {
			t.Errorf("%s leads to %q", c.file, c.target)
		}
	}
	for _, s := range skips {
		skipped = append(skipped, s.file+": "+s.unfit.Error())
	}
	if got := strings.Join(names, " "); got != "a b link" {
		t.Errorf("found %q", got)
	}
	if len(skipped) != 2 || !strings.HasPrefix(skipped[0], "broken: symbolic link leads nowhere") || !strings.HasPrefix(skipped[1], "notes.txt: not executable") {
		t.Errorf("skipped %q", skipped)
	}
}

func TestDirectoryThatAnyoneCanWriteToIsRefused(t *testing.T) {
	t.Parallel()
	dir := quick(t).Dir
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, _, err := discover(dir, os.Geteuid()); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Error(err)
	}
	if err := os.Symlink(dir, dir+"-link"); err != nil {
		t.Fatal(err)
	}
	other := quick(t).Dir
	place(t, dir, "p", []byte("x"), 0o755)
	if err := os.Symlink(filepath.Join(dir, "p"), filepath.Join(other, "p")); err != nil {
		t.Fatal(err)
	}
	_, skips, err := discover(other, os.Geteuid())
	if err != nil || len(skips) != 1 || !strings.Contains(skips[0].unfit.Error(), "writable by everyone") {
		t.Errorf("a link into it: %v, %v", skips, err)
	}
}

func TestOnlyTheHashedContentIsExecuted(t *testing.T) {
	t.Parallel()
	dir := quick(t).Dir
	path := place(t, dir, "p", []byte("first"), 0o755)
	open := func() *executable {
		t.Helper()
		found, _, err := discover(dir, os.Geteuid())
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		e, err := openExecutable(found[0], os.Geteuid(), unhashed)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.close)
		return e
	}
	usable := func(e *executable) error {
		f, err := e.duplicate()
		if err == nil {
			f.Close()
		}
		return err
	}
	first := open()
	if want := "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"; first.hash != want {
		t.Errorf("hash is %s, want %s", first.hash, want)
	}
	place(t, dir, "p", []byte("other"), 0o755)
	if err := usable(first); err != nil {
		t.Errorf("replaced by a rename: %v", err)
	}
	second := open()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := usable(second); err != nil {
		t.Errorf("touched: %v", err)
	}
	if err := os.WriteFile(path, []byte("OTHER"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, fi.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := usable(second); err != errChanged {
		t.Errorf("written to, times set back: %v", err)
	}
	second.close()
	if err := usable(second); err == nil {
		t.Error("closed, and usable")
	}
}
