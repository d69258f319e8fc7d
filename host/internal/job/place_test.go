package job_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"geomill/host/internal/job"
)

// plan makes the directories of jobs and of an instance, and an attempt with an
// input and a checkpoint in the first.
func plan(t *testing.T) (a job.Attempt, root string) {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "jobs", "one")
	a = job.Attempt{JobID: "one", Number: 2, JobDir: dir, Dir: filepath.Join(dir, "2"), Checkpoint: filepath.Join(dir, "checkpoint")}
	root = filepath.Join(base, "work", "instance")
	a.Inputs = map[string]job.Value{"small": {Data: []byte("x")}, "large": {File: filepath.Join(a.Dir, "in", "large")}}
	write(t, a.Inputs["large"].File)
	write(t, filepath.Join(a.Checkpoint, "note"))
	must(t, os.MkdirAll(root, 0o700))
	return a, root
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a file that holds its own name.
func write(t *testing.T, path string) {
	t.Helper()
	must(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(filepath.Base(path)), 0o600)))
}

func holds(t *testing.T, path string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != filepath.Base(path) {
		t.Errorf("%q, %v", b, err)
	}
}

func lacks(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there (%v)", path, err)
	}
}

func TestPlacedAttemptHasAllOfItsJobInOneDirectoryAndTakesItHome(t *testing.T) {
	t.Parallel()
	a, root := plan(t)
	write(t, filepath.Join(root, "one", "1", "left", "of an attempt"))
	p, err := a.PlaceIn(root)
	must(t, err)
	if p.JobDir != root+"/one" || p.Dir != root+"/one/2" || p.Checkpoint != root+"/one/checkpoint" || string(p.Inputs["small"].Data) != "x" {
		t.Errorf("placed %+v", p)
	}
	holds(t, p.Inputs["large"].File)
	holds(t, filepath.Join(p.Checkpoint, "note"))
	lacks(t, a.JobDir)
	lacks(t, filepath.Join(root, "one", "1"))
	if a.Inputs["large"].File != filepath.Join(a.Dir, "in", "large") {
		t.Error("the order of the job was changed")
	}

	outputs := map[string]job.Value{"inline": {Data: []byte("y")}, "file": {File: filepath.Join(p.Dir, "out", "file")}}
	write(t, outputs["file"].File)
	must(t, a.TakeHome(p, outputs))
	holds(t, outputs["file"].File)
	if want := filepath.Join(a.Dir, "out", "file"); outputs["file"].File != want || string(outputs["inline"].Data) != "y" {
		t.Errorf("outputs %v", outputs)
	}
	holds(t, a.Inputs["large"].File)
	holds(t, filepath.Join(a.Checkpoint, "note"))
	lacks(t, p.JobDir)
}

func TestAttemptWithoutFilesIsNotMoved(t *testing.T) {
	t.Parallel()
	a, root := plan(t)
	a.Inputs, a.Checkpoint = map[string]job.Value{"small": {Data: []byte("x")}}, ""
	p, err := a.PlaceIn(root)
	must(t, err)
	if p.Dir != root+"/one/2" || p.Checkpoint != "" {
		t.Errorf("placed %+v", p)
	}
	lacks(t, p.JobDir)
	write(t, filepath.Join(p.Dir, "tmp", "scratch"))
	must(t, a.TakeHome(p, map[string]job.Value{"out": {Data: []byte("x")}}))
	holds(t, filepath.Join(p.Dir, "tmp", "scratch")) // for the owner of the place to remove

	a.JobDir = ""
	if p, err := a.PlaceIn(root); err != nil || p.Dir != a.Dir {
		t.Errorf("without a directory of its job: %+v, %v", p, err)
	}
}

func TestFilesAreTakenHomeAlthoughNoneWereBrought(t *testing.T) {
	t.Parallel()
	a, root := plan(t)
	must(t, os.RemoveAll(a.JobDir))
	a.Inputs = nil
	p, err := a.PlaceIn(root)
	must(t, err)
	must(t, a.TakeHome(p, nil)) // no checkpoint was made
	write(t, filepath.Join(p.Checkpoint, "note"))
	must(t, a.TakeHome(p, nil))
	holds(t, filepath.Join(a.Checkpoint, "note"))
}

// TestLinksThatAPluginLeavesLeadNobodyElsewhere puts links to the directory of
// another job in the place of each part of a job's own.
func TestLinksThatAPluginLeavesLeadNobodyElsewhere(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(p job.Attempt, other string) error{
		"job":      func(p job.Attempt, other string) error { return os.Symlink(other, p.JobDir) },
		"attempt":  func(p job.Attempt, other string) error { return os.Symlink(other+"/2", p.Dir) },
		"out":      func(p job.Attempt, other string) error { return os.Symlink(other+"/2/out", p.Dir+"/out") },
		"file":     func(p job.Attempt, other string) error { return os.Symlink(other+"/2/out/file", p.Dir+"/out/file") },
		"hardlink": func(p job.Attempt, other string) error { return os.Link(other+"/2/out/file", p.Dir+"/out/file") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, root := plan(t)
			p, err := a.PlaceIn(root)
			must(t, err)
			other := filepath.Join(filepath.Dir(a.JobDir), "two")
			write(t, filepath.Join(other, "2", "out", "file"))
			must(t, os.MkdirAll(filepath.Join(p.Dir, "out"), 0o700))
			link := map[string]string{"job": p.JobDir, "attempt": p.Dir, "out": p.Dir + "/out"}[name]
			if link != "" {
				must(t, os.RemoveAll(link))
			}
			must(t, plant(p, other))
			err = a.TakeHome(p, map[string]job.Value{"out": {File: filepath.Join(p.Dir, "out", "file")}})
			if err == nil || strings.Contains(err.Error(), "no such file") {
				t.Errorf("the file of another job is taken: %v", err)
			}
			holds(t, filepath.Join(other, "2", "out", "file"))
			if info, err := os.Lstat(a.JobDir); err == nil && !info.IsDir() {
				t.Error("a link is in the place of the job's directory")
			}
		})
	}
}

func TestWhatAttemptsOfADeadHostHadComesHome(t *testing.T) {
	t.Parallel()
	const id, detached = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"
	work := filepath.Join(t.TempDir(), "work")
	b := start(t, nil, func(c *job.Config) { c.WorkDir = work })
	b.stop()
	must(t, b.BringHome(nil)) // there is no such directory yet
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret)
	write(t, filepath.Join(work, "h1-1", id, "1", "in", "large"))
	write(t, filepath.Join(work, "h1-1", "scratch"))
	write(t, filepath.Join(work, "h1-1", "..data", "x"))
	must(t, os.Symlink(filepath.Dir(secret), filepath.Join(work, "h1-1", "01890a5d-ac96-774b-bcce-b302099a8059")))
	must(t, os.Symlink(filepath.Dir(secret), filepath.Join(work, "h1-2")))
	write(t, filepath.Join(work, "kept", detached, "1", "in", "large"))
	must(t, b.BringHome(func(place string) bool { return place == filepath.Join(work, "kept") }))
	holds(t, filepath.Join(b.dir, id, "1", "in", "large"))
	holds(t, filepath.Join(work, "kept", detached, "1", "in", "large"))
	holds(t, secret)
	left, err := os.ReadDir(work)
	if err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if home, err := os.ReadDir(b.dir); err != nil || len(home) != 1 {
		t.Errorf("at home: %v, %v", home, err)
	}
}
