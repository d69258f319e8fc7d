package host

import (
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"

	"github.com/google/go-cmp/cmp"
)

func TestTheOperatorDecidesOverTheAuthor(t *testing.T) {
	t.Parallel()
	wish := job.Policy{Isolation: job.Shared, MaxConcurrency: 4, Timeout: time.Hour, RetryAttempts: 1, Deterministic: true}
	c := Default()
	c.Processes = map[string]ProcessConfig{
		AllProcesses: {Timeout: new(time.Minute), Slots: new(2)},
		"buffer": {Timeout: new(time.Second), RetryAttempts: new(0), Deterministic: new(false),
			MaxTimeout: new(time.Hour), RetryBackoff: new(time.Minute), RetryOn: &[]string{"memory", "timeout"},
			Priority: new(job.Low), QueueTimeout: new(time.Minute)},
	}
	want := wish
	want.Timeout, want.MaxConcurrency = time.Minute, 2
	if d := cmp.Diff(want, c.policy("overlay", wish)); d != "" {
		t.Error(d)
	}
	want.Timeout, want.RetryAttempts, want.Deterministic = time.Second, 0, false
	want.MaxTimeout, want.RetryBackoff, want.RetryOn = time.Hour, time.Minute, []job.FailureKind{job.OutOfMemory, job.TimedOut}
	want.Priority, want.QueueTimeout = job.Low, new(time.Minute)
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

func TestTheLastWordOnRetentionCounts(t *testing.T) {
	t.Parallel()
	c := Default()
	c.RetainAge, c.RetainCount = 10*time.Hour, 1000
	c.Processes = map[string]ProcessConfig{
		AllProcesses: {Retain: RetainConfig{LimitConfig: LimitConfig{Count: new(50)}, Failed: LimitConfig{Age: new(20 * time.Hour), Count: new(5)}}},
		"buffer":     {Retain: RetainConfig{LimitConfig: LimitConfig{Age: new(time.Hour)}, Dismissed: LimitConfig{Age: new(time.Duration), Bytes: new(int64(7))}}},
		"overlay":    {Slots: new(1)},
	}
	keeps := c.retentions()
	of := func(successful, failed, dismissed time.Duration, age time.Duration, bytes int64) job.Retention {
		return job.Retention{Limit: job.Limit{Age: age, Jobs: 50}, Statuses: map[ogc.Status]job.Limit{
			ogc.Successful: {Age: successful}, ogc.Failed: {Age: failed, Jobs: 5}, ogc.Dismissed: {Age: dismissed, Bytes: bytes},
		}}
	}
	for process, want := range map[string]job.Retention{
		"buffer":  of(time.Hour, time.Hour, 0, time.Hour, 7),
		"overlay": of(10*time.Hour, 20*time.Hour, 10*time.Hour, 10*time.Hour, 0),
		"other":   of(10*time.Hour, 20*time.Hour, 10*time.Hour, 10*time.Hour, 0),
	} {
		if d := cmp.Diff(want, keeps(process)); d != "" {
			t.Errorf("%s: %s", process, d)
		}
	}
}

func TestWhatIsWrongWithRetentionIsNamed(t *testing.T) {
	t.Parallel()
	c := Default()
	c.RetainAge, c.RetainCount, c.RetainBytes, c.DiskQuota, c.MinFree = -1, -2, -3, -4, 0
	c.Processes = map[string]ProcessConfig{"b": {Retain: RetainConfig{LimitConfig: LimitConfig{Count: new(-5)}, Failed: LimitConfig{Bytes: new(int64(-6))}}}}
	err := c.Validate()
	for _, want := range []string{
		"retain-age: -1ns is negative", "retain-count: -2 is negative", "retain-bytes: -3 is negative", "disk-quota: -4 is negative",
		"min-free: 0 is not a number of bytes from 1", "processes.b.retain.count: -5 is negative", "processes.b.retain.failed.bytes: -6 is negative",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
