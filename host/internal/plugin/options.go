package plugin

import (
	"cmp"
	"encoding/json"
	"reflect"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/sandbox"
	"geomill/host/internal/plugin/settings"
	"geomill/host/internal/plugin/trust"
)

// Options is what the operator decides about one plugin, by its name in the
// plugins directory. The zero value decides nothing.
type Options struct {
	// Isolation is how the jobs of its processes are kept apart; empty leaves
	// it to the author.
	Isolation job.Isolation
	// AllowBreaking lets a new version take over although it breaks clients of
	// the last one and its number does not announce that.
	AllowBreaking bool
	// Trust says which contents of it may run; empty is trust.Any.
	Trust trust.Policy
	// Limits is what each instance, and each attempt in it, may use.
	Limits Limits
	// Warm is how many instances are kept started for jobs to come, if its
	// processes need such: one is enough where jobs share it, where they do not
	// it is that many with and without a job, and where each has a fresh one,
	// that many fresh ones.
	Warm int
	// Idle is how long an instance without a job is kept beyond Warm, where
	// jobs do not share one. 0: Config.Idle.
	Idle time.Duration
	// Recycle is when an instance is replaced by a new one.
	Recycle Recycle
	// PoisonGrace is how long the other jobs of a shared instance may go on
	// once one in it does not end although it was told to. 0:
	// Config.PoisonGrace; negative: none.
	PoisonGrace time.Duration
	// Sandbox is how its instances are confined; the zero value is sandbox.On.
	Sandbox sandbox.Mode
	// Read and Write are files and directories that it may read, or change too,
	// besides what every plugin may.
	Read, Write []string
	// Network lets it use other sockets than Unix ones.
	Network bool
	// Settings is a JSON object of what the plugin is told, or nil. An object
	// with the one member from-file or from-env stands for a value that is there.
	Settings json.RawMessage

	// settled is what became of Settings when the plugin was admitted; nil before
	// that, and when it takes none.
	settled *settings.Settings
}

func (o Options) idle(c *Config) time.Duration {
	if o.Idle > 0 {
		return o.Idle
	}
	return c.Idle
}

func (o Options) poisonGrace(c *Config) time.Duration {
	if o.PoisonGrace != 0 {
		return max(0, o.PoisonGrace)
	}
	return c.PoisonGrace
}

// Equal reports whether the operator decides the same. Where both were settled, a
// secret that has changed makes a difference too.
func (o Options) Equal(other Options) bool {
	if o.settled != nil && other.settled != nil && !o.settled.Equal(other.settled) {
		return false
	}
	o.settled, other.settled = nil, nil
	return reflect.DeepEqual(o, other)
}

func (o Options) policy() trust.Policy { return cmp.Or(o.Trust, trust.Any) }

// optionsOf returns what the operator decides about a plugin.
func (c *Config) optionsOf(file string) Options {
	if c.Options == nil {
		return Options{}
	}
	return c.Options(file)
}
