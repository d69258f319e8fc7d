package job_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// offering makes the catalog one of processes with ids and policies.
func offering(t testing.TB, policies map[string]job.Policy) func(*job.Config) {
	t.Helper()
	var list catalog
	for id, policy := range policies {
		d := process(t).Process
		d.ID = id
		p, err := job.NewProcess(d, policy, job.Plugin{})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return func(c *job.Config) { c.Catalog = list }
}

// gate is an executor that tells what it starts, and goes on when told.
type gate struct {
	started chan job.Attempt
	open    chan struct{}
}

func newGate() gate { return gate{make(chan job.Attempt, 100), make(chan struct{})} }

func (g gate) Execute(ctx context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
	g.started <- a
	select {
	case <-g.open:
		return map[string]job.Value{"out": a.Inputs["in"]}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (g gate) next(t testing.TB) job.Attempt {
	t.Helper()
	select {
	case a := <-g.started:
		return a
	case <-time.After(patience):
		t.Fatal("nothing starts")
		return job.Attempt{}
	}
}

func of(process string, r job.Request) job.Request {
	r.ProcessID = process
	return r
}

func TestAProcessWithoutRoomHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	g := newGate()
	b := start(t, g.Execute, func(c *job.Config) { c.Slots = 5 }, offering(t, map[string]job.Policy{
		"big": {MaxConcurrency: 4}, "small": {}, "one": {MaxConcurrency: 1},
	}))
	for range 10 {
		b.submit(t, of("big", async(`"x"`)))
	}
	count := map[string]int{}
	for range 3 {
		count[g.next(t).Process.ID]++
	}
	b.submit(t, of("one", async(`"x"`)))
	b.submit(t, of("small", async(`"x"`)))
	for range 2 {
		count[g.next(t).Process.ID]++
	}
	if count["big"] != 3 || count["one"] != 1 || count["small"] != 1 {
		t.Errorf("started %v, want all but one of the slots of big, and one of each other", count)
	}
	close(g.open)
	for range 7 {
		g.next(t)
	}
}

func TestFullQueueIsToldBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	g := newGate()
	b := start(t, g.Execute, func(c *job.Config) { c.Slots, c.QueueLimit, c.CallerLimit = 1, 4, 2 })
	by := func(caller string) job.Request {
		r := async(`"x"`)
		r.Caller = caller
		return r
	}
	b.submit(t, by("anna"))
	g.next(t) // so it does not wait
	b.submit(t, by("anna"))
	b.submit(t, by("anna"))
	refused := func(caller string, callers bool) {
		t.Helper()
		r := by(caller)
		r.Inputs["in"] = job.Raw{Text: []byte(`5`)} // a fault that would be found
		_, err := b.Submit(t.Context(), r)
		var busy *job.BusyError
		if !errors.As(err, &busy) || !errors.Is(err, job.ErrBusy) || busy.Caller != callers || busy.RetryAfter < time.Second {
			t.Errorf("%s: %v, want a busy error", caller, err)
		}
	}
	refused("anna", true)
	b.submit(t, by("bert"))
	b.submit(t, by("bert"))
	refused("cleo", false)
	var invalid *job.InvalidError
	if _, err := b.Submit(t.Context(), request(`5`)); !errors.As(err, &invalid) {
		t.Errorf("a sync request: %v", err)
	}
	close(g.open)
	for range 4 {
		g.next(t)
	}
	b.submit(t, by("anna"))
}

func TestRefusedRequestsLeaveTheirPlace(t *testing.T) {
	t.Parallel()
	b := start(t, echo, func(c *job.Config) { c.QueueLimit, c.CallerLimit = 2, 1 })
	for range 5 {
		var invalid *job.InvalidError
		if _, err := b.Submit(t.Context(), async(`5`)); !errors.As(err, &invalid) {
			t.Fatalf("%v", err)
		}
	}
	b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Successful)
}

func TestJobThatWaitsTooLongFailsAndNeverStarts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*job.Config)
	}{
		{"the limit of the host", func(c *job.Config) { c.QueueTimeout = 30 * time.Millisecond }},
		{"the limit of the process", offering(t, map[string]job.Policy{"p": {QueueTimeout: new(30 * time.Millisecond)}})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGate()
			b := start(t, g.Execute, c.change, func(c *job.Config) { c.Slots = 1 })
			first := b.submit(t, async(`"x"`)).ID
			g.next(t)
			j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Failed)
			if e := j.Exception; e == nil || e.Title == "" || e.Status != 503 || !strings.Contains(e.Detail, "within the 30ms") || j.Message != e.Detail {
				t.Errorf("%s: %+v", j.Message, e)
			}
			b.queueEmpties(t) // after the job has failed, so that a crash between the two loses nothing
			close(g.open)
			b.reaches(t, first, ogc.Successful) // it ran longer than it could have waited
			b.stop()
			if len(g.started) > 0 {
				t.Error("the job started")
			}
		})
	}
}

func TestAProcessMayWaitForEverWhereOthersMayNot(t *testing.T) {
	t.Parallel()
	b := start(t, echo, offering(t, map[string]job.Policy{"p": {QueueTimeout: new(time.Duration)}}),
		func(c *job.Config) { c.QueueTimeout = time.Hour })
	if j := b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Successful); !j.StartBy.IsZero() {
		t.Errorf("it has to start by %s", j.StartBy)
	}
}

func TestTheTimeToWaitGoesOnWhileTheHostIsDown(t *testing.T) {
	t.Parallel()
	g := newGate()
	limit := func(c *job.Config) { c.Slots, c.QueueTimeout = 1, time.Hour }
	b := start(t, g.Execute, limit)
	b.submit(t, async(`"x"`))
	g.next(t)
	waiting := b.submit(t, async(`"x"`)).ID
	b.stop()
	b.queue = jobtest.NewMemoryQueue(100, time.Minute)
	b.open(t, echo, limit, func(c *job.Config) {
		c.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	})
	if j := b.reaches(t, waiting, ogc.Failed); j.Attempt != 0 {
		t.Errorf("attempt %d", j.Attempt)
	}
}

func TestDelayedStartOutlivesTheHost(t *testing.T) {
	t.Parallel()
	b := start(t, echo)
	later := async(`"x"`)
	later.Prefer.NotBefore = time.Now().Add(time.Hour)
	accepted := b.submit(t, later)
	id := accepted.ID
	soon := async(`"x"`)
	soon.Prefer.NotBefore = time.Now().Add(50 * time.Millisecond)
	if j := b.reaches(t, b.submit(t, soon).ID, ogc.Successful); j.Started.Before(soon.Prefer.NotBefore) {
		t.Errorf("started %s, before %s", j.Started, soon.Prefer.NotBefore)
	}
	far := async(`"x"`)
	far.Prefer.NotBefore = time.Now().Add(job.LatestStart + time.Hour)
	if j := b.reaches(t, b.submit(t, far).ID, ogc.Successful); !j.NotBefore.IsZero() {
		t.Errorf("not before %s", j.NotBefore)
	}
	b.stop()
	b.queue = jobtest.NewMemoryQueue(100, time.Minute)
	b.open(t, echo)
	j, err := b.Job(t.Context(), id)
	if want := "waits until " + later.Prefer.NotBefore.UTC().Format(time.RFC3339); err != nil || j.Status != ogc.Accepted || j.Message != want {
		t.Errorf("%s, %q, %v; want %q", j.Status, j.Message, err, want)
	}
	if accepted.Message != j.Message {
		t.Errorf("the reply says %q", accepted.Message)
	}
	if r, err := b.store.Get(t.Context(), id); err != nil || r.Message != "" {
		t.Errorf("the record says %q, %v", r.Message, err)
	}
}

func TestWaitingJobsTellTheirPlaceAndKeepItsOrderAfterARestart(t *testing.T) {
	t.Parallel()
	g := newGate()
	b := start(t, g.Execute, func(c *job.Config) { c.Slots = 1 })
	b.submit(t, async(`"x"`))
	first := g.next(t).JobID
	var waiting []string
	for n := range 8 {
		r := async(`"x"`)
		r.Caller = []string{"anna", "bert"}[n/6] // six of anna, then two of bert
		if n == 7 {
			r.Prefer.Priority = job.High
		}
		waiting = append(waiting, b.submit(t, r).ID)
	}
	place := func(n int) string {
		j, err := b.Job(t.Context(), waiting[n])
		if err != nil {
			t.Fatal(err)
		}
		return j.Message
	}
	if got := place(7); got != "waits in the queue: about 1 of 8" {
		t.Errorf("a job of high priority %s", got)
	}
	if got := place(0); got != "waits in the queue: about 2 of 8" {
		t.Errorf("the oldest %s", got)
	}
	for _, j := range b.listed(t) {
		if j.Status == ogc.Accepted && !strings.HasPrefix(j.Message, "waits in the queue: about ") {
			t.Errorf("in the list: %q", j.Message)
		}
	}
	b.stop()
	b.queue = jobtest.NewMemoryQueue(100, time.Minute)
	var order []string
	started := make(chan string)
	b.open(t, func(_ context.Context, a job.Attempt, _ job.Events) (map[string]job.Value, error) {
		started <- a.JobID
		return nil, nil
	}, func(c *job.Config) { c.Slots = 1 })
	for range 9 {
		select {
		case id := <-started:
			if id != first {
				order = append(order, id)
			}
		case <-time.After(patience):
			t.Fatalf("only %d started", len(order))
		}
	}
	want := []int{7, 0, 6, 1, 2, 3, 4, 5}
	for k, n := range want {
		if order[k] != waiting[n] {
			t.Fatalf("started %v, want %v", indexes(order, waiting), want)
		}
	}
}

func indexes(list, of []string) (n []string) {
	for _, id := range list {
		n = append(n, fmt.Sprint(slices.Index(of, id)))
	}
	return n
}

// queueEmpties polls until no ticket waits.
func (b *bench) queueEmpties(t testing.TB) {
	t.Helper()
	poll(t, func() error {
		all, _, err := b.queue.Depth(t.Context(), "")
		if err == nil && all != 0 {
			err = fmt.Errorf("%d tickets wait", all)
		}
		return err
	})
}
