package host

import (
	"time"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// LimitConfig bounds what is kept of finished jobs. What is left out is as it is
// decided elsewhere; 0 sets no bound.
type LimitConfig struct {
	Age   *time.Duration `yaml:"age"`
	Count *int           `yaml:"count"`
	Bytes *int64         `yaml:"bytes"`
}

// RetainConfig is what is kept of the finished jobs of a process: of all
// together, and of those with one status.
type RetainConfig struct {
	LimitConfig `yaml:",inline"`
	Successful  LimitConfig `yaml:"successful"`
	Failed      LimitConfig `yaml:"failed"`
	Dismissed   LimitConfig `yaml:"dismissed"`
}

// limits are those of all jobs, as LimitConfig has them.
func (c Config) limits() LimitConfig {
	return LimitConfig{Age: &c.RetainAge, Count: &c.RetainCount, Bytes: &c.RetainBytes}
}

func (l LimitConfig) validate(fault func(key, format string, args ...any)) {
	if l.Age != nil && *l.Age < 0 {
		fault("age", "%s is negative", *l.Age)
	}
	if l.Count != nil && *l.Count < 0 {
		fault("count", "%d is negative", *l.Count)
	}
	if l.Bytes != nil && *l.Bytes < 0 {
		fault("bytes", "%d is negative", *l.Bytes)
	}
}

// statuses are the limits for single statuses, by the key that says so.
func (r *RetainConfig) statuses() map[ogc.Status]LimitConfig {
	return map[ogc.Status]LimitConfig{ogc.Successful: r.Successful, ogc.Failed: r.Failed, ogc.Dismissed: r.Dismissed}
}

func (r RetainConfig) validate(fault func(key, format string, args ...any)) {
	r.LimitConfig.validate(fault)
	for status, l := range r.statuses() {
		l.validate(func(key, format string, args ...any) { fault(string(status)+"."+key, format, args...) })
	}
}

// retentions returns what is kept of the finished jobs of each process, as far as
// the limits of all jobs together do not hold.
func (c Config) retentions() func(process string) job.Retention {
	own := map[string]job.Retention{}
	for id := range c.Processes {
		own[id] = c.retention(id)
	}
	others := c.retention(AllProcesses)
	return func(process string) job.Retention {
		if r, ok := own[process]; ok {
			return r
		}
		return others
	}
}

// retention goes from what holds for all to what holds for the process, at each
// step from all statuses to single ones. The last word counts.
func (c Config) retention(process string) job.Retention {
	r := job.Retention{Limit: job.Limit{Age: c.RetainAge}, Statuses: map[ogc.Status]job.Limit{}}
	for _, s := range []ogc.Status{ogc.Successful, ogc.Failed, ogc.Dismissed} {
		r.Statuses[s] = job.Limit{Age: c.RetainAge}
	}
	for _, key := range []string{AllProcesses, process} {
		set := c.Processes[key].Retain
		set.above(&r.Limit)
		for status, l := range set.statuses() {
			limit := r.Statuses[status]
			override(&limit.Age, set.Age)
			l.above(&limit)
			r.Statuses[status] = limit
		}
	}
	return r
}

// above puts what is decided here above a limit.
func (l LimitConfig) above(limit *job.Limit) {
	override(&limit.Age, l.Age)
	override(&limit.Jobs, l.Count)
	override(&limit.Bytes, l.Bytes)
}
