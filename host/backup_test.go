package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/host"
	"geomill/host/internal/archive"
)

var quiet = slog.New(slog.DiscardHandler)

// submitter submits jobs, and removes some that have ended, until it is stopped.
type submitter struct {
	mu       sync.Mutex
	accepted map[string]string // job to name
	removed  map[string]bool   // before or after it is asked for
	stop     chan struct{}
}

func (s *submitter) run(c *web, client int) error {
	for k := 0; ; k++ {
		select {
		case <-s.stop:
			return nil
		default:
		}
		name := fmt.Sprintf("%d-%d", client, k)
		path, inputs := hello, `{"name":"`+name+`"}`
		if client%4 == 0 { // large enough to be files
			path, inputs = echo, `{"text":"Hello `+name+`!`+strings.Repeat(" ", 300<<10)+`"}`
		}
		r, err := c.send("POST", path, `{"inputs":`+inputs+`}`, "Prefer", "respond-async")
		if err != nil || r.StatusCode != 201 {
			return errors.Join(err, fmt.Errorf("%v, want 201", r))
		}
		s.mu.Lock()
		s.accepted[r.job()] = name
		s.mu.Unlock()
		if k%3 == 2 {
			if err := s.remove(c, r.job()); err != nil {
				return err
			}
		}
	}
}

// remove dismisses a job and, once it has ended, removes it.
func (s *submitter) remove(c *web, path string) error {
	s.mu.Lock()
	s.removed[path] = true
	s.mu.Unlock()
	for range 2 {
		if r, err := c.send("DELETE", path, ""); err != nil || r.StatusCode/100 != 2 && r.StatusCode != 410 {
			return errors.Join(err, fmt.Errorf("%v", r))
		}
	}
	return nil
}

// known returns the jobs that are accepted by now and not to be removed.
func (s *submitter) known() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs := map[string]string{}
	for path, name := range s.accepted {
		if !s.removed[path] {
			jobs[path] = name
		}
	}
	return jobs
}

// TestABackupUnderLoadHasEveryAcceptedJob backs up a host, several times, while 16
// clients submit and remove jobs with large inputs and outputs.
func TestABackupUnderLoadHasEveryAcceptedJob(t *testing.T) {
	t.Parallel()
	dir, restored := t.TempDir(), t.TempDir()
	in := startInside(t, dir, "hello-world", "echo")
	s := &submitter{accepted: map[string]string{}, removed: map[string]bool{}, stop: make(chan struct{})}
	c := newWeb(t, in.url)
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			if err := s.run(c, i); err != nil {
				t.Error(err)
			}
		})
	}
	var backup bytes.Buffer
	var before map[string]string
	for n := range 3 {
		eventually(t, func() error {
			if len(s.known()) < 20*(n+1) {
				return errors.New("too few jobs")
			}
			return nil
		})
		backup.Reset()
		before = s.known()
		summary, err := host.Backup(t.Context(), filepath.Join(dir, "data"), &backup, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if summary.Jobs < len(before) {
			t.Errorf("%d jobs in the backup, %d were accepted before", summary.Jobs, len(before))
		}
	}
	close(s.stop)
	clients.Wait()
	if err := in.stop(); err != nil {
		t.Error(err)
	}
	if held, err := os.ReadDir(filepath.Join(dir, "data", "store", "held")); err != nil || len(held) > 0 {
		t.Errorf("held beyond the backup: %v, %v", held, err)
	}

	// The host's directory is of no use any more.
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Restore(t.Context(), &backup, filepath.Join(restored, "data"), quiet); err != nil {
		t.Fatal(err)
	}
	checkRestored(t, restored, before)
}

// checkRestored starts a host on a restored directory: the jobs are there and end
// well, unless they were running.
func checkRestored(t *testing.T, dir string, jobs map[string]string) {
	in := startInside(t, dir, "hello-world", "echo")
	c := newWeb(t, in.url)
	for path, name := range jobs {
		end := c.await(t, path, "successful", "failed")
		if end.Status == "failed" {
			if !strings.Contains(end.Message, "the server crashed while the process ran") {
				t.Errorf("%s failed: %s", path, end.Message)
			}
			continue
		}
		if r := c.must(t, 200, "GET", path+"/results", ""); !strings.Contains(string(r.body), "Hello "+name+"!") {
			t.Errorf("%s: %v, want %s", path, r, name)
		}
	}
	// Jobs that were removed during the backup are whole as well.
	var list struct{ Jobs []status }
	r := c.must(t, 200, "GET", "/jobs?status=successful&limit=1000", "")
	if err := json.Unmarshal(r.body, &list); err != nil {
		t.Fatal(err)
	}
	for _, j := range list.Jobs {
		c.must(t, 200, "GET", "/jobs/"+j.JobID+"/results", "")
	}
	if err := in.stop(); err != nil {
		t.Error(err)
	}
}

// packed is a backup of files by name and content.
func packed(t *testing.T, files ...[2]string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, "1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := w.Add(f[0], int64(len(f[1])), strings.NewReader(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(0); err != nil {
		t.Fatal(err)
	}
	return &b
}

// huge is a backup whose only file claims to be larger than the disk.
func huge(t *testing.T) io.Reader {
	t.Helper()
	r, pipe := io.Pipe()
	go func() {
		w, err := archive.NewWriter(pipe, "1", time.Now())
		if err == nil {
			err = w.Add("cursor.key", 1<<60, zeros{})
		}
		_ = pipe.CloseWithError(err)
	}()
	t.Cleanup(func() { _ = r.Close() })
	return r
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestARefusedRestoreLeavesNothing(t *testing.T) {
	t.Parallel()
	const id = "01900000-0000-7000-8000-000000000000"
	whole, err := io.ReadAll(packed(t, [2]string{"cursor.key", strings.Repeat("k", 32)}))
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		backup io.Reader
		want   string
	}{
		"a plugin":                {packed(t, [2]string{"plugins/evil", "#!"}), "none of Geomill's"},
		"the database itself":     {packed(t, [2]string{"store/db/MANIFEST", "1"}), "none of Geomill's"},
		"the socket":              {packed(t, [2]string{"admin.sock", "1"}), "none of Geomill's"},
		"an input elsewhere":      {packed(t, [2]string{"jobs/" + id + "/1/in/x", "1"}), "none of Geomill's"},
		"an input of no job":      {packed(t, [2]string{"jobs/x/in/x", "1"}), "none of Geomill's"},
		"a hidden input":          {packed(t, [2]string{"jobs/" + id + "/in/.x", "1"}), "none of Geomill's"},
		"a result of no number":   {packed(t, [2]string{"store/results/" + id + "/1-x/x", "1"}), "none of Geomill's"},
		"a log of no job":         {packed(t, [2]string{"store/logs/00/x", "1"}), "none of Geomill's"},
		"a mark":                  {packed(t, [2]string{"store/held/" + id + "+", ""}), "none of Geomill's"},
		"a file twice":            {packed(t, [2]string{"cursor.key", "1"}, [2]string{"cursor.key", "1"}), "has cursor.key twice"},
		"records that are none":   {packed(t, [2]string{"store/records/1", "hello"}), "load records"},
		"a job that is not there": {packed(t, [2]string{"store/records/1", "\x11\x00\x00a" + strings.Repeat("x", 16)}), "open store"},
		"more than the disk has":  {huge(t), "the disk is almost full"},
		"one cut off":             {bytes.NewReader(whole[:len(whole)-1]), "damaged or cut off"},
		"no backup":               {strings.NewReader("hello"), "no backup of Geomill"},
		"one that cannot be read": {io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), broken{}), "lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := host.Restore(t.Context(), row.backup, filepath.Join(dir, "data"), quiet)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the disk is lost") }

func TestARestoreIsForEmptyDirectoriesOnly(t *testing.T) {
	t.Parallel()
	backup := func() io.Reader { return packed(t, [2]string{"cursor.key", strings.Repeat("k", 32)}) }
	dir := t.TempDir()
	full, empty, link := filepath.Join(dir, "full"), filepath.Join(dir, "empty"), filepath.Join(dir, "link")
	for _, name := range []string{full, empty} {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(full, "x"), []byte("mine"), 0o600), os.Symlink(empty, link)); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Restore(t.Context(), backup(), full, quiet); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("into a full directory: %v", err)
	}
	if _, err := host.Restore(t.Context(), backup(), link, quiet); err != nil {
		t.Errorf("through a link: %v", err)
	}
	if _, err := os.Stat(filepath.Join(empty, "cursor.key")); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(filepath.Join(full, "x")); err != nil || string(content) != "mine" {
		t.Errorf("the full directory has %q, %v", content, err)
	}
}

func TestABackupThatCannotBeWrittenSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := startInside(t, dir)
	data := filepath.Join(dir, "data")
	if _, err := host.Backup(t.Context(), data, full{}, quiet); err == nil || err.Error() != "backup: no room" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := host.Backup(ctx, data, io.Discard, quiet); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	eventually(t, func() error { // the server has let go of the first
		_, err := host.Backup(t.Context(), data, io.Discard, quiet)
		return err
	})
	if err := in.stop(); err != nil {
		t.Error(err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }
