package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// heard is what a listener was told, in short: "running", "30 half", "> line",
// "gap 2", "removed", "reset".
func heard(news ...*job.Notice) (all []string) {
	for _, n := range news {
		switch n.Kind {
		case job.StatusNotice:
			all = append(all, string(n.Job.Status))
		case job.ProgressNotice:
			all = append(all, fmt.Sprint(n.Percent, " ", n.Message))
		case job.LogNotice:
			all = append(all, "> "+n.Line.Message)
		case job.GapNotice:
			all = append(all, fmt.Sprint("gap ", n.Lost))
		default:
			all = append(all, string(n.Kind))
		}
	}
	return all
}

// hear reads until the listener has heard what is given last, or to its end.
func hear(t testing.TB, l job.Listener, until string) (all []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		news, last, err := l.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, heard(news...)...)
		if last || until != "" && slices.Contains(all, until) {
			return all
		}
		select {
		case <-l.More():
		case <-ctx.Done():
			t.Fatalf("heard only %q, want %q", all, until)
		}
	}
}

func wantHeard(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("heard %q\nwant  %q", got, want)
	}
}

// script is an executor that does what a test says, step by step.
type script chan func(job.Events)

func (s script) executor() executor {
	return func(ctx context.Context, _ job.Attempt, ev job.Events) (map[string]job.Value, error) {
		for {
			select {
			case step, more := <-s:
				if !more {
					return map[string]job.Value{"out": {JSON: json.RawMessage(`"x"`)}}, nil
				}
				step(ev)
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
	}
}

// say makes the process report, and waits until it has.
func (s script) say(steps ...any) {
	done := make(chan struct{})
	s <- func(ev job.Events) {
		defer close(done)
		for _, step := range steps {
			switch step := step.(type) {
			case int:
				ev.Progress(float64(step), fmt.Sprint("at ", step))
			case string:
				ev.Log(slog.LevelInfo, step, nil)
			}
		}
	}
	<-done
}

func listen(t testing.TB, b *bench, id string, from *job.Place) job.Listener {
	t.Helper()
	l, err := b.Listen(t.Context(), id, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func submitted(t testing.TB, b *bench) string {
	t.Helper()
	e, err := b.Submit(t.Context(), async(`"x"`))
	if err != nil {
		t.Fatal(err)
	}
	return e.Job.ID
}

func TestAListenerHearsAJobToItsEnd(t *testing.T) {
	t.Parallel()
	s := make(script)
	b := start(t, s.executor())
	id := submitted(t, b)
	b.reaches(t, id, ogc.Running)
	l := listen(t, b, id, nil)
	wantHeard(t, hear(t, l, "running"), "running")
	s.say(10, "one", 20, "two")
	close(s)
	wantHeard(t, hear(t, l, ""), "10 at 10", "> one", "20 at 20", "> two", "successful")
	wantHeard(t, hear(t, listen(t, b, id, nil), ""), "successful")
	at := l.Place()
	if _, err := b.Listen(t.Context(), id, &at); !errors.Is(err, job.ErrNothingMore) {
		t.Errorf("listening again after the end: %v", err)
	}
}

func TestAListenerThatComesAgainHearsOnceWhatItMissed(t *testing.T) {
	t.Parallel()
	s := make(script)
	b := start(t, s.executor())
	id := submitted(t, b)
	b.reaches(t, id, ogc.Running)
	l := listen(t, b, id, nil)
	s.say("one", 10)
	wantHeard(t, hear(t, l, "10 at 10"), "running", "> one", "10 at 10")
	l.Close()
	s.say("two", 20, "three", 30)
	at := l.Place()
	again := listen(t, b, id, &at)
	wantHeard(t, hear(t, again, "30 at 30"), "> two", "> three", "30 at 30")
	s.say("four")
	close(s)
	b.reaches(t, id, ogc.Successful)
	wantHeard(t, hear(t, again, ""), "> four", "successful")
	wantHeard(t, hear(t, listen(t, b, id, &at), ""), "successful")
}

func TestAPlaceFromElsewhereIsThatOfANewListener(t *testing.T) {
	t.Parallel()
	s := make(script)
	b := start(t, s.executor())
	defer close(s)
	id := submitted(t, b)
	b.reaches(t, id, ogc.Running)
	wantHeard(t, hear(t, listen(t, b, id, &job.Place{Revision: 1 << 60}), "running"), "running")
	first := listen(t, b, id, &job.Place{Revision: 1})
	wantHeard(t, hear(t, first, "running"), "running")
	s.say("one")
	wantHeard(t, hear(t, listen(t, b, id, &job.Place{Revision: first.Place().Revision, Line: 1 << 62}), "> one"), "> one")
}

func TestASlowListenerIsToldWhatItLostAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := make(script)
	b := start(t, s.executor())
	id := submitted(t, b)
	b.reaches(t, id, ogc.Running)
	slow := listen(t, b, id, nil)
	wantHeard(t, hear(t, slow, "running"), "running")
	const lines = 5000
	for i := range lines {
		s.say(strings.Repeat("x", i%100))
	}
	s.say(50)
	close(s)
	b.reaches(t, id, ogc.Successful)
	all := hear(t, slow, "")
	told := 0
	for _, line := range all {
		lost := 0
		if strings.HasPrefix(line, "> ") {
			told++
		} else if _, err := fmt.Sscanf(line, "gap %d", &lost); err == nil {
			told += lost
		}
	}
	if !strings.HasPrefix(all[0], "gap") || told != lines {
		t.Errorf("heard of %d lines of %d, first %q", told, lines, all[0])
	}
	wantHeard(t, all[len(all)-2:], "50 at 50", "successful")
}

func TestListeningEndsWithTheJobsRecordAndTheHost(t *testing.T) {
	t.Parallel()
	s := make(script)
	defer close(s)
	b := start(t, s.executor())
	id := submitted(t, b)
	b.reaches(t, id, ogc.Running)
	for name, want := range map[string]error{"none": job.ErrNoSuchJob} {
		if _, err := b.Listen(t.Context(), name, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, all := listen(t, b, id, nil), listenAll(t, b, job.Filter{}, nil)
	if _, err := b.Dismiss(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	got := hear(t, l, "")
	wantHeard(t, got[len(got)-1:], "dismissed")
	hear(t, all, "dismissed")
	if _, err := b.Dismiss(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantHeard(t, hear(t, all, "removed"), "removed")
	if _, err := b.Listen(t.Context(), id, nil); !errors.Is(err, job.ErrGone) {
		t.Errorf("listening to a removed job: %v", err)
	}
	b.EndListeners()
	wantHeard(t, hear(t, all, ""))
	if _, err := b.ListenAll(t.Context(), job.Filter{}, nil); !errors.Is(err, job.ErrShuttingDown) {
		t.Errorf("listening to a host that stops: %v", err)
	}
}

func listenAll(t testing.TB, b *bench, f job.Filter, from *job.Place) job.Listener {
	t.Helper()
	l, err := b.ListenAll(t.Context(), f, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func TestListenersToAllJobsHearEveryChangeInOrder(t *testing.T) {
	t.Parallel()
	b := start(t, script(closed()).executor())
	all := listenAll(t, b, job.Filter{}, nil)
	some := listenAll(t, b, job.Filter{Statuses: []ogc.Status{ogc.Successful}}, nil)
	first := submitted(t, b)
	b.reaches(t, first, ogc.Successful)
	wantHeard(t, hear(t, all, "successful"), "accepted", "running", "successful")
	at := all.Place()
	all.Close()
	for range 300 { // more than a topic keeps, less than the store does
		b.reaches(t, submitted(t, b), ogc.Successful)
	}
	again := listenAll(t, b, job.Filter{}, &at)
	hearChanges(t, again, at.Revision, 900)
	hearChanges(t, some, 0, 301)
}

// hearChanges hears n changes of statuses in the order of their revisions.
func hearChanges(t *testing.T, l job.Listener, revision uint64, n int) {
	t.Helper()
	for n > 0 {
		news, _, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range news {
			if c.Kind != job.StatusNotice || c.Place.Revision <= revision {
				t.Fatalf("%s of revision %d after %d", c.Kind, c.Place.Revision, revision)
			}
			revision = c.Place.Revision
		}
		if n -= len(news); n > 0 {
			<-l.More()
		}
	}
}

func closed() chan func(job.Events) {
	c := make(chan func(job.Events))
	close(c)
	return c
}

// TestAListenerToAllJobsIsToldToListThemAnew comes from a place that the store has
// forgotten, and from one that is not its own.
func TestAListenerToAllJobsIsToldToListThemAnew(t *testing.T) {
	t.Parallel()
	b := start(t, script(closed()).executor())
	for k := range 5000 {
		j := job.Job{ID: fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", k), ProcessID: "p", Status: ogc.Successful}
		if _, err := b.store.Create(t.Context(), j, job.Order{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []uint64{1, 1 << 60} {
		l := listenAll(t, b, job.Filter{}, &job.Place{Revision: from})
		wantHeard(t, hear(t, l, "reset"), "reset")
		submitted(t, b)
		wantHeard(t, hear(t, l, "successful"), "accepted", "running", "successful")
	}
}

// TestManyListenersHearTheSame listens in a crowd, some of whom come and go.
func TestManyListenersHearTheSame(t *testing.T) {
	t.Parallel()
	s := make(script)
	b := start(t, s.executor())
	id := submitted(t, b)
	b.reaches(t, id, ogc.Running)
	const crowd, lines = 100, 200
	var wg sync.WaitGroup
	var ready sync.WaitGroup
	ready.Add(crowd)
	for i := range crowd {
		wg.Go(func() {
			l := listen(t, b, id, nil)
			ready.Done()
			got := 0
			for last := false; !last; {
				var news []*job.Notice
				news, last, _ = l.Next(t.Context())
				for _, n := range news {
					if n.Kind == job.LogNotice {
						if n.Line.Message != fmt.Sprint(got) {
							t.Errorf("line %q, want %d", n.Line.Message, got)
							return
						}
						got++
					}
				}
				if at := l.Place(); !last && i%3 == 0 && got > 0 {
					l.Close()
					again, err := b.Listen(t.Context(), id, &at)
					if err != nil && !errors.Is(err, job.ErrNothingMore) || err == nil && got == 0 {
						t.Error(err)
					}
					if err != nil {
						return
					}
					defer again.Close()
					l = again
					continue // the end may be among what it has missed
				}
				if !last {
					<-l.More()
				}
			}
			if got != lines && i%3 != 0 { // who was away at the end may miss the last lines
				t.Errorf("heard %d lines of %d", got, lines)
			}
		})
	}
	ready.Wait()
	for i := range lines {
		s.say(fmt.Sprint(i), i)
	}
	close(s)
	wg.Wait()
}
