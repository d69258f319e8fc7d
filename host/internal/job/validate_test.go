package job_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// noFetcher refuses what is not on a server and cannot fetch anything.
type noFetcher struct{ t testing.TB }

func (noFetcher) Check(r job.Reference) error {
	if strings.HasPrefix(r.Href, "http:") {
		return nil
	}
	return &job.RemoteError{Kind: job.RemoteRefused, Detail: "is not followed"}
}

func (f noFetcher) Fetch(context.Context, job.Reference, io.Writer) (job.Fetched, error) {
	f.t.Error("fetched")
	return job.Fetched{}, job.ErrBusy
}

func TestValidationTellsEveryFaultAndExecutesNothing(t *testing.T) {
	t.Parallel()
	b := start(t, func(context.Context, job.Attempt, job.Events) (map[string]job.Value, error) {
		t.Error("executed")
		return nil, nil
	}, func(c *job.Config) {
		c.Fetcher, c.CheckJSON = noFetcher{t}, func(io.Reader) error { return nil }
	})
	large := `"` + strings.Repeat("x", 300<<10) + `"`
	for _, c := range []struct {
		in       string
		response string
		faults   int
	}{
		{`"x"`, "", 0}, {large, "", 0}, {`{"href":"http://a.example/x"}`, "raw", 0},
		{`5`, "later", 2}, {large, "later", 1}, {`{"href":"file:///etc/passwd"}`, "later", 2},
	} {
		r := request(c.in)
		r.Response = c.response
		_, err := b.Validate(t.Context(), r)
		var invalid *job.InvalidError
		if c.faults == 0 && err != nil || c.faults > 0 && (!errors.As(err, &invalid) || len(invalid.Faults) != c.faults) {
			t.Errorf("%.40s: %v", c.in, err)
		}
	}
	if _, err := b.Validate(t.Context(), job.Request{ProcessID: "none"}); !errors.Is(err, job.ErrNoSuchProcess) {
		t.Errorf("unknown process: %v", err)
	}
	if left, _ := os.ReadDir(b.dir); len(left) > 0 || len(b.listed(t)) > 0 {
		t.Errorf("left: %v, %v", left, b.listed(t))
	}
}

func TestValidationSaysInWhichModeTheRequestWouldRun(t *testing.T) {
	t.Parallel()
	b := start(t, echo)
	hour := time.Hour
	for _, c := range []struct {
		prefer job.Preference
		want   job.Plan
	}{
		{job.Preference{}, job.Plan{Mode: job.Sync}},
		{job.Preference{Async: true}, job.Plan{Mode: job.Async}},
		{job.Preference{Wait: &hour}, job.Plan{Mode: job.Wait, Wait: time.Minute}},
	} {
		r := request(`"x"`)
		r.Prefer = c.prefer
		if got, err := b.Validate(t.Context(), r); err != nil || got != c.want {
			t.Errorf("%+v: %+v, %v", c.prefer, got, err)
		}
	}
}
