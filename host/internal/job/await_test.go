package job_test

import (
	"context"
	"sync/atomic"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// arriving is a catalog that does not know its process before it was waited for.
type arriving struct {
	catalog
	come atomic.Bool
}

func (a *arriving) Process(id string) (*job.Process, error) {
	if !a.come.Load() {
		return nil, job.ErrNoSuchProcess
	}
	return a.catalog.Process(id)
}

func (a *arriving) Await(_ context.Context, id string) error {
	a.come.Store(id == "p")
	return nil
}

func TestResultsWaitForTheProcessThatTheyAreOf(t *testing.T) {
	t.Parallel()
	late := &arriving{catalog: catalog{process(t)}}
	late.come.Store(true)
	b := start(t, echo, func(c *job.Config) { c.Catalog = late })
	id := b.submit(t, async(`"x"`)).ID
	b.reaches(t, id, ogc.Successful)
	late.come.Store(false)
	r, err := b.Results(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Process == nil {
		t.Error("the process is not known")
	}
}
