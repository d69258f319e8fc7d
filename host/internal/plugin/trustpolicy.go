package plugin

import "geomill/host/internal/plugin/trust"

// TrustPolicy returns the policy that the plugin in a file goes by.
func (h *Host) TrustPolicy(file string) trust.Policy { return h.cfg.optionsOf(file).policy() }
