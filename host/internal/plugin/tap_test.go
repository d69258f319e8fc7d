package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// said runs a process that says a word, and returns the lines that were
// attributed to the job, stream by stream.
func said(ctx context.Context, b *bench, id, word string) (lines []string, err error) {
	p, err := b.host.Process(id)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	_, err = b.host.Execute(ctx, job.Attempt{
		JobID: newID(), Number: 1, Process: p, Inputs: map[string]job.Value{"say": {Data: []byte(word), MediaType: "text/plain"}},
		Dir: filepath.Join(b.dir, "..", "job"), Grace: time.Second,
		Console: func(stream string, level slog.Level, line string, fields json.RawMessage) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, fmt.Sprintf("%s %s %s%s", stream, level, line, fields))
		},
	}, &events{})
	mu.Lock()
	defer mu.Unlock()
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(a[:6], b[:6]) })
	return slices.Clone(lines), err
}

func TestLinesOfAnInstanceOfItsOwnAreTheJobs(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	var clients sync.WaitGroup
	for client, process := range []string{"alone", "alone", "once"} {
		clients.Go(func() {
			for n := range 12 {
				word := fmt.Sprintf("%d-%d", client, n)
				lines, err := said(t.Context(), b, process, word)
				want := []string{"stderr INFO plain " + word, "stderr WARN structured " + word + `{"depth":3}`, "stdout INFO out " + word, "stdout INFO unended " + word}
				if err != nil || !slices.Equal(lines, want) {
					t.Errorf("%s: job %s has %q (%v)", process, word, lines, err)
				}
			}
		})
	}
	clients.Wait()
	eventually(t, "the lines in the log of the host", func() bool {
		return b.logs.record("plain 0-11") != nil && b.logs.record("unended 2-11") != nil
	})
}

func TestTheLastWordsOfAnInstanceAreTheJobs(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	for _, process := range []string{"alone", "once"} {
		lines, err := said(t.Context(), b, process, "farewell")
		if f := failureOf(t, err); f.Kind != job.PluginDied {
			t.Errorf("%s: %v", process, err)
		}
		want := []string{"stderr INFO plain farewell", `stderr WARN structured farewell{"depth":3}`, "stderr ERROR panic: farewell", "stderr ERROR at line 3",
			"stdout INFO out farewell", "stdout INFO unended farewell"}
		if !slices.Equal(lines, want) {
			t.Errorf("%s: lines %q", process, lines)
		}
	}
}

func TestLinesOfASharedInstanceAreNobodys(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	lines, err := said(t.Context(), b, "echo", "hello")
	if err != nil || len(lines) > 0 {
		t.Errorf("lines %q, %v", lines, err)
	}
	eventually(t, "the line in the log of the host", func() bool { return b.logs.record("plain hello") != nil })
}
