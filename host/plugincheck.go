package host

import (
	"context"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
	"geomill/sdk/sdktest/check"
)

// PluginCheck says which plugin is checked, and with what.
type PluginCheck = check.Config

// PluginReport is what CheckPlugin found out.
type PluginReport = check.Report

// CheckPlugin finds out whether a plugin, in any language, keeps the contract and
// would be served by this host. The error says why it could not begin.
func CheckPlugin(ctx context.Context, c PluginCheck) (*PluginReport, error) {
	c.Accepts = func(d ogc.Process) error {
		_, err := job.NewProcess(d, job.Policy{}, job.Plugin{})
		return err
	}
	return check.Run(ctx, c)
}
