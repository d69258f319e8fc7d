package job_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"geomill/host/internal/job"
)

func TestReusedResultsCountForTheQuota(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	b, _ := retaining(t, job.Retention{}, offer(deterministic(t, "h1")).in, func(c *job.Config) {
		c.DiskQuota, c.SweepEvery = 60<<10, time.Hour
		c.Executor = executor(counter{&runs, 10 << 10}.execute)
	})
	text := `"` + strings.Repeat("x", 2<<10) + `"`
	source := b.source(t, text)
	for n := range 8 {
		j := b.source(t, text)
		if j.ReusedFrom == "" && n < 3 { // beyond the quota, the source is the first to go
			t.Fatalf("job %d was run", n)
		}
		if j.ReusedFrom != "" && j.Size() != source.Size() {
			t.Errorf("it takes %d bytes, the other job %d", j.Size(), source.Size())
		}
	}
	poll(t, func() error {
		if n := b.store.Usage().Bytes(); n > 60<<10 {
			return fmt.Errorf("%d bytes are kept", n)
		}
		return nil
	})
}
