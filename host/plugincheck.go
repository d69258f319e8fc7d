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
	c.Accepts = CheckProcess
	return check.Run(ctx, c)
}

// CheckProcess says why a process that is described like this cannot be served.
func CheckProcess(d ogc.Process) error {
	if d.Version == "" {
		d.Version = "0" // it gets that of its plugin
	}
	_, err := job.NewProcess(d, job.Policy{}, job.Plugin{})
	return err
}
