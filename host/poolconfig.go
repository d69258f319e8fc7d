package host

import (
	"time"

	"geomill/host/internal/plugin"
)

// maxWarm is the largest number of instances of a plugin that are kept started.
const maxWarm = 1000

// PoolConfig is how many instances of a plugin there are, and for how long. What
// is left out is as the defaults say.
type PoolConfig struct {
	// Warm is how many instances are kept started for jobs to come (0): where
	// jobs share one, from 1 on that one; with isolation exclusive, that many
	// with and without a job; with isolation job, that many spares.
	Warm *int `yaml:"warm"`
	// Idle is how long an instance of isolation exclusive is kept without a job
	// beyond Warm (5m).
	Idle *time.Duration `yaml:"idle"`
	// Recycle is when an instance is replaced by a new one (never).
	Recycle RecycleConfig `yaml:"recycle"`
	// PoisonGrace is how long the other jobs of a shared instance may go on
	// once one in it has ignored its cancellation (30s); 0 stops them at once.
	PoisonGrace *time.Duration `yaml:"poison-grace"`
}

// RecycleConfig is when an instance is replaced. 0 is never.
type RecycleConfig struct {
	Jobs   *int           `yaml:"jobs"`   // after so many
	Age    *time.Duration `yaml:"age"`    // since its start
	Memory *Bytes         `yaml:"memory"` // resident, at the end of a job
}

// decide puts what is set into o.
func (p PoolConfig) decide(o *plugin.Options) {
	override(&o.Warm, p.Warm)
	override(&o.Idle, p.Idle)
	override(&o.Recycle.Jobs, p.Recycle.Jobs)
	override(&o.Recycle.Age, p.Recycle.Age)
	if p.Recycle.Memory != nil {
		o.Recycle.Memory = int64(*p.Recycle.Memory)
	}
	override(&o.PoisonGrace, p.PoisonGrace)
	if p.PoisonGrace != nil && *p.PoisonGrace == 0 {
		o.PoisonGrace = -1
	}
}

// validate reports what is out of range, by key.
func (p PoolConfig) validate(fault func(key, format string, args ...any)) {
	if n := p.Warm; n != nil && (*n < 0 || *n > maxWarm) {
		fault("warm", "%d is not a number from 0 to %d", *n, maxWarm)
	}
	if d := p.Idle; d != nil && *d <= 0 {
		fault("idle", "%s is not a duration above zero", *d)
	}
	if d := p.PoisonGrace; d != nil && *d < 0 {
		fault("poison-grace", "%s is negative", *d)
	}
	r := p.Recycle
	if r.Jobs != nil && *r.Jobs < 0 {
		fault("recycle.jobs", "%d is negative", *r.Jobs)
	}
	if r.Age != nil && *r.Age != 0 && *r.Age < time.Second {
		fault("recycle.age", "%s is not 0 or a duration from 1s", *r.Age)
	}
	if r.Memory != nil && *r.Memory < 0 {
		fault("recycle.memory", "%d is negative", *r.Memory)
	}
}
