package host

import (
	"slices"

	"geomill/host/internal/plugin/trust"
)

// TrustPolicy says which contents of plugins may run: any, tofu, pinned or
// signed.
type TrustPolicy = trust.Policy

// validateTrust reports a policy that there is not, and keys that cannot be
// read.
func (c Config) validateTrust(fault func(key, format string, args ...any)) {
	if !c.Trust.Valid() {
		fault("trust", "%q is not any, tofu, pinned or signed", c.Trust)
	}
	policies := []TrustPolicy{c.Trust}
	for _, p := range c.PluginConfig {
		if p.Trust != nil {
			policies = append(policies, *p.Trust)
		}
	}
	if _, err := trust.ParseKeys(c.TrustKeys); err != nil {
		fault("trust-keys", "%v", err)
	} else if slices.Contains(policies, trust.Signed) && len(c.TrustKeys) == 0 {
		fault("trust-keys", "must name a key, since trust is signed")
	}
}

func validatePolicy(p *TrustPolicy, fault func(format string, args ...any)) {
	if p != nil && !p.Valid() {
		fault("%q is not any, tofu, pinned or signed", *p)
	}
}
