package jobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"geomill/host/internal/job"
)

var errCut = errors.New("cut off")

// Logs checks that what open returns is a job.Logs in the full sense.
func Logs(t *testing.T, open func(t testing.TB) job.Logs) {
	for name, test := range map[string]func(*testing.T, job.Logs){
		"lines come back as they were added":                 logsAppend,
		"a job without a log has an empty one":               logsEmpty,
		"a reader sees the log as it was when it was opened": logsReader,
		"a reader starts anew":                               logsSeek,
		"a removed log is empty, and may begin anew":         logsRemove,
		"logs of jobs do not mix":                            logsConcurrent,
		"a call with an ended context fails":                 logsContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func appendLog(t testing.TB, l job.Logs, id, lines string) {
	t.Helper()
	if err := l.Append(within(t), id, []byte(lines)); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

func openLog(t testing.TB, l job.Logs, id string) job.LogReader {
	t.Helper()
	r, err := l.Open(within(t), id)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

func wantLog(t testing.TB, r job.LogReader, want string) {
	t.Helper()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read log: %v", err)
	}
	if string(got) != want || r.Size() != int64(len(want)) {
		t.Errorf("log is %q, size %d, want %q", got, r.Size(), want)
	}
}

func logsAppend(t *testing.T, l job.Logs) {
	id := NewJob("p").ID
	appendLog(t, l, id, "one\n")
	appendLog(t, l, id, "two\n\xff three\x00\n")
	long := strings.Repeat("x", 100<<10) + "\n"
	appendLog(t, l, id, long)
	appendLog(t, l, id, "end\n")
	wantLog(t, openLog(t, l, id), "one\ntwo\n\xff three\x00\n"+long+"end\n")
}

func logsEmpty(t *testing.T, l job.Logs) {
	for _, id := range []string{NewJob("p").ID, "unknown", ""} {
		wantLog(t, openLog(t, l, id), "")
		if err := l.Remove(within(t), id); err != nil {
			t.Errorf("Remove of no log: %v", err)
		}
	}
}

func logsReader(t *testing.T, l job.Logs) {
	id := NewJob("p").ID
	appendLog(t, l, id, "one\n")
	before := openLog(t, l, id)
	appendLog(t, l, id, "two\n")
	after := openLog(t, l, id)
	if err := l.Remove(within(t), id); err != nil {
		t.Fatal(err)
	}
	wantLog(t, before, "one\n")
	wantLog(t, after, "one\ntwo\n")
}

func logsSeek(t *testing.T, l job.Logs) {
	id := NewJob("p").ID
	appendLog(t, l, id, "one\ntwo\n")
	r := openLog(t, l, id)
	wantLog(t, r, "one\ntwo\n")
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	wantLog(t, r, "one\ntwo\n")
}

func logsRemove(t *testing.T, l job.Logs) {
	id, other := NewJob("p").ID, NewJob("p").ID
	appendLog(t, l, id, "one\n")
	appendLog(t, l, other, "other\n")
	if err := l.Remove(within(t), id); err != nil {
		t.Fatal(err)
	}
	wantLog(t, openLog(t, l, id), "")
	wantLog(t, openLog(t, l, other), "other\n")
	appendLog(t, l, id, "new\n")
	wantLog(t, openLog(t, l, id), "new\n")
}

func logsConcurrent(t *testing.T, l job.Logs) {
	var writers sync.WaitGroup
	ids, wants := make([]string, 8), make([]bytes.Buffer, 8)
	for i := range ids {
		ids[i] = NewJob("p").ID
		writers.Go(func() {
			for n := range 50 {
				line := fmt.Sprintf("job %d line %d\n", i, n)
				wants[i].WriteString(line)
				if err := l.Append(context.Background(), ids[i], []byte(line)); err != nil {
					t.Errorf("Append: %v", err)
				}
			}
		})
	}
	writers.Wait()
	for i, id := range ids {
		wantLog(t, openLog(t, l, id), wants[i].String())
	}
}

func logsContext(t *testing.T, l job.Logs) {
	ctx, cancel := context.WithCancelCause(within(t))
	cancel(errCut)
	id := NewJob("p").ID
	fails(t, "Append", l.Append(ctx, id, []byte("one\n")), errCut)
	_, err := l.Open(ctx, id)
	fails(t, "Open", err, errCut)
	fails(t, "Remove", l.Remove(ctx, id), errCut)
	wantLog(t, openLog(t, l, id), "")
}
