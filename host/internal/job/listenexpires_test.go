package job_test

import (
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// lastStatus reads to the status that a job ends with.
func lastStatus(t testing.TB, l job.Listener) job.Job {
	t.Helper()
	defer l.Close()
	for end := time.After(patience); ; {
		news, last, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range news {
			if n.Kind == job.StatusNotice && n.Job.Status.Final() {
				return n.Job
			}
		}
		if last {
			t.Fatal("the end was not told")
		}
		select {
		case <-l.More():
		case <-end:
			t.Fatal("the job does not end")
		}
	}
}

func TestListenersAreToldWhenAJobExpires(t *testing.T) {
	t.Parallel()
	g := newGate()
	b, _ := retaining(t, job.Retention{Limit: job.Limit{Age: time.Hour}}, func(c *job.Config) { c.Executor = g })
	listen := func(l job.Listener, err error) job.Listener {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	every := listen(b.ListenAll(t.Context(), job.Filter{}, nil))
	id := b.submit(t, async(`"x"`)).ID
	g.next(t)
	one := listen(b.Listen(t.Context(), id, nil))
	close(g.open)
	j := b.reaches(t, id, ogc.Successful)
	for who, l := range map[string]job.Listener{
		"to the job": one, "to all": every, "afterwards": listen(b.Listen(t.Context(), id, nil)),
	} {
		if got := lastStatus(t, l); !got.Expires.Equal(j.Expires) || got.Expires.IsZero() {
			t.Errorf("%s: expires %s, want %s", who, got.Expires, j.Expires)
		}
	}
}
