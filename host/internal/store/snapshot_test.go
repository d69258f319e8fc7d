package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// succeed creates a job and has it end with outputs.
func succeed(t testing.TB, s *Store, outputs map[string]job.Value) job.Job {
	t.Helper()
	j, err := s.Create(t.Context(), jobtest.NewJob("p"), job.Order{})
	if err != nil {
		t.Fatal(err)
	}
	j.Status = ogc.Successful
	if j, err = s.Update(t.Context(), j, outputs); err != nil {
		t.Fatal(err)
	}
	return j
}

var large = job.Value{Data: bytes.Repeat([]byte("0123456789"), maxInline), MediaType: "text/plain"}

// copyTo makes a store of a snapshot in a directory.
func copyTo(t testing.TB, n *Snapshot, dir string) (jobs int) {
	t.Helper()
	l, err := NewLoader(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	jobs, err = n.Records(t.Context(), func(_ string, _ int64, r io.Reader) error { return l.Records(r) })
	if err == nil {
		err = n.Outputs(t.Context(), func(name string, size int64, r io.Reader) error {
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
				return err
			}
			content, err := io.ReadAll(r)
			if err != nil || int64(len(content)) != size {
				return fmt.Errorf("%d of %d bytes: %w", len(content), size, err)
			}
			return os.WriteFile(filepath.Join(dir, name), content, 0o600)
		})
	}
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	return jobs
}

func snapshot(t testing.TB, s *Store) *Snapshot {
	t.Helper()
	n, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func resultFiles(t testing.TB, s *Store) []string {
	t.Helper()
	files, err := filepath.Glob(s.path(resultsDir, "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestASnapshotIsTheStoreAsItWas(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	kept := succeed(t, s, map[string]job.Value{"big": large, "small": {JSON: []byte(`1`)}})
	removed := succeed(t, s, map[string]job.Value{"big": large})
	before := succeed(t, s, nil)
	if err := s.Delete(t.Context(), before.ID, before.Revision); err != nil {
		t.Fatal(err)
	}

	n := snapshot(t, s)
	if err := s.Delete(t.Context(), removed.ID, removed.Revision); err != nil {
		t.Fatal(err)
	}
	later := succeed(t, s, map[string]job.Value{"big": large})
	dir := t.TempDir()
	if jobs := copyTo(t, n, dir); jobs != 2 {
		t.Errorf("%d jobs", jobs)
	}
	n.Close()
	if files := resultFiles(t, s); len(files) != 2 {
		t.Errorf("after the snapshot the store has %v", files)
	}

	c := open(t, Config{Dir: dir})
	for _, id := range []string{kept.ID, removed.ID} {
		v, err := c.Output(t.Context(), id, "big")
		if err != nil {
			t.Fatal(err)
		}
		if content, err := os.ReadFile(v.File); err != nil || !bytes.Equal(content, large.Data) {
			t.Errorf("output of %s: %d bytes, %v", id, len(content), err)
		}
	}
	if got, err := c.Get(t.Context(), kept.ID); err != nil || got.Revision != kept.Revision || len(got.Outputs) != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := c.Get(t.Context(), before.ID); !errors.Is(err, job.ErrGone) {
		t.Errorf("a tombstone: %v", err)
	}
	if _, err := c.Get(t.Context(), later.ID); !errors.Is(err, job.ErrNoSuchJob) {
		t.Errorf("a job that came later: %v", err)
	}
	page, err := c.List(t.Context(), job.Filter{ProcessIDs: []string{"p"}, Statuses: []ogc.Status{ogc.Successful}}, job.Cursor{}, 10)
	if err != nil || len(page.Jobs) != 2 {
		t.Errorf("the list has %d jobs, %v", len(page.Jobs), err)
	}
	succeed(t, c, nil) // it is written to like any other
}

func TestThereIsOneSnapshotAtATime(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	n := snapshot(t, s)
	if _, err := s.Snapshot(); !errors.Is(err, ErrSnapshot) {
		t.Errorf("a second snapshot: %v", err)
	}
	n.Close()
	n.Close()
	snapshot(t, s).Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Snapshot(); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestWhatASnapshotHeldIsRemovedAfterACrash(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	j := succeed(t, s, map[string]job.Value{"big": large})
	n := snapshot(t, s)
	if err := s.Delete(t.Context(), j.ID, j.Revision); err != nil {
		t.Fatal(err)
	}
	if len(resultFiles(t, s)) != 1 {
		t.Fatal("the snapshot holds nothing")
	}
	// As a crash leaves it: Close would remove the file.
	n.txn.Discard()
	s.readers.RUnlock()
	n.closed.Store(true)
	s = reopen(t, s)
	left, err := os.ReadDir(s.path(heldDir))
	if files := resultFiles(t, s); len(files) > 0 || len(left) > 0 || err != nil {
		t.Errorf("left: %v, %v, %v", files, left, err)
	}
}

func TestASnapshotEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	succeed(t, s, map[string]job.Value{"big": large})
	n := snapshot(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	add := func(string, int64, io.Reader) error { return nil }
	if _, err := n.Records(ctx, add); !errors.Is(err, context.Canceled) {
		t.Errorf("records: %v", err)
	}
	if err := n.Outputs(ctx, add); !errors.Is(err, context.Canceled) {
		t.Errorf("outputs: %v", err)
	}
}

func TestALostOutputIsNamed(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	j := succeed(t, s, map[string]job.Value{"big": large})
	if err := os.Remove(resultFiles(t, s)[0]); err != nil {
		t.Fatal(err)
	}
	err := snapshot(t, s).Outputs(t.Context(), func(string, int64, io.Reader) error { return nil })
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "output big of job "+j.ID) {
		t.Errorf("got %v", err)
	}
}

func TestOrdersMoveWithTheDirectoryOfTheJobs(t *testing.T) {
	t.Parallel()
	s := open(t, Config{Dir: t.TempDir(), JobsDir: "/before/jobs"})
	j := jobtest.NewJob("p")
	below := "/" + j.ID + "/in/x"
	o := job.Order{Inputs: map[string]job.Value{"x": {File: "/before/jobs" + below}, "other": {File: "/else/where"}, "y": {JSON: []byte(`1`)}}}
	if _, err := s.Create(t.Context(), j, o); err != nil {
		t.Fatal(err)
	}
	if o.Inputs["x"].File != "/before/jobs"+below {
		t.Error("the caller's order was changed")
	}
	s.config.JobsDir = "/after/jobs"
	s = reopen(t, s)
	got, err := s.Order(t.Context(), j.ID)
	if err != nil || got.Inputs["x"].File != "/after/jobs"+below || got.Inputs["other"].File != "/else/where" || string(got.Inputs["y"].JSON) != "1" {
		t.Errorf("got %+v, %v", got.Inputs, err)
	}
}

func TestALoaderRefusesWhatCouldDoHarm(t *testing.T) {
	t.Parallel()
	i, _ := parseID(jobtest.NewJob("p").ID)
	other, _ := parseID(jobtest.NewJob("p").ID)
	frame := func(key []byte, value string) []byte { return appendFrame(nil, key, []byte(value), 0) }
	output := func(path string) []byte {
		return frame(outputKey(i, "x"), string(encodeOutput(job.Value{File: path, Size: 1})))
	}
	order := func(path string) []byte { return frame(orderKey(i), fmt.Sprintf(`{"inputs":{"x":{"file":%q}}}`, path)) }
	record := func(status string) []byte {
		return frame(jobKey(i), "\x00\x00\x00\x00\x00\x00\x00\x01"+`{"process":"p","status":"`+status+`","created":"2026-01-01T00:00:00Z","updated":"2026-01-01T00:00:00Z"}`)
	}
	for name, row := range map[string]struct {
		part []byte
		want string // or all is well
	}{
		"a job":                       {record("accepted"), ""},
		"an order":                    {order(i.String() + "/in/x"), ""},
		"an unknown key":              {frame([]byte("zebra"), "x"), ""},
		"an output beside the store":  {output("../../etc/passwd"), "is a file elsewhere"},
		"an absolute output":          {output("/etc/passwd"), "is a file elsewhere"},
		"an output of another job":    {output("results/" + other.String() + "/1-x/0"), "is a file elsewhere"},
		"an output with a way out":    {output("results/" + i.String() + "/../0"), "is a file elsewhere"},
		"an output of another name":   {output("results/" + i.String() + "/1-x/passwd"), "is a file elsewhere"},
		"an output that is not there": {output("results/" + i.String() + "/1-x/0"), "is missing"},
		"an absolute input":           {order("/etc/passwd"), "is a file elsewhere"},
		"an input with a way out":     {order(i.String() + "/in/.."), "is a file elsewhere"},
		"an input of another job":     {order(other.String() + "/in/x"), "is a file elsewhere"},
		"a record that is no JSON":    {frame(jobKey(i), "12345678{"), "decode record"},
		"a record that is cut off":    {frame(jobKey(i), "1"), "cut off"},
		"a status that is none":       {record("lost"), "cannot be stored"},
		"a key without a job":         {frame([]byte("j1"), "x"), "has no job"},
		"an active job without an id": {frame([]byte("a1"), ""), "has no job"},
		"a removed job without an id": {frame([]byte("d1"), ""), "has no job"},
		"a huge key":                  {[]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0}, "an entry has a key of"},
		"an empty key":                {frame(nil, "x"), "an entry has a key of 0"},
		"a frame that is cut off":     {record("accepted")[:20], "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := NewLoader(t.TempDir(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if err = l.Records(bytes.NewReader(row.part)); err != nil {
				l.Abort()
			} else {
				err = l.Close()
			}
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func FuzzLoader(f *testing.F) {
	i, _ := parseID("01900000-0000-7000-8000-000000000000")
	now := time.Unix(0, 0)
	record, err := encodeRecord(job.Job{ProcessID: "p", Status: ogc.Accepted, Created: now, Updated: now})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(appendFrame(nil, jobKey(i), record, 0))
	f.Add(appendFrame(nil, outputKey(i, "x"), encodeOutput(job.Value{File: "results/x", Size: 1}), 7))
	f.Fuzz(func(t *testing.T, part []byte) {
		for in := newFrames(bytes.NewReader(part)); ; {
			e, err := readFrame(in)
			if err != nil {
				return
			}
			_ = checkEntry(e) // it is only not to panic
		}
	})
}

func TestASnapshotHasTheLogsOfItsJobs(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	log := func(id, text string) string {
		name := filepath.Join(logsDir, id[len(id)-2:], id)
		if err := os.MkdirAll(s.path(filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	name := log(succeed(t, s, nil).ID, "one\ntwo\n")
	n := snapshot(t, s)
	log(succeed(t, s, nil).ID, "later\n")
	log("01900000-0000-7000-8000-000000000000", "of no job\n")
	got := map[string]string{}
	err := n.Logs(t.Context(), func(name string, size int64, r io.Reader) error {
		if err := os.Truncate(s.path(name), 5); err != nil {
			return err
		}
		content, err := io.ReadAll(io.LimitReader(r, size))
		got[name] = string(content)
		return err
	})
	if err != nil || len(got) != 1 || got[name] != "one\nt\n\n\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
