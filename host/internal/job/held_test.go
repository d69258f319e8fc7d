package job_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// held is a catalog whose process cannot run while there is a reason.
type held struct {
	catalog
	reason atomic.Pointer[job.UnavailableError]
}

func (h *held) Process(id string) (*job.Process, error) {
	p, err := h.catalog.Process(id)
	if u := h.reason.Load(); u != nil && err == nil {
		return p, u
	}
	return p, err
}

func TestAJobWaitsInTheQueueWhileItsProcessComesBackSoon(t *testing.T) {
	t.Parallel()
	h := &held{catalog: catalog{process(t)}}
	h.reason.Store(&job.UnavailableError{ProcessID: "p", Reason: "its plugin crashed", RetryAfter: time.Second, Passing: true})
	b := start(t, echo, func(c *job.Config) { c.Catalog = h })
	if _, err := b.Submit(t.Context(), request(`"x"`)); !errors.Is(err, h.reason.Load()) {
		t.Errorf("a request that waits itself: %v", err)
	}
	j := b.submit(t, async(`"x"`))
	if j.Status != ogc.Accepted {
		t.Errorf("job is %s", j.Status)
	}
	h.reason.Store(nil)
	b.reaches(t, j.ID, ogc.Successful)
}

func TestNoJobIsTakenForAProcessThatStaysAway(t *testing.T) {
	t.Parallel()
	h := &held{catalog: catalog{process(t)}}
	h.reason.Store(&job.UnavailableError{ProcessID: "p", Reason: "its plugin is in quarantine", RetryAfter: time.Minute})
	b := start(t, echo, func(c *job.Config) { c.Catalog = h })
	for _, r := range []job.Request{request(`"x"`), async(`"x"`)} {
		if _, err := b.Submit(t.Context(), r); !errors.Is(err, h.reason.Load()) {
			t.Errorf("%+v: %v", r.Prefer, err)
		}
	}
	if left := b.listed(t); len(left) != 0 {
		t.Errorf("jobs %+v", left)
	}
}
