package plugin

import (
	"cmp"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/sandbox"
	"geomill/host/internal/plugin/trust"
)

// Options is what the operator decides about one plugin, by its name in the
// plugins directory. The zero value decides nothing.
type Options struct {
	// Isolation is how the jobs of its processes are kept apart; empty leaves
	// it to the author.
	Isolation job.Isolation
	// Trust says which contents of it may run; empty is trust.Any.
	Trust trust.Policy
	// Limits is what each instance, and each attempt in it, may use.
	Limits Limits
	// Sandbox is how its instances are confined; the zero value is sandbox.On.
	Sandbox sandbox.Mode
	// Read and Write are files and directories that it may read, or change too,
	// besides what every plugin may.
	Read, Write []string
	// Network lets it use other sockets than Unix ones.
	Network bool
}

func (o Options) policy() trust.Policy { return cmp.Or(o.Trust, trust.Any) }

// optionsOf returns what the operator decides about a plugin.
func (c *Config) optionsOf(file string) Options {
	if c.Options == nil {
		return Options{}
	}
	return c.Options(file)
}
