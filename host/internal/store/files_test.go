package store

import (
	"os"
	"path/filepath"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func withFile(t testing.TB, s *Store) (job.Job, job.Value) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := created(t, s)
	j.Status, j.Attempt = ogc.Successful, 1
	j, err := s.Update(ctx(t), j, map[string]job.Value{"o": {File: path}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Output(ctx(t), j.ID, "o")
	if err != nil || v.Size != 7 {
		t.Fatalf("Output = %+v, %v", v, err)
	}
	return j, v
}

func TestFilesGoWithTheirJob(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	j, _ := withFile(t, s)
	nothingUnder(t, s, pendingDir)
	if err := s.Delete(ctx(t), j.ID, j.Revision); err != nil {
		t.Fatal(err)
	}
	nothingUnder(t, s, pendingDir, resultsDir)
}

func TestALinkIsNoOutput(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(ctx(t), created(t, s), map[string]job.Value{"o": {File: link}}); err == nil {
		t.Error("a symbolic link was stored as an output")
	}
	nothingUnder(t, s, pendingDir, resultsDir)
}

func TestALosingUpdateLeavesItsFilesAlone(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := created(t, s)
	j.Revision--
	if _, err := s.Update(ctx(t), j, map[string]job.Value{"o": {File: path}}); err == nil {
		t.Error("an old revision was updated")
	}
	nothingUnder(t, s, pendingDir, resultsDir)
}

// What a kill leaves at each point between moving files and telling of it.
func TestOpenSweepsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	kept, v := withFile(t, s)
	staged, deleted := created(t, s), created(t, s)
	id := func(j job.Job) id { i, _ := parseID(j.ID); return i }

	// Linked, but the mark was not removed.
	linked := filepath.Base(filepath.Dir(v.File))
	// Moved, but not linked.
	orphan := s.path(resultsDir, staged.ID, "1-x")
	// The job is gone, but its files are not.
	left := s.path(resultsDir, deleted.ID, "1-x")
	for _, dir := range []string{orphan, left} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "0"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(ctx(t), deleted.ID, deleted.Revision); err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		i   job.Job
		sub string
	}{{kept, linked}, {kept, ""}, {kept, "2-never"}, {staged, "1-x"}, {deleted, ""}} {
		if err := s.mark(id(m.i), m.sub); err != nil {
			t.Fatal(err)
		}
	}

	s = reopen(t, s)
	nothingUnder(t, s, pendingDir)
	entries, err := os.ReadDir(s.path(resultsDir))
	if err != nil || len(entries) != 1 || entries[0].Name() != kept.ID {
		t.Errorf("results hold %v, %v; want those of one job", entries, err)
	}
	if b, err := os.ReadFile(v.File); err != nil || string(b) != "content" {
		t.Errorf("the linked output is %q, %v", b, err)
	}
}

func TestAStoreCanBeMoved(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	j, _ := withFile(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(s.config.Dir, moved); err != nil {
		t.Fatal(err)
	}
	s = open(t, Config{Dir: moved})
	v, err := s.Output(ctx(t), j.ID, "o")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(v.File); err != nil || string(b) != "content" {
		t.Errorf("the output is %q, %v", b, err)
	}
}

func TestCopyFileRefusesLinksAndExistingTargets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to, link := filepath.Join(dir, "from"), filepath.Join(dir, "to"), filepath.Join(dir, "link")
	if err := os.WriteFile(from, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(from, link); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(link, to); err == nil {
		t.Error("a link was copied")
	}
	if err := copyFile(from, to); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(to); err != nil || string(b) != "content" {
		t.Errorf("the copy is %q, %v", b, err)
	}
	if err := copyFile(from, to); err == nil {
		t.Error("an existing file was overwritten")
	}
}
