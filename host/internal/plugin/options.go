package plugin

import (
	"cmp"
	"reflect"

	"geomill/host/internal/job"
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
}

// Equal reports whether both decide the same.
func (o Options) Equal(p Options) bool { return reflect.DeepEqual(o, p) }

func (o Options) policy() trust.Policy { return cmp.Or(o.Trust, trust.Any) }

// optionsOf returns what the operator decides about a plugin.
func (c *Config) optionsOf(file string) Options {
	if c.Options == nil {
		return Options{}
	}
	return c.Options(file)
}
