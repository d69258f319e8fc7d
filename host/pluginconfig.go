package host

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin"
	"geomill/host/internal/plugin/sandbox"
	"geomill/host/internal/plugin/users"
)

// AllPlugins is the key of Config.PluginConfig for what is not said of a single
// plugin.
const AllPlugins = "*"

// PluginConfig is what the operator decides about a plugin.
type PluginConfig struct {
	// Isolation is how the jobs of all its processes are kept apart: shared,
	// exclusive or job; empty leaves it to the author. Config.Processes stands
	// above it.
	Isolation *job.Isolation `yaml:"isolation"`
	// Breaking says what becomes of a new version that breaks clients of the
	// last one, and whose number does not announce that: refuse (which is what
	// becomes of it when nothing is said) or allow.
	Breaking *Breaking `yaml:"breaking"`
	// Trust says which of its contents may run; it stands above Config.Trust.
	Trust *TrustPolicy `yaml:"trust"`
	// Limits is what its instances, and attempts in them, may use.
	Limits     PluginLimits `yaml:"limits"`
	PoolConfig `yaml:",inline"`
	// Settings are what the plugin itself declares that it can be told, of one
	// plugin only. {from-file: PATH} and {from-env: NAME} stand for values that
	// are in a file or in a variable of the host's environment.
	Settings map[string]any `yaml:"settings"`
	// Sandbox stands above Config.Sandbox.
	Sandbox *string `yaml:"sandbox"`
	// Read and Write are absolute paths of files and directories that the plugin
	// may read, or change too, besides what every plugin may.
	Read  *[]string `yaml:"read"`
	Write *[]string `yaml:"write"`
	// Network lets the plugin connect to others, and be connected to.
	Network *bool `yaml:"network"`
}

// Breaking is what becomes of a version that breaks clients.
type Breaking string

// What may become of it.
const (
	RefuseBreaking Breaking = "refuse"
	AllowBreaking  Breaking = "allow"
)

// options puts together what the operator decided about a plugin.
func (c Config) options(file string) plugin.Options {
	o := plugin.Options{Trust: c.Trust, Sandbox: sandbox.Mode(c.Sandbox), Limits: plugin.Limits{Files: defaultFiles}}
	for _, key := range []string{AllPlugins, file} {
		set := c.PluginConfig[key]
		override(&o.Isolation, set.Isolation)
		if set.Breaking != nil {
			o.AllowBreaking = *set.Breaking == AllowBreaking
		}
		override(&o.Trust, set.Trust)
		set.Limits.above(&o.Limits)
		set.PoolConfig.decide(&o)
		set.confine(&o)
	}
	o.Settings, _ = settingsJSON(c.PluginConfig[file].Settings) // Validate has seen them
	return o
}

// validatePlugins reports what is wrong with the keys for all plugins, and what is
// out of range, by plugin and key.
func (c Config) validatePlugins(fault func(key, format string, args ...any)) {
	if _, err := users.ParseRange(c.PluginUIDs); err != nil {
		fault("plugin-uids", "%v", err)
	}
	validateMode(c.Sandbox, func(format string, args ...any) { fault("sandbox", format, args...) })
	for _, v := range c.PluginEnv {
		if name, _, _ := strings.Cut(v, "="); name == "" {
			fault("plugin-env", "%q has no name", v)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(c.PluginConfig)) {
		p := c.PluginConfig[file]
		at := func(key string) string { return fmt.Sprintf("plugin-config.%s.%s", file, key) }
		validateIsolation(p.Isolation, func(format string, args ...any) { fault(at("isolation"), format, args...) })
		if b := p.Breaking; b != nil && *b != RefuseBreaking && *b != AllowBreaking {
			fault(at("breaking"), "%q is not refuse or allow", *b)
		}
		validatePolicy(p.Trust, func(format string, args ...any) { fault(at("trust"), format, args...) })
		p.Limits.validate(func(key, format string, args ...any) { fault(at("limits."+key), format, args...) })
		p.PoolConfig.validate(func(key, format string, args ...any) { fault(at(key), format, args...) })
		if _, err := settingsJSON(p.Settings); err != nil {
			fault(at("settings"), "are not JSON: %v", err)
		}
		if file == AllPlugins && p.Settings != nil {
			fault(at("settings"), "must be below the name of one plugin, which declares them")
		}
		p.validateSandbox(at, fault)
	}
}

// settingsJSON writes settings as a JSON object; none are nil. Equal ones give
// equal text.
func settingsJSON(settings map[string]any) (json.RawMessage, error) {
	if settings == nil {
		return nil, nil
	}
	return json.Marshal(settings)
}

// strangers returns the names below plugin-config that no plugin has: one may come
// later, but most often they are misspelt.
func (c Config) strangers(found []PluginStatus) []string {
	known := map[string]bool{AllPlugins: true}
	for _, p := range found {
		known[p.File] = true
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c.PluginConfig)), func(name string) bool { return known[name] })
}

// neighbours lists, in their order, the names of plugins among which a name would
// be: all, if they are few.
func neighbours(name string, found []PluginStatus) string {
	const most = 10
	files := make([]string, 0, len(found))
	for _, p := range found {
		files = append(files, p.File)
	}
	slices.Sort(files)
	switch n := len(files); {
	case n == 0:
		return "none"
	case n > most:
		at, _ := slices.BinarySearch(files, name)
		first := min(max(at-most/2, 0), n-most)
		return fmt.Sprintf("%s (%d of %d)", strings.Join(files[first:first+most], ", "), most, n)
	}
	return strings.Join(files, ", ")
}

func validateIsolation(i *job.Isolation, fault func(format string, args ...any)) {
	if i != nil && !slices.Contains([]job.Isolation{job.Shared, job.Exclusive, job.PerJob}, *i) {
		fault("%q is not shared, exclusive or job", *i)
	}
}
