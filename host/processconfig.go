package host

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"geomill/host/internal/job"
)

// AllProcesses is the key of Config.Processes whose settings hold for every
// process that has none of its own.
const AllProcesses = "*"

// ProcessConfig is what the operator decides about a process. What is left out
// is as its author wishes, or else as the host has it for all.
type ProcessConfig struct {
	// Isolation is how its jobs are kept apart: shared (one instance of the
	// plugin runs many), exclusive (an instance runs one at a time) or job (an
	// instance runs one and ends).
	Isolation *job.Isolation `yaml:"isolation"`
	// Timeout is how long an attempt may take.
	Timeout *time.Duration `yaml:"timeout"`
	// Slots is how many of its jobs run at once; 0 sets no limit of its own.
	Slots *int `yaml:"slots"`
	// MaxTimeout is the longest time that a request may ask for.
	MaxTimeout *time.Duration `yaml:"max-timeout"`
	// RetryAttempts is how often a job may be run again after a failure of
	// RetryOn.
	RetryAttempts *int `yaml:"retry-attempts"`
	// RetryBackoff is the time before the second attempt; it doubles for each
	// further one.
	RetryBackoff *time.Duration `yaml:"retry-backoff"`
	// RetryOn lists the failures after which a job is run again: plugin, host,
	// process, memory, timeout.
	RetryOn *[]string `yaml:"retry-on"`
	// Priority is that of jobs whose clients ask for none.
	Priority *Priority `yaml:"priority"`
	// QueueTimeout is how long a job may wait for its start; 0 is for ever.
	QueueTimeout *time.Duration `yaml:"queue-timeout"`
	// Deterministic says that equal inputs give equal outputs.
	Deterministic *bool `yaml:"deterministic"`
	// Limits is what an attempt may use.
	Limits AttemptLimits `yaml:"limits"`
	// Detached has its async jobs go on while the host is down or restarts; it
	// needs the isolation job.
	Detached *bool `yaml:"detached"`
	// Retain is what is kept of its finished jobs.
	Retain RetainConfig `yaml:"retain"`
}

// policy puts what the operator decided about a process above what its author
// wishes.
func (c Config) policy(id string, p job.Policy) job.Policy {
	for _, key := range []string{AllProcesses, id} {
		set := c.Processes[key]
		override(&p.Isolation, set.Isolation)
		override(&p.Timeout, set.Timeout)
		override(&p.MaxConcurrency, set.Slots)
		override(&p.MaxTimeout, set.MaxTimeout)
		override(&p.RetryAttempts, set.RetryAttempts)
		override(&p.RetryBackoff, set.RetryBackoff)
		if set.RetryOn != nil {
			p.RetryOn = []job.FailureKind{}
			for _, cause := range *set.RetryOn {
				p.RetryOn = append(p.RetryOn, job.FailureKind(cause))
			}
		}
		override(&p.Deterministic, set.Deterministic)
		override(&p.Detached, set.Detached)
		override(&p.Priority, set.Priority)
		set.Limits.above(&p.Limits)
		if set.QueueTimeout != nil {
			p.QueueTimeout = set.QueueTimeout
		}
	}
	return p
}

func override[T any](field *T, decided *T) {
	if decided != nil {
		*field = *decided
	}
}

// validateProcesses reports what is out of range, by process and key.
func (c Config) validateProcesses(fault func(key, format string, args ...any)) {
	for _, id := range slices.Sorted(maps.Keys(c.Processes)) {
		p := c.Processes[id]
		at := func(key string) string { return fmt.Sprintf("processes.%s.%s", id, key) }
		for _, d := range []struct {
			key   string
			value *time.Duration
		}{{"timeout", p.Timeout}, {"max-timeout", p.MaxTimeout}, {"retry-backoff", p.RetryBackoff}} {
			if d.value != nil && *d.value <= 0 {
				fault(at(d.key), "%s is not a duration above zero", *d.value)
			}
		}
		validateIsolation(p.Isolation, func(format string, args ...any) { fault(at("isolation"), format, args...) })
		if p.RetryOn != nil {
			for _, cause := range *p.RetryOn {
				if !slices.Contains(job.RetryCauses(), job.FailureKind(cause)) {
					fault(at("retry-on"), "%q is not one of %s", cause, job.RetryCauses())
				}
			}
		}
		p.Retain.validate(func(key, format string, args ...any) { fault(at("retain."+key), format, args...) })
		p.Limits.validate(func(key, format string, args ...any) { fault(at("limits."+key), format, args...) })
		p.validateQueue(at, fault)
		for _, n := range []struct {
			key   string
			value *int
		}{{"slots", p.Slots}, {"retry-attempts", p.RetryAttempts}} {
			if n.value != nil && *n.value < 0 {
				fault(at(n.key), "%d is negative", *n.value)
			}
		}
	}
}
