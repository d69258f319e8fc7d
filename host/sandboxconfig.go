package host

import (
	"path/filepath"
	"strings"

	"geomill/host/internal/plugin"
	"geomill/host/internal/plugin/sandbox"
	"geomill/host/internal/plugin/users"
)

// confine adds to o what the operator decided about the rights of a plugin.
func (p PluginConfig) confine(o *plugin.Options) {
	if p.Sandbox != nil {
		o.Sandbox = sandbox.Mode(*p.Sandbox)
	}
	override(&o.Read, p.Read)
	override(&o.Write, p.Write)
	override(&o.Network, p.Network)
}

// users returns the users of plugins. The configuration was validated.
func (c Config) users() users.Range {
	r, _ := users.ParseRange(c.PluginUIDs)
	return r
}

// validateSandbox reports what is out of range in the rights of a plugin.
func (p PluginConfig) validateSandbox(at func(key string) string, fault func(key, format string, args ...any)) {
	if p.Sandbox != nil {
		validateMode(*p.Sandbox, func(format string, args ...any) { fault(at("sandbox"), format, args...) })
	}
	for _, list := range []struct {
		key   string
		paths *[]string
	}{{"read", p.Read}, {"write", p.Write}} {
		if list.paths == nil {
			continue
		}
		for _, path := range *list.paths {
			if !filepath.IsAbs(path) {
				fault(at(list.key), "%q is not an absolute path", path)
			}
			if path == "/proc/self" || strings.HasPrefix(path, "/proc/self/") {
				fault(at(list.key), "%s is the server's own: list /proc for a plugin that looks at itself", path)
			}
		}
	}
}

func validateMode(mode string, fault func(format string, args ...any)) {
	if !sandbox.Mode(mode).Valid() {
		fault("%q is not on, off or strict", mode)
	}
}
