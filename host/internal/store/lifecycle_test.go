package store

import (
	"testing"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
)

func TestJobsLiveAsTheirStatusMachineSays(t *testing.T) {
	t.Parallel()
	jobtest.Lifecycle(t, 20, func(t testing.TB) job.Store { return openNew(t) })
}
