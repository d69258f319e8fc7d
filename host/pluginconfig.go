package host

import (
	"fmt"
	"maps"
	"slices"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin"
	"geomill/host/internal/plugin/sandbox"
)

// AllPlugins is the key of Config.PluginConfig whose settings hold for every
// plugin that has none of its own.
const AllPlugins = "*"

// PluginConfig is what the operator decides about a plugin.
type PluginConfig struct {
	// Isolation is how the jobs of all its processes are kept apart: shared,
	// exclusive or job; empty leaves it to the author. Config.Processes stands
	// above it.
	Isolation *job.Isolation `yaml:"isolation"`
	// Trust says which of its contents may run; it stands above Config.Trust.
	Trust *TrustPolicy `yaml:"trust"`
	// Limits is what its instances, and attempts in them, may use.
	Limits PluginLimits `yaml:"limits"`
	// Sandbox stands above Config.Sandbox.
	Sandbox *string `yaml:"sandbox"`
	// Read and Write are absolute paths of files and directories that the plugin
	// may read, or change too, besides what every plugin may.
	Read  *[]string `yaml:"read"`
	Write *[]string `yaml:"write"`
	// Network lets the plugin connect to others, and be connected to.
	Network *bool `yaml:"network"`
}

// options puts together what the operator decided about a plugin.
func (c Config) options(file string) plugin.Options {
	o := plugin.Options{Trust: c.Trust, Sandbox: sandbox.Mode(c.Sandbox), Limits: plugin.Limits{Files: defaultFiles}}
	for _, key := range []string{AllPlugins, file} {
		set := c.PluginConfig[key]
		override(&o.Isolation, set.Isolation)
		override(&o.Trust, set.Trust)
		set.Limits.above(&o.Limits)
		set.confine(&o)
	}
	return o
}

// validatePlugins reports what is out of range, by plugin and key.
func (c Config) validatePlugins(fault func(key, format string, args ...any)) {
	for _, file := range slices.Sorted(maps.Keys(c.PluginConfig)) {
		p := c.PluginConfig[file]
		at := func(key string) string { return fmt.Sprintf("plugin-config.%s.%s", file, key) }
		validateIsolation(p.Isolation, func(format string, args ...any) { fault(at("isolation"), format, args...) })
		validatePolicy(p.Trust, func(format string, args ...any) { fault(at("trust"), format, args...) })
		p.Limits.validate(func(key, format string, args ...any) { fault(at("limits."+key), format, args...) })
		p.validateSandbox(at, fault)
	}
}

func validateIsolation(i *job.Isolation, fault func(format string, args ...any)) {
	if i != nil && !slices.Contains([]job.Isolation{job.Shared, job.Exclusive, job.PerJob}, *i) {
		fault("%q is not shared, exclusive or job", *i)
	}
}
