// Package callback tells the subscribers of jobs how these get on (1.0 and 2.0
// class callback, spec 4.7): it takes deliveries from the outbox of the store,
// POSTs them, and writes down what has become of each. How a job ended is told
// at least once, over crashes and restarts, until the tries are used up; that
// it gets on is told when there is time.
//
// Of Geomill it imports package job. Its central type is Caller, which
// implements job.Callbacks.
package callback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"geomill/host/internal/job"
)

// Documents makes what is sent.
type Documents interface {
	// Callback returns the body of a delivery, which is JSON of a bounded
	// size, and the absolute URL of its job. The body is nil when there is
	// nothing to tell any more: the job was removed or, for InProgress, it
	// does not run.
	Callback(ctx context.Context, d job.Delivery) (body []byte, monitor string, err error)
}

// Config is what a Caller is made of. Only Outbox and Do are required.
type Config struct {
	Outbox job.Outbox
	// Do makes an HTTP request, if the policy on addresses allows it. It
	// follows no redirects, and ends with the request's context.
	Do func(*http.Request) (*http.Response, error)
	// Explain says what clients may know of an error of Do; empty: nothing.
	Explain func(error) string
	Logger  *slog.Logger // default: none

	// Secret is the key of the signatures; without it there are none.
	Secret    []byte
	UserAgent string

	Tries         int           // of each delivery; default 5
	Parallel      int           // tries at once; default 8
	PerHost       int           // of them to one host; default 2
	Timeout       time.Duration // of a try; default 10 s
	ProgressEvery time.Duration // between reports of one job's progress; default 5 s
	Drain         time.Duration // for tries under way at a stop; default 3 s
	// Backoff is the time to wait after so many tries. By default it is about
	// 10 s after the first and four times as long after each further one.
	Backoff func(tries int) time.Duration
	Now     func() time.Time // default time.Now
}

func (c *Config) check() error {
	if c.Outbox == nil || c.Do == nil {
		return errors.New("callbacks need an outbox and a way to make requests")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Explain == nil {
		c.Explain = func(error) string { return "" }
	}
	orElse(&c.Tries, 5)
	orElse(&c.Parallel, 8)
	orElse(&c.PerHost, 2)
	orElse(&c.Timeout, 10*time.Second)
	orElse(&c.ProgressEvery, 5*time.Second)
	orElse(&c.Drain, 3*time.Second)
	if c.Backoff == nil {
		c.Backoff = backoff
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

func orElse[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

const (
	shortestBackoff = 10 * time.Second
	longestBackoff  = time.Hour
)

// backoff grows fourfold with every try, with half of it left to chance, so that
// what failed together is not tried again together.
func backoff(tries int) time.Duration {
	d := min(shortestBackoff<<(2*min(max(tries-1, 0), 10)), longestBackoff)
	return d/2 + rand.N(d)
}

// Caller delivers callbacks. It is safe for concurrent use.
type Caller struct {
	Config
	wake    chan struct{} // holds one when there may be something to do
	reports reports
}

var _ job.Callbacks = (*Caller)(nil)

// New checks the configuration. It starts nothing: see Run.
func New(c Config) (*Caller, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Caller{Config: c, wake: make(chan struct{}, 1), reports: reports{jobs: map[string]*report{}}}, nil
}

// Finish implements job.Callbacks.
func (c *Caller) Finish(ctx context.Context, j job.Job, outputs map[string]job.Value, d job.Delivery) (job.Job, error) {
	j, err := c.Outbox.Finish(ctx, j, outputs, d)
	if err == nil {
		c.poke()
	}
	return j, err
}

// Deliveries implements job.Callbacks.
func (c *Caller) Deliveries(ctx context.Context, id string) ([]job.Delivery, error) {
	d, err := c.Outbox.Deliveries(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	return d, nil
}

// poke wakes Run.
func (c *Caller) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
