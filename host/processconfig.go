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
	// Timeout is how long an attempt may take.
	Timeout *time.Duration `yaml:"timeout"`
	// Slots is how many of its jobs run at once; 0 sets no limit of its own.
	Slots *int `yaml:"slots"`
	// RetryAttempts is how often a job may be run again after its plugin or
	// the host died.
	RetryAttempts *int `yaml:"retry-attempts"`
	// Deterministic says that equal inputs give equal outputs.
	Deterministic *bool `yaml:"deterministic"`
}

// policy puts what the operator decided about a process above what its author
// wishes.
func (c Config) policy(id string, p job.Policy) job.Policy {
	for _, key := range []string{AllProcesses, id} {
		set := c.Processes[key]
		override(&p.Timeout, set.Timeout)
		override(&p.MaxConcurrency, set.Slots)
		override(&p.RetryAttempts, set.RetryAttempts)
		override(&p.Deterministic, set.Deterministic)
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
		if p.Timeout != nil && *p.Timeout <= 0 {
			fault(at("timeout"), "%s is not a duration above zero", *p.Timeout)
		}
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
