package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// withLogs makes a service keep logs.
func withLogs(logs job.Logs, change ...func(*job.Config)) func(*job.Config) {
	return func(c *job.Config) {
		c.Logs = logs
		for _, f := range change {
			f(c)
		}
	}
}

// all selects every line.
var all = job.LogQuery{Level: -100}

func (b *bench) lines(t testing.TB, id string, q job.LogQuery) []job.LogLine {
	t.Helper()
	l, err := b.Log(t.Context(), id, q)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var lines []job.LogLine
	for line, err := range l.Lines() {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if n := len(lines); n > 0 && l.Last != lines[n-1].Seq {
		t.Errorf("the last line is %d, said to be %d", lines[n-1].Seq, l.Last)
	}
	return lines
}

// wantLines compares a log with lines such as "3 info process text", and checks
// what holds for every log.
func (b *bench) wantLines(t testing.TB, id string, want ...string) {
	t.Helper()
	var got []string
	for _, l := range b.lines(t, id, all) {
		got = append(got, fmt.Sprintf("%d %s %s %s%s", l.Seq, job.LogLevelName(l.Level), l.Source, l.Message, l.Fields))
		if l.Time.IsZero() {
			t.Errorf("line %d has no time", l.Seq)
		}
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("log of job %s:\n%s\nwant\n%s", id, g, w)
	}
}

const started = `2 info host started attempt 1{"plugin":"p","version":"1"}`

func TestAJobThatLogsNothingCostsNothing(t *testing.T) {
	t.Parallel()
	logs := jobtest.NewMemoryLogs()
	b := start(t, echo, withLogs(logs))
	id := b.submit(t, async(`"x"`)).ID
	b.reaches(t, id, ogc.Successful)
	b.wantLines(t, id, "1 info host accepted", started, "3 info host successful")
	b.submit(t, request(`"x"`)) // sync, without a record
	if n := logs.Len(); n != 0 {
		t.Errorf("%d jobs have a log", n)
	}
}

func TestALogHoldsTheLinesOfTheProcess(t *testing.T) {
	t.Parallel()
	logs := jobtest.NewMemoryLogs()
	b := start(t, func(_ context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		ev.Log(slog.LevelDebug, "one", json.RawMessage(`{"a":1}`))
		a.Console(job.FromStderr, slog.LevelWarn, "two", nil)
		a.Console(job.FromStdout, slog.LevelInfo, "three", nil)
		return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "on purpose"}
	}, withLogs(logs))
	id := b.submit(t, async(`"x"`)).ID
	b.reaches(t, id, ogc.Failed)
	b.wantLines(t, id, "1 info host accepted", started,
		`3 debug process one{"a":1}`, "4 warn stderr two", "5 info stdout three", "6 error host failed: on purpose")
	if _, err := b.Dismiss(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if n := logs.Len(); n != 0 {
		t.Errorf("%d logs are left after the removal", n)
	}
	if _, err := b.Log(t.Context(), id, all); !errors.Is(err, job.ErrGone) {
		t.Errorf("log of a removed job: %v", err)
	}
	if _, err := b.Log(t.Context(), "none", all); !errors.Is(err, job.ErrNoSuchJob) {
		t.Errorf("log of no job: %v", err)
	}
}

func TestALogHoldsEveryAttempt(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		if a.Number == 1 {
			return nil, &job.Failure{Kind: job.PluginDied, Detail: "it fell over"} // without a word
		}
		ev.Log(slog.LevelInfo, "second try", nil)
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	}, withLogs(jobtest.NewMemoryLogs()))
	id := b.submit(t, async(`"x"`)).ID
	b.reaches(t, id, ogc.Successful)
	b.wantLines(t, id, "1 info host accepted", started, "3 warn host will run again: it fell over",
		`4 info host started attempt 2{"plugin":"p","version":"1"}`, "5 info process second try", "6 info host successful")
}

func TestALogSaysThatTheHostCrashed(t *testing.T) {
	t.Parallel()
	logs := jobtest.NewMemoryLogs()
	release := make(chan struct{})
	b := start(t, echo, withLogs(logs))
	b.stop()
	// What a host leaves that dies while two jobs run, one of which has logged.
	var ids []string
	for _, retries := range []int{1, 0} {
		j := jobtest.NewJob("p")
		j.Status, j.Attempt, j.Retries, j.Started, j.Plugin = ogc.Running, 1, retries, j.Created, job.Plugin{Name: "p", Version: "1"}
		if _, err := b.store.Create(t.Context(), j, job.Order{Inputs: map[string]job.Value{"in": {JSON: json.RawMessage(`"x"`)}}}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, j.ID)
	}
	text := `{"seq":1,"time":"2026-01-02T03:04:05Z","level":"info","source":"host","message":"accepted"}` + "\n" +
		"\x00\x00\x00\n" + // what a crash of the machine makes of a line
		`{"seq":2,"time":"2026-01-02T03:04:05Z","level":"info","source":"process","message":"busy"}` + "\n"
	if err := logs.Append(t.Context(), ids[1], []byte(text)); err != nil {
		t.Fatal(err)
	}
	b.open(t, func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		<-release
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	}, withLogs(logs))
	b.reaches(t, ids[1], ogc.Failed)
	b.wantLines(t, ids[1], "1 info host accepted", "2 info process busy", "3 error host failed: the server crashed while the process ran")
	close(release)
	b.reaches(t, ids[0], ogc.Successful)
	b.wantLines(t, ids[0], "1 info host accepted", started, "3 warn host will run again: the server crashed while the process ran",
		`4 info host started attempt 2{"plugin":"p","version":"1"}`, "5 info host successful")
}

// TestAFloodKeepsItsFirstAndLastLines floods the log, and looks at it before and
// after the end of the job.
func TestAFloodKeepsItsFirstAndLastLines(t *testing.T) {
	t.Parallel()
	const most, flood = 40 << 10, 10_000
	logs := jobtest.NewMemoryLogs()
	flooded, release := make(chan struct{}), make(chan struct{})
	b := start(t, func(_ context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		for n := range flood {
			ev.Log(slog.LevelInfo, fmt.Sprintf("line %d of attempt %d", n, a.Number), nil)
		}
		if a.Number == 1 {
			return nil, &job.Failure{Kind: job.PluginDied, Detail: strings.Repeat("it drowned", 1000)}
		}
		close(flooded)
		<-release
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	}, withLogs(logs, func(c *job.Config) { c.LogMaxBytes = most }))
	id := b.submit(t, async(`"x"`)).ID
	within(t, flooded, "the second attempt")
	running := b.lines(t, id, all)
	close(release)
	b.reaches(t, id, ogc.Successful)
	ended := b.lines(t, id, all)
	if len(ended) != len(running)+1 || ended[len(ended)-1].Message != "successful" {
		t.Errorf("%d lines while the job ran, %d after it", len(running), len(ended))
	}
	r, err := logs.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Size() > most || r.Size() < most*3/4 {
		t.Errorf("the log has %d bytes, the limit is %d", r.Size(), most)
	}
	for attempt := 1; attempt <= 2; attempt++ {
		var kept, left int
		var messages []string
		for i, l := range ended {
			if i > 0 && l.Seq <= ended[i-1].Seq {
				t.Fatalf("line %d after line %d", l.Seq, ended[i-1].Seq)
			}
			if l.Attempt == attempt && l.Source == job.FromProcess {
				kept++
				messages = append(messages, l.Message)
			}
			if _, err := fmt.Sscanf(l.Message, "%d lines left out: a log", &left); err == nil && l.Attempt == attempt {
				kept += left
			}
		}
		if kept != flood {
			t.Errorf("attempt %d: kept and counted %d of %d lines", attempt, kept, flood)
		}
		for i, n := range map[int]int{0: 0, 1: 1, len(messages) - 1: flood - 1, len(messages) - 2: flood - 2} {
			if want := fmt.Sprintf("line %d of attempt %d", n, attempt); messages[i] != want {
				t.Errorf("attempt %d: line %d of %d is %q, want %q", attempt, i, len(messages), messages[i], want)
			}
		}
	}
}

// brokenLogs fail.
type brokenLogs struct{ *jobtest.MemoryLogs }

func (brokenLogs) Append(context.Context, string, []byte) error { return errors.New("disk full") }

func TestAJobDoesNotMindThatItsLogIsLost(t *testing.T) {
	t.Parallel()
	b := start(t, func(_ context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		for range 10_000 {
			ev.Log(slog.LevelInfo, "for nobody", nil)
		}
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	}, withLogs(brokenLogs{jobtest.NewMemoryLogs()}))
	id := b.submit(t, async(`"x"`)).ID
	b.reaches(t, id, ogc.Successful)
	b.wantLines(t, id, "1 info host accepted", started, "3 info host successful")
}

func TestADismissedJobLogsNoMore(t *testing.T) {
	t.Parallel()
	logs, running, late := jobtest.NewMemoryLogs(), make(chan struct{}), make(chan struct{})
	b := start(t, func(ctx context.Context, _ job.Attempt, ev job.Events) (map[string]job.Value, error) {
		ev.Log(slog.LevelInfo, "working", nil)
		close(running)
		<-ctx.Done()
		<-late
		ev.Log(slog.LevelInfo, "too late", nil)
		return nil, context.Cause(ctx)
	}, withLogs(logs))
	id := b.submit(t, async(`"x"`)).ID
	within(t, running, "the job to run")
	if _, err := b.Dismiss(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	close(late)
	b.stop()
	b.wantLines(t, id, "1 info host accepted", started, "3 info process working", "4 warn host dismissed: dismissed by the client")
}

// countingStore counts updates, and lies about those that change only what a
// running job reports.
type countingStore struct {
	*jobtest.MemoryStore
	lies bool

	mu      sync.Mutex
	updates map[string]int
	reports int
}

func (s *countingStore) Update(ctx context.Context, j job.Job, outputs map[string]job.Value) (job.Job, error) {
	before, _ := s.MemoryStore.Get(ctx, j.ID)
	n, err := s.MemoryStore.Update(ctx, j, outputs)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updates[j.ID]++
	if before.Status == j.Status && err == nil {
		if s.reports++; s.lies {
			return job.Job{}, io.ErrUnexpectedEOF
		}
	}
	return n, err
}

func (s *countingStore) counts(id string) (updates, reports int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updates[id], s.reports
}

func TestProgressIsRecordedSeldom(t *testing.T) {
	t.Parallel()
	store := &countingStore{MemoryStore: jobtest.NewMemoryStore(t), updates: map[string]int{}}
	var begun time.Time
	b := start(t, func(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		if string(a.Inputs["in"].JSON) == `"silent"` {
			return map[string]job.Value{"out": a.Inputs["in"]}, nil
		}
		begun = time.Now()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ { // until the record has it
			ev.Progress(40+float64(n)/100, fmt.Sprintf("step %d", n))
			if j, err := store.Get(ctx, a.JobID); err == nil && j.Progress >= 41 {
				return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "enough"}
			}
			<-tick.C
		}
	}, func(c *job.Config) { c.Store = store })
	id := b.submit(t, async(`"x"`)).ID
	if j := b.reaches(t, id, ogc.Failed); j.Progress < 41 {
		t.Errorf("the job failed at %d percent", j.Progress)
	}
	took := time.Since(begun)
	if _, reports := store.counts(id); reports == 0 || reports > 1+int(took/(250*time.Millisecond)) {
		t.Errorf("%d reports were recorded in %s", reports, took)
	}
	silent := b.submit(t, async(`"silent"`)).ID
	b.reaches(t, silent, ogc.Successful)
	if updates, _ := store.counts(silent); updates != 2 {
		t.Errorf("%d updates of a job that reports nothing", updates)
	}
}

func TestAJobEndsThoughTheOutcomeOfAWriteOfItsProgressIsUnknown(t *testing.T) {
	t.Parallel()
	store := &countingStore{MemoryStore: jobtest.NewMemoryStore(t), updates: map[string]int{}, lies: true}
	b := start(t, func(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			ev.Progress(50, fmt.Sprintf("step %d", n))
			if _, reports := store.counts(a.JobID); reports >= 2 {
				return map[string]job.Value{"out": a.Inputs["in"]}, nil
			}
			<-tick.C
		}
	}, func(c *job.Config) { c.Store = store })
	b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Successful)
}

func TestListenersAreToldTheLinesOfTheLog(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := start(t, func(_ context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		ev.Log(slog.LevelInfo, "before anyone listens", nil)
		<-release
		ev.Log(slog.LevelInfo, "one\x1b", nil)
		a.Console(job.FromStderr, slog.LevelInfo, "two", nil)
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	}, withLogs(jobtest.NewMemoryLogs()))
	id := b.submit(t, async(`"x"`)).ID
	b.reaches(t, id, ogc.Running)
	l, err := b.Listen(t.Context(), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	close(release)
	told := map[uint64]string{}
	for last := false; !last; {
		var news []*job.Notice
		if news, last, err = l.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, n := range news {
			if n.Kind == job.LogNotice {
				told[n.Line.Seq] = n.Line.Message
			}
		}
		if !last {
			within(t, l.More(), "more events")
		}
	}
	if told[4] != `one\u001b` || told[5] != "two" {
		t.Errorf("told %v", told)
	}
	for _, line := range b.lines(t, id, all) {
		if m, ok := told[line.Seq]; ok && m != line.Message {
			t.Errorf("line %d is %q, listeners were told %q", line.Seq, line.Message, m)
		}
	}
}
