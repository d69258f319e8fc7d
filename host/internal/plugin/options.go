package plugin

import (
	"reflect"

	"geomill/host/internal/job"
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
}

// Equal reports whether both decide the same.
func (o Options) Equal(p Options) bool { return reflect.DeepEqual(o, p) }

// optionsOf returns what the operator decides about a plugin.
func (c *Config) optionsOf(file string) Options {
	if c.Options == nil {
		return Options{}
	}
	return c.Options(file)
}
