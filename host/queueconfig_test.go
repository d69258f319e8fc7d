package host

import (
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
)

func TestWhatIsWrongWithTheQueueIsNamed(t *testing.T) {
	t.Parallel()
	c := Default()
	c.QueueLimitPerCaller, c.QueueTimeout, c.CallerHeader = -1, -time.Second, "X Caller"
	c.Processes = map[string]ProcessConfig{"a": {Priority: new(job.Priority("urgent")), QueueTimeout: new(-time.Second)}}
	err := c.Validate()
	for _, want := range []string{
		"queue-limit-per-caller: -1 is negative", "queue-timeout: -1s is negative", `caller-header: "X Caller" is not the name of a header`,
		"caller-header: is believed from trusted-proxies only", `processes.a.priority: "urgent" is not high, normal or low`,
		"processes.a.queue-timeout: -1s is negative",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestACallerMayHaveHalfOfTheQueueUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ all, given, want int }{{100, 0, 50}, {1, 0, 1}, {5, 0, 3}, {100, 7, 7}, {100, 500, 500}} {
		if got := (Config{QueueLimit: c.all, QueueLimitPerCaller: c.given}).callerLimit(); got != c.want {
			t.Errorf("%d of %d: %d, want %d", c.given, c.all, got, c.want)
		}
	}
}
