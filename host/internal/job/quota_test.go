package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

func TestLogsCountForTheQuota(t *testing.T) {
	t.Parallel()
	attempts := func(_ context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
		for range 10 {
			ev.Log(slog.LevelInfo, strings.Repeat("x", 2<<10), nil)
		}
		if a.Number == 1 {
			return nil, &job.Failure{Kind: job.ProcessFailed, Detail: "not now", Retryable: true}
		}
		return map[string]job.Value{"out": {JSON: json.RawMessage(`"done"`)}}, nil
	}
	b, _ := retaining(t, job.Retention{}, withLogs(jobtest.NewMemoryLogs()), func(c *job.Config) {
		c.Executor, c.DiskQuota, c.SweepEvery = executor(attempts), 100<<10, time.Hour
		p := process(t)
		p.Policy.RetryBackoff = time.Millisecond
		c.Catalog = catalog{p}
	})
	var last job.Job
	for range 4 {
		last = b.reaches(t, b.submit(t, async(`"x"`)).ID, ogc.Successful)
		if last.Size() < 40<<10 {
			t.Errorf("it takes %d bytes, less than its log", last.Size())
		}
	}
	poll(t, func() error {
		if u := b.store.Usage(); u.Bytes() > 100<<10 || u.Finished[job.Group{ProcessID: "p", Status: ogc.Successful}].Jobs != 2 {
			return fmt.Errorf("kept are %+v", u)
		}
		return nil
	})
	if j, err := b.Job(t.Context(), last.ID); err != nil || j.Size() != last.Size() {
		t.Errorf("the newest job: %+v, %v", j, err)
	}
}

// emptyArchive counts jobs that it does not find.
type emptyArchive struct{ job.Archive }

func (emptyArchive) Ended(context.Context, []job.Group, uint64, int) ([]job.Job, error) {
	return nil, nil
}

func TestAQuotaThatNoRemovalHelpsRefusesJobs(t *testing.T) {
	t.Parallel()
	b, _ := retaining(t, job.Retention{}, func(c *job.Config) {
		c.DiskQuota, c.Archive = 8<<10, emptyArchive{c.Archive}
	})
	text := `"` + strings.Repeat("x", 10<<10) + `"`
	b.succeeds(t, text)
	poll(t, func() error {
		if _, err := b.Submit(t.Context(), async(`"y"`)); !errors.Is(err, job.ErrNoSpace) {
			return fmt.Errorf("a job beyond the quota: %w", err)
		}
		return nil
	})
}
