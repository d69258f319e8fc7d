package host

import (
	"fmt"
	"maps"
	"slices"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin"
)

// AllPlugins is the key of Config.PluginConfig whose settings hold for every
// plugin that has none of its own.
const AllPlugins = "*"

// PluginConfig is what the operator decides about a plugin.
type PluginConfig struct {
	// Isolation is how the jobs of all its processes are kept apart: shared,
	// exclusive or job; empty leaves it to the author. Config.Processes stands
	// above it.
	Isolation  *job.Isolation `yaml:"isolation"`
	PoolConfig `yaml:",inline"`
}

// options puts together what the operator decided about a plugin.
func (c Config) options(file string) plugin.Options {
	var o plugin.Options
	for _, key := range []string{AllPlugins, file} {
		set := c.PluginConfig[key]
		override(&o.Isolation, set.Isolation)
		set.PoolConfig.decide(&o)
	}
	return o
}

// validatePlugins reports what is out of range, by plugin and key.
func (c Config) validatePlugins(fault func(key, format string, args ...any)) {
	for _, file := range slices.Sorted(maps.Keys(c.PluginConfig)) {
		p := c.PluginConfig[file]
		at := func(key string) string { return fmt.Sprintf("plugin-config.%s.%s", file, key) }
		validateIsolation(p.Isolation, func(format string, args ...any) { fault(at("isolation"), format, args...) })
		p.PoolConfig.validate(func(key, format string, args ...any) { fault(at(key), format, args...) })
	}
}

func validateIsolation(i *job.Isolation, fault func(format string, args ...any)) {
	if i != nil && !slices.Contains([]job.Isolation{job.Shared, job.Exclusive, job.PerJob}, *i) {
		fault("%q is not shared, exclusive or job", *i)
	}
}
