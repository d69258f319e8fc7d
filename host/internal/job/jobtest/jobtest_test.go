package jobtest_test

import (
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
)

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	jobtest.Store(t, func(t testing.TB) job.Store { return jobtest.NewMemoryStore(t) })
}

func TestMemoryOutbox(t *testing.T) {
	t.Parallel()
	jobtest.Outbox(t, func(t testing.TB) jobtest.StoreWithOutbox { return jobtest.NewMemoryStore(t) })
}

func TestMemoryStoreBehavesLikeTheModel(t *testing.T) {
	t.Parallel()
	jobtest.StoreModel(t, func(t testing.TB) job.Store { return jobtest.NewMemoryStore(t) })
}

func TestMemoryQueue(t *testing.T) {
	t.Parallel()
	jobtest.Queue(t, func(_ testing.TB, limit int, lease time.Duration) job.Queue {
		return jobtest.NewMemoryQueue(limit, lease)
	})
}

func TestJobsLiveAsTheirStatusMachineSays(t *testing.T) {
	t.Parallel()
	jobtest.Lifecycle(t, 1, func(t testing.TB) job.Store { return jobtest.NewMemoryStore(t) })
}

func TestMemoryLogs(t *testing.T) {
	t.Parallel()
	jobtest.Logs(t, func(testing.TB) job.Logs { return jobtest.NewMemoryLogs() })
}

func TestMemoryArchive(t *testing.T) {
	t.Parallel()
	jobtest.Archive(t, func(t testing.TB) jobtest.StoreWithArchive { return jobtest.NewMemoryStore(t) })
}

func TestMemoryQueueBehavesLikeTheModel(t *testing.T) {
	t.Parallel()
	jobtest.QueueModel(t, func(_ testing.TB, limit int, lease time.Duration) job.Queue {
		return jobtest.NewMemoryQueue(limit, lease)
	})
}
