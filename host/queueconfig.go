package host

import (
	"strings"

	"geomill/host/internal/job"
)

// callerLimit is QueueLimitPerCaller with its default.
func (c Config) callerLimit() int {
	if c.QueueLimitPerCaller > 0 {
		return c.QueueLimitPerCaller
	}
	return max(1, (c.QueueLimit+1)/2)
}

// validateQueue reports what is out of range about how jobs wait.
func (c Config) validateQueue(fault func(key, format string, args ...any)) {
	if c.QueueLimitPerCaller < 0 {
		fault("queue-limit-per-caller", "%d is negative", c.QueueLimitPerCaller)
	}
	if c.QueueTimeout < 0 {
		fault("queue-timeout", "%s is negative", c.QueueTimeout)
	}
	if strings.ContainsFunc(c.CallerHeader, notInHeaderName) {
		fault("caller-header", "%q is not the name of a header", c.CallerHeader)
	}
	if c.CallerHeader != "" && len(c.TrustedProxies) == 0 {
		fault("caller-header", "is believed from trusted-proxies only, of which there are none")
	}
}

func notInHeaderName(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	return !letter && (r < '0' || r > '9') && r != '-' && r != '_'
}

// validateQueue reports what is out of range about how jobs of a process wait.
func (p ProcessConfig) validateQueue(at func(key string) string, fault func(key, format string, args ...any)) {
	if p.Priority != nil && !p.Priority.Valid() {
		fault(at("priority"), "%q is not high, normal or low", *p.Priority)
	}
	if p.QueueTimeout != nil && *p.QueueTimeout < 0 {
		fault(at("queue-timeout"), "%s is negative", *p.QueueTimeout)
	}
}

// Priority is how soon a waiting job starts: high, normal or low.
type Priority = job.Priority
