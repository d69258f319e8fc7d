package host

import (
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"

	"github.com/google/go-cmp/cmp"
)

func TestTheOperatorDecidesOverTheAuthor(t *testing.T) {
	t.Parallel()
	wish := job.Policy{Isolation: job.Shared, MaxConcurrency: 4, Timeout: time.Hour, RetryAttempts: 1, Deterministic: true}
	c := Default()
	c.Processes = map[string]ProcessConfig{
		AllProcesses: {Timeout: new(time.Minute), Slots: new(2)},
		"buffer": {Timeout: new(time.Second), RetryAttempts: new(0), Deterministic: new(false),
			MaxTimeout: new(time.Hour), RetryBackoff: new(time.Minute), RetryOn: &[]string{"memory", "timeout"}},
	}
	want := wish
	want.Timeout, want.MaxConcurrency = time.Minute, 2
	if d := cmp.Diff(want, c.policy("overlay", wish)); d != "" {
		t.Error(d)
	}
	want.Timeout, want.RetryAttempts, want.Deterministic = time.Second, 0, false
	want.MaxTimeout, want.RetryBackoff, want.RetryOn = time.Hour, time.Minute, []job.FailureKind{job.OutOfMemory, job.TimedOut}
	if d := cmp.Diff(want, c.policy("buffer", wish)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(wish, Default().policy("buffer", wish)); d != "" {
		t.Error(d)
	}
}

func TestWhatIsWrongWithAProcessIsNamed(t *testing.T) {
	t.Parallel()
	c := Default()
	c.Processes = map[string]ProcessConfig{"b": {Timeout: new(time.Duration), Slots: new(-1)}, "a": {RetryAttempts: new(-2), RetryOn: &[]string{"crash"}}}
	err := c.Validate()
	want := "processes.a.retry-on: \"crash\" is not one of [plugin host process memory timeout]\nprocesses.a.retry-attempts: -2 is negative\nprocesses.b.timeout: 0s is not a duration above zero\nprocesses.b.slots: -1 is negative"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
}
