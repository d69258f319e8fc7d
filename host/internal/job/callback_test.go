package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// callbacks keeps what a service wants to be told, in the store's outbox.
type callbacks struct {
	*jobtest.MemoryStore
	mu       sync.Mutex
	progress []job.Delivery
}

func (c *callbacks) Progress(d job.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress = append(c.progress, d)
}

func (c *callbacks) reports() []job.Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress
}

// startCalling is start with callbacks.
func startCalling(t testing.TB, e executor) (*bench, *callbacks) {
	t.Helper()
	c := &callbacks{}
	b := start(t, e, func(config *job.Config) {
		c.MemoryStore = config.Store.(*jobtest.MemoryStore)
		config.Callbacks = c
	})
	return b, c
}

// subscribed is a request with a subscriber to every event.
func subscribed(r job.Request) job.Request {
	r.BaseURL = "http://host.example"
	r.Subscriber = &ogc.Subscriber{
		SuccessURI: "https://a.example/yes", InProgressURI: "https://a.example/on", FailedURI: "https://a.example/no",
	}
	return r
}

// posted returns the only delivery of a job.
func posted(t testing.TB, b *bench, id string) job.Delivery {
	t.Helper()
	all, err := b.Deliveries(t.Context(), id)
	if err != nil || len(all) != 1 {
		t.Fatalf("deliveries %+v, %v", all, err)
	}
	return all[0]
}

func TestTheEndOfAJobIsPostedToItsSubscriber(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context, _ job.Attempt, _ job.Events) (map[string]job.Value, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	works := func(context.Context, job.Attempt, job.Events) (map[string]job.Value, error) {
		return map[string]job.Value{"out": {JSON: json.RawMessage(`"x"`)}}, nil
	}
	breaks := func(context.Context, job.Attempt, job.Events) (map[string]job.Value, error) {
		return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "no"}
	}
	for name, test := range map[string]struct {
		executor executor
		end      ogc.Status
		event    job.Event
		uri      string
	}{
		"successful": {works, ogc.Successful, job.OnSuccess, "https://a.example/yes"},
		"failed":     {breaks, ogc.Failed, job.OnFailed, "https://a.example/no"},
		"dismissed":  {hang, ogc.Dismissed, job.OnFailed, "https://a.example/no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, c := startCalling(t, test.executor)
			j := b.submit(t, subscribed(async(`"x"`)))
			if test.end == ogc.Dismissed {
				b.reaches(t, j.ID, ogc.Running)
				if _, err := b.Dismiss(t.Context(), j.ID); err != nil {
					t.Fatal(err)
				}
			}
			b.reaches(t, j.ID, test.end)
			d := posted(t, b, j.ID)
			if d.Event != test.event || d.URI != test.uri || d.State != job.Pending || d.Base != "http://host.example" || d.Due.IsZero() {
				t.Errorf("posted %+v", d)
			}
			on := c.reports()
			if len(on) == 0 || on[0].Event != job.InProgress || on[0].URI != "https://a.example/on" || on[0].JobID != j.ID {
				t.Errorf("reports %+v", on)
			}
		})
	}
}

func TestAQueuedJobThatIsDismissedIsPosted(t *testing.T) {
	t.Parallel()
	b, c := startCalling(t, nil)
	b.stop()
	j := b.submit(t, subscribed(async(`"x"`)))
	if _, err := b.Dismiss(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	if d := posted(t, b, j.ID); d.Event != job.OnFailed {
		t.Errorf("posted %+v", d)
	}
	if on := c.reports(); len(on) > 0 {
		t.Errorf("reports %+v of a job that never ran", on)
	}
}

func TestASyncRunWithASubscriberIsRecordedAndPosted(t *testing.T) {
	t.Parallel()
	b, _ := startCalling(t, func(_ context.Context, _ job.Attempt, ev job.Events) (map[string]job.Value, error) {
		ev.Progress(50, "half")
		return map[string]job.Value{"out": {JSON: json.RawMessage(`"x"`)}}, nil
	})
	x, err := b.Submit(t.Context(), subscribed(request(`"x"`)))
	if err != nil {
		t.Fatal(err)
	}
	x.Results.Close()
	if d := posted(t, b, x.Job.ID); !x.Recorded || d.Event != job.OnSuccess {
		t.Errorf("recorded %t, posted %+v", x.Recorded, d)
	}
	plain, err := b.Submit(t.Context(), request(`"x"`))
	if err != nil {
		t.Fatal(err)
	}
	plain.Results.Close()
	if plain.Recorded {
		t.Error("a run without a subscriber is recorded")
	}
}

func TestAJobThatTheHostsCrashEndedIsPosted(t *testing.T) {
	t.Parallel()
	store := jobtest.NewMemoryStore(t)
	j := jobtest.NewJob("p")
	j.Callback, j.Status, j.Started, j.Attempt = true, ogc.Running, time.Now(), 1
	order := job.Order{Subscriber: subscribed(job.Request{}).Subscriber}
	if _, err := store.Create(t.Context(), j, order); err != nil {
		t.Fatal(err)
	}
	b := &bench{store: store, queue: jobtest.NewMemoryQueue(100, time.Minute), dir: t.TempDir()}
	b.open(t, nil, func(c *job.Config) { c.Callbacks = &callbacks{MemoryStore: store} })
	if d := posted(t, b, j.ID); d.Event != job.OnFailed {
		t.Errorf("posted %+v", d)
	}
}

func TestProgressIsReportedWhenItChanges(t *testing.T) {
	t.Parallel()
	b, c := startCalling(t, func(_ context.Context, _ job.Attempt, ev job.Events) (map[string]job.Value, error) {
		for range 5 {
			ev.Progress(10, "a tenth")
		}
		ev.Progress(20, "")
		return map[string]job.Value{"out": {JSON: json.RawMessage(`"x"`)}}, nil
	})
	j := b.submit(t, subscribed(async(`"x"`)))
	b.reaches(t, j.ID, ogc.Successful)
	if n := len(c.reports()); n != 3 { // running, 10, 20
		t.Errorf("%d reports, want 3", n)
	}
}

func TestAJobAcceptedWithoutCallbacksReportsNoProgress(t *testing.T) {
	t.Parallel()
	b := start(t, echo)
	b.stop()
	j, err := b.store.Create(t.Context(), jobtest.NewJob("p"), job.Order{Inputs: map[string]job.Value{"in": {JSON: json.RawMessage(`"x"`)}},
		Subscriber: subscribed(async(`"x"`)).Subscriber})
	if err != nil {
		t.Fatal(err)
	}
	c := &callbacks{MemoryStore: b.store}
	b.open(t, echo, func(config *job.Config) { config.Callbacks = c })
	b.reaches(t, j.ID, ogc.Successful)
	if n := len(c.reports()); n != 0 {
		t.Errorf("%d reports", n)
	}
}

func TestASubscriberMayWaitForOneEventOnly(t *testing.T) {
	t.Parallel()
	b, c := startCalling(t, func(context.Context, job.Attempt, job.Events) (map[string]job.Value, error) {
		return map[string]job.Value{"out": {JSON: json.RawMessage(`"x"`)}}, nil
	})
	r := async(`"x"`)
	r.Subscriber = &ogc.Subscriber{FailedURI: "https://a.example/no"}
	j := b.submit(t, r)
	b.reaches(t, j.ID, ogc.Successful)
	if all, err := b.Deliveries(t.Context(), j.ID); err != nil || len(all) > 0 || len(c.reports()) > 0 {
		t.Errorf("posted %+v, %v; reports %+v", all, err, c.reports())
	}
}

func TestWrongURIsOfASubscriberAreAllNamed(t *testing.T) {
	t.Parallel()
	b, _ := startCalling(t, nil)
	b.stop() // what is right stays in the queue
	const absolute = "must be an absolute http or https URI"
	for uri, want := range map[string]string{
		"/relative": absolute, "ftp://a.example/": absolute, "http:///x": absolute, "mailto:a@b": absolute, "http://": absolute,
		"http://a b/": absolute, "//a.example/": absolute, "http://[::1": absolute, "http://%zz/": absolute, "https://a.example\n/": absolute,
		"http://u:p@a.example/": "must not hold a user name or password", "http://u@a.example/": "must not hold a user name or password",
		"http://a.example:0/": "has no port from 1 to 65535", "http://a.example:65536/": "has no port from 1 to 65535",
		"http://a.example/" + strings.Repeat("x", 2048): "is longer than 2048 bytes",
	} {
		r := request(`1`) // which is no string
		r.Subscriber = &ogc.Subscriber{SuccessURI: uri, InProgressURI: uri, FailedURI: uri}
		_, err := b.Submit(t.Context(), r)
		invalid, ok := errors.AsType[*job.InvalidError](err)
		if !ok || len(invalid.Faults) != 4 {
			t.Fatalf("%q: %v, want four faults", uri, err)
		}
		for i, name := range []string{"successUri", "inProgressUri", "failedUri"} {
			if f := invalid.Faults[i+1]; f.Pointer != "/subscriber/"+name || f.Message != want {
				t.Errorf("%q: %+v, want %s", uri, f, want)
			}
		}
	}
	for _, uri := range []string{"http://a.example", "HTTPS://A.example:8443/x?y=z#f", "http://[2001:db8::1]:80/", "http://127.0.0.1/"} {
		r := async(`"x"`)
		r.Subscriber = &ogc.Subscriber{SuccessURI: uri}
		if _, err := b.Submit(t.Context(), r); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
	}
}
