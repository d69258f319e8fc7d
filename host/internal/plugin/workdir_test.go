package plugin

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// finds is what the process "look" has seen.
type finds struct {
	PID                   int
	Dir, Checkpoint, Root string
	Seen                  []string
	Input                 string
}

// looks runs an attempt of such a process.
func (b *bench) looks(id string, change func(*job.Attempt)) (job.Attempt, finds, error) {
	b.t.Helper()
	p, err := b.host.Process(id)
	if err != nil {
		b.t.Fatal(err)
	}
	a := b.attempt(p, nil, time.Second)
	if change != nil {
		change(&a)
	}
	var f finds
	out, err := b.host.Execute(b.t.Context(), a, &events{})
	if err == nil {
		err = json.Unmarshal(out["out"].JSON, &f)
	}
	return a, f, err
}

// withFile gives an attempt an input in a file, and a checkpoint.
func withFile(t *testing.T) func(a *job.Attempt) {
	return func(a *job.Attempt) {
		file := filepath.Join(a.Dir, "in", "content")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("large"), 0o600); err != nil {
			t.Fatal(err)
		}
		a.Inputs = map[string]job.Value{"content": {File: file, Size: 5}}
		a.Checkpoint = filepath.Join(a.JobDir, "checkpoint")
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestJobsOfAnInstanceHaveTheirFilesInItsDirectory(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	for _, id := range []string{"look", "look-alone", "look-once"} {
		a, f, err := b.looks(id, withFile(t))
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(f.Root) != cfg.WorkDir || filepath.Dir(filepath.Dir(f.Checkpoint)) != f.Root || f.Input != "large" {
			t.Errorf("%s: %+v", id, f)
		}
		for _, name := range []string{"1/in/content", "1/trace", "checkpoint/trace"} {
			if !exists(filepath.Join(a.JobDir, name)) {
				t.Errorf("%s: %s is not at home", id, name)
			}
		}
		if exists(filepath.Join(f.Root, a.JobID)) {
			t.Errorf("%s: the directory of the job is still with the instance", id)
		}
	}
	b.stop()
	if left, err := os.ReadDir(cfg.WorkDir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestOutputFileComesHome(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	in := map[string]job.Value{"content": {Data: []byte("abc")}, "type": {Data: []byte("text/plain")}}
	a, err := b.runWith(t.Context(), "file", in, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	file := a.raw["out"].File
	if text, err := os.ReadFile(file); err != nil || string(text) != "abc" || filepath.Dir(filepath.Dir(filepath.Dir(file))) != filepath.Join(filepath.Dir(b.dir), "jobs") {
		t.Errorf("%s: %q, %v", file, text, err)
	}
}

func TestInstanceOfOneJobAtATimeSeesNothingOfEarlierJobs(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	var first finds
	for n := range 3 {
		_, f, err := b.looks("look-alone", nil)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = f
		}
		if len(f.Seen) > 0 || f.Root != first.Root || f.PID != first.PID {
			t.Errorf("%+v, the first %+v", f, first)
		}
	}
}

func TestWhatJobsLeaveInASharedInstanceIsRemovedInTime(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.HeartbeatEvery, cfg.HeartbeatMisses = 50*time.Millisecond, 1000
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	a, f, err := b.looks("look", nil)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the files of the job to go", func() bool { return !exists(filepath.Join(f.Root, a.JobID)) && !exists(filepath.Join(f.Root, "trace")) })
	if !exists(f.Root) {
		t.Error("the directory of the instance is gone")
	}
}

func TestCheckpointOutlivesItsInstance(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	for _, id := range []string{"look", "look-alone", "look-once"} {
		a, _, err := b.looks(id, func(a *job.Attempt) {
			withFile(t)(a)
			a.Inputs["end"] = job.Value{Data: []byte("now")}
		})
		if f := failureOf(t, err); f.Kind != job.PluginDied {
			t.Errorf("%s: %v", id, err)
		}
		for _, name := range []string{"1/in/content", "checkpoint/trace"} {
			if !exists(filepath.Join(a.JobDir, name)) {
				t.Errorf("%s: %s is not at home", id, name)
			}
		}
	}
	eventually(t, "the directories of the instances to go", func() bool {
		left, err := os.ReadDir(cfg.WorkDir)
		return err == nil && len(left) == 0
	})
}

func TestDirectoryThatIsMeasuredIsNoLitter(t *testing.T) {
	t.Parallel()
	w := &workDir{path: t.TempDir(), log: quiet()}
	dir := filepath.Join(w.path, "job")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w.measured.Store("job", nil)
	for range 3 {
		w.tidy(func(string) bool { return false })
	}
	if !exists(dir) {
		t.Fatal("it is removed")
	}
	(&allowance{work: w, job: "job"}).close()
	for range 2 {
		w.tidy(func(string) bool { return false })
	}
	if exists(dir) {
		t.Error("it is left")
	}
}
