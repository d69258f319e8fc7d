package plugin

import (
	"encoding/json"
	"reflect"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/settings"
)

// Options is what the operator decides about one plugin, by its name in the
// plugins directory. The zero value decides nothing.
type Options struct {
	// Isolation is how the jobs of its processes are kept apart; empty leaves
	// it to the author.
	Isolation job.Isolation
	// Settings is a JSON object of what the plugin is told, or nil. An object
	// with the one member from-file or from-env stands for a value that is there.
	Settings json.RawMessage

	// settled is what became of Settings when the plugin was admitted; nil before
	// that, and when it takes none.
	settled *settings.Settings
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

// optionsOf returns what the operator decides about a plugin.
func (c *Config) optionsOf(file string) Options {
	if c.Options == nil {
		return Options{}
	}
	return c.Options(file)
}
