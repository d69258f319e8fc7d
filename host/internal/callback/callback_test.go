package callback

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longest bounds every wait of these tests; only a hang is longer.
const longest = time.Minute

// documents makes a body of the delivery's names; how many times is counted.
type documents struct {
	made  atomic.Int64
	empty atomic.Bool
	err   atomic.Pointer[error]
}

func (d *documents) Callback(_ context.Context, c job.Delivery) ([]byte, string, error) {
	d.made.Add(1)
	if err := d.err.Load(); err != nil {
		return nil, "", *err
	}
	if d.empty.Load() {
		return nil, "", nil
	}
	return fmt.Appendf(nil, `{"job":%q,"event":%q}`, c.JobID, c.Event), c.Base + "/jobs/" + c.JobID, nil
}

// received is one request at a receiver.
type received struct {
	header http.Header
	body   string
}

// receiver is a server that answers callbacks and keeps them.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	all []received
}

// receive starts a receiver; status decides about the request of a number from 1.
func receive(t testing.TB, status func(n int) int) *receiver {
	t.Helper()
	v := &receiver{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		v.all = append(v.all, received{r.Header, string(body)})
		n := len(v.all)
		v.mu.Unlock()
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status(n))
	}))
	t.Cleanup(v.Close)
	return v
}

func always(status int) func(int) int { return func(int) int { return status } }

func (v *receiver) got() []received {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]received(nil), v.all...)
}

// bench is a Caller on a memory store.
type bench struct {
	*Caller
	store     *jobtest.MemoryStore
	documents *documents
	stop      func() // ends Run and waits for it
}

func start(t testing.TB, change ...func(*Config)) *bench {
	t.Helper()
	b := &bench{store: jobtest.NewMemoryStore(t), documents: &documents{}}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c := Config{
		Outbox: b.store, Do: client.Do, Logger: slog.New(slog.DiscardHandler), UserAgent: "Geomill/test",
		Backoff: func(int) time.Duration { return time.Millisecond }, ProgressEvery: time.Millisecond,
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	if b.Caller, err = New(c); err != nil {
		t.Fatal(err)
	}
	b.run(t)
	return b
}

func (b *bench) run(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.Run(ctx, b.documents); err != nil {
			t.Error(err)
		}
	}()
	b.stop = func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(longest):
			t.Error("Run does not end")
		}
	}
	t.Cleanup(func() { b.stop() })
}

func create(t testing.TB, s job.Store) job.Job {
	t.Helper()
	j := jobtest.NewJob("p")
	j.Callback = true
	j, err := s.Create(t.Context(), j, job.Order{})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func delivery(j job.Job, e job.Event, uri string) job.Delivery {
	return job.Delivery{JobID: j.ID, Event: e, URI: uri, Base: "http://host.example", State: job.Pending, Due: time.Now()}
}

// fail ends a new job, with a callback that says so.
func (b *bench) fail(t testing.TB, uri string) job.Job {
	t.Helper()
	j := create(t, b.store)
	j.Status = ogc.Failed
	j, err := b.Finish(t.Context(), j, nil, delivery(j, job.OnFailed, uri))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// reaches waits until the only delivery of a job has a state.
func (b *bench) reaches(t testing.TB, id string, s job.DeliveryState) job.Delivery {
	t.Helper()
	var got job.Delivery
	eventually(t, func() bool {
		all, err := b.Deliveries(t.Context(), id)
		if err != nil || len(all) != 1 {
			return false
		}
		got = all[0]
		return got.State == s
	}, func() string { return fmt.Sprintf("the delivery is %+v", got) })
	return got
}

func eventually(t testing.TB, done func() bool, otherwise func() string) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(longest)
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal(otherwise())
		}
	}
}

func TestASuccessfulDeliverySaysWhoAndWhat(t *testing.T) {
	t.Parallel()
	v := receive(t, always(204))
	b := start(t)
	j := b.fail(t, v.URL+"/hook?token=1")
	d := b.reaches(t, j.ID, job.Delivered)
	if d.Tries != 1 || d.HTTPStatus != 204 || d.Fault != "" || d.Last.IsZero() || !d.Due.IsZero() {
		t.Errorf("recorded %+v", d)
	}
	got := v.got()
	if len(got) != 1 || got[0].body != `{"job":"`+j.ID+`","event":"failed"}` {
		t.Fatalf("received %+v", got)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "Geomill/test",
		"Link":       "<http://host.example/jobs/" + j.ID + `>; rel="monitor"`,
		"Webhook-Id": j.ID + "_failed", "Webhook-Signature": "",
	} {
		if have := got[0].header.Get(name); have != want {
			t.Errorf("%s: %q, want %q", name, have, want)
		}
	}
}

func TestAFailedDeliveryIsTriedAgainUnderTheSameID(t *testing.T) {
	t.Parallel()
	v := receive(t, func(n int) int {
		if n <= 2 {
			return 500
		}
		return 200
	})
	var tried []int
	b := start(t, func(c *Config) {
		c.Backoff = func(n int) time.Duration { tried = append(tried, n); return time.Millisecond }
	})
	j := b.fail(t, v.URL)
	if d := b.reaches(t, j.ID, job.Delivered); d.Tries != 3 || d.HTTPStatus != 200 || d.Fault != "" {
		t.Errorf("recorded %+v", d)
	}
	b.stop()
	got := v.got()
	if len(got) != 3 || fmt.Sprint(tried) != "[1 2]" {
		t.Fatalf("%d requests, backoff asked for %v", len(got), tried)
	}
	for _, r := range got {
		if r.header.Get("Webhook-Id") != j.ID+"_failed" || r.body != got[0].body {
			t.Errorf("request %+v", r)
		}
	}
}

func TestAReceiverThatNeverTakesItIsGivenUp(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(hangs.Close)
	for name, test := range map[string]struct {
		uri     string
		timeout time.Duration // default is longest
		status  int
		fault   string
	}{
		"answers 400": {uri: receive(t, always(400)).URL, status: 400, fault: "the receiver answered 400"},
		"redirects":   {uri: receive(t, always(307)).URL, status: 307, fault: "the receiver answered 307; redirects are not followed"},
		"is not there": {
			uri: gone.URL, fault: "the receiver could not be reached",
		},
		"hangs": {uri: hangs.URL, timeout: 50 * time.Millisecond, fault: "the receiver gave no answer within 50ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, func(c *Config) { c.Tries, c.Timeout = 3, cmp.Or(test.timeout, longest) })
			j := b.fail(t, test.uri)
			d := b.reaches(t, j.ID, job.GaveUp)
			if d.Tries != 3 || d.HTTPStatus != test.status || d.Fault != test.fault || !d.Due.IsZero() {
				t.Errorf("recorded %+v", d)
			}
			if all, err := b.store.Pending(t.Context(), "", 10, 10); err != nil || len(all) > 0 {
				t.Errorf("pending %v, %v", all, err)
			}
		})
	}
}

func TestARefusedAddressIsExplained(t *testing.T) {
	t.Parallel()
	refused := fmt.Errorf("no entry")
	b := start(t, func(c *Config) {
		c.Tries = 1
		c.Do = func(*http.Request) (*http.Response, error) { return nil, refused }
		c.Explain = func(err error) string { return "refused: " + err.Error() }
	})
	j := b.fail(t, "http://10.0.0.1/")
	if d := b.reaches(t, j.ID, job.GaveUp); d.Fault != "refused: no entry" {
		t.Errorf("recorded %+v", d)
	}
}

func TestWhatCannotBeMadeIsTriedAgain(t *testing.T) {
	t.Parallel()
	v := receive(t, always(200))
	b := start(t, func(c *Config) { c.Tries = 1_000_000 })
	failure := fmt.Errorf("disk on fire")
	b.documents.err.Store(&failure)
	j := b.fail(t, v.URL)
	eventually(t, func() bool { return b.documents.made.Load() > 2 }, func() string { return "it is not tried again" })
	if d := b.reaches(t, j.ID, job.Pending); d.Fault == failure.Error() {
		t.Errorf("the client is told %q", d.Fault)
	}
	b.documents.err.Store(nil)
	b.reaches(t, j.ID, job.Delivered)
}

func TestNothingToTellEndsADelivery(t *testing.T) {
	t.Parallel()
	v := receive(t, always(200))
	b := start(t)
	b.documents.empty.Store(true)
	b.reaches(t, b.fail(t, v.URL).ID, job.GaveUp)
	if n := len(v.got()); n > 0 {
		t.Errorf("%d requests", n)
	}
}

func TestADeliveryGoesWithItsJob(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	v := receive(t, func(int) int { <-release; return 500 })
	b := start(t)
	j := b.fail(t, v.URL)
	eventually(t, func() bool { return len(v.got()) == 1 }, func() string { return "nothing was sent" })
	if err := b.store.Delete(t.Context(), j.ID, j.Revision); err != nil {
		t.Fatal(err)
	}
	close(release)
	b.stop()
	if all, err := b.Deliveries(t.Context(), j.ID); err != nil || len(all) > 0 {
		t.Errorf("deliveries %v, %v", all, err)
	}
}

func TestBackoffGrowsWithinBounds(t *testing.T) {
	t.Parallel()
	for tries, middle := range map[int]time.Duration{
		0: 10 * time.Second, 1: 10 * time.Second, 2: 40 * time.Second, 3: 160 * time.Second, 4: 640 * time.Second,
		5: 2560 * time.Second, 6: time.Hour, 1_000_000: time.Hour,
	} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := backoff(tries)
			if seen[d] = true; d < middle/2 || d >= middle*3/2 {
				t.Errorf("%s after %d tries, want about %s", d, tries, middle)
			}
		}
		if len(seen) < 2 {
			t.Errorf("always the same after %d tries", tries)
		}
	}
}
