package callback

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// hang is a receiver that does not answer until release is closed.
func hang(t testing.TB, release <-chan struct{}, started *atomic.Int64) *httptest.Server {
	t.Helper()
	v := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		started.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(v.Close)
	return v
}

func TestASlowReceiverDoesNotDelayOthers(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var slow atomic.Int64
	dead := hang(t, release, &slow)
	v := receive(t, always(200))
	b := start(t, func(c *Config) { c.Timeout = longest })
	for range 100 { // more than a page holds of one host
		b.fail(t, dead.URL)
	}
	var jobs []job.Job
	for range 50 {
		jobs = append(jobs, b.fail(t, v.URL))
	}
	for _, j := range jobs {
		b.reaches(t, j.ID, job.Delivered)
	}
	eventually(t, func() bool { return slow.Load() >= 2 }, func() string { return "fewer tries at once to one host than it may have" })
	if n := slow.Load(); n != 2 {
		t.Errorf("%d tries at once to one host, want 2", n)
	}
	close(release)
	b.stop()
	if n := len(v.got()); n != len(jobs) {
		t.Errorf("%d requests for %d callbacks", n, len(jobs))
	}
}

// outbox counts how much is read of it.
type outbox struct {
	job.Outbox
	most atomic.Int64
}

func (o *outbox) Pending(ctx context.Context, after string, hosts, each int) ([]job.Delivery, error) {
	all, err := o.Outbox.Pending(ctx, after, hosts, each)
	o.most.Store(max(o.most.Load(), int64(len(all))))
	return all, err
}

func TestAThousandPendingDeliveriesAreMadeAFewAtATime(t *testing.T) {
	t.Parallel()
	v := receive(t, always(200))
	b := start(t)
	b.stop() // as if the host were down
	const n = 1000
	hosts := []string{v.URL, "http://localhost:" + v.Listener.Addr().String()[len("127.0.0.1:"):]}
	for i := range n {
		b.fail(t, hosts[i%len(hosts)])
	}
	counted := &outbox{Outbox: b.store}
	again, err := New(Config{Outbox: counted, Do: b.Do, PerHost: 4, Timeout: longest})
	if err != nil {
		t.Fatal(err)
	}
	b.Caller = again
	b.run(t)
	eventually(t, func() bool {
		all, err := b.store.Pending(t.Context(), "", 10, 1)
		return err == nil && len(all) == 0
	}, func() string { return fmt.Sprintf("%d of %d were delivered", len(v.got()), n) })
	b.stop()
	ids := map[string]bool{}
	for _, r := range v.got() {
		ids[r.header.Get("Webhook-Id")] = true
	}
	if len(ids) != n || len(v.got()) != n {
		t.Errorf("%d requests for %d of %d callbacks", len(v.got()), len(ids), n)
	}
	if most := counted.most.Load(); most > pageHosts*pageEach/32 {
		t.Errorf("%d deliveries in memory at once", most)
	}
}

func TestAStopStartsNothingNewAndLosesNothing(t *testing.T) {
	t.Parallel()
	var started atomic.Int64
	v := hang(t, nil, &started)
	b := start(t, func(c *Config) { c.Timeout, c.Drain = longest, time.Millisecond })
	j := b.fail(t, v.URL)
	eventually(t, func() bool { return started.Load() == 1 }, func() string { return "no try" })
	b.stop()
	d := b.reaches(t, j.ID, job.Pending)
	if d.Tries != 0 {
		t.Errorf("the try that was cut off counts: %+v", d)
	}
}

func TestEveryHostHasItsTurn(t *testing.T) {
	t.Parallel()
	// Do stands for a hundred hosts, all of which hang but the last.
	done := make(chan struct{})
	reached := sync.OnceFunc(func() { close(done) })
	b := start(t, func(c *Config) {
		c.Timeout, c.Tries = 20*time.Millisecond, 1_000_000
		c.Do = func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "h99" {
				reached()
				return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
	})
	for n := range 100 {
		b.fail(t, fmt.Sprintf("http://h%02d/", n))
	}
	select {
	case <-done:
	case <-time.After(longest):
		t.Error("the last host waits for ever")
	}
}
