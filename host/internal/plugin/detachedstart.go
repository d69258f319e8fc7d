package plugin

import (
	"context"
	"errors"

	"geomill/host/internal/job"
)

// launchDetached starts an instance for an attempt when the supervisor allows it:
// one that cannot be started counts against the plugin.
func (h *Host) launchDetached(ctx context.Context, o *offer, a job.Attempt) (d *detachedRun, err error) {
	var cannot error
	err = o.sup.startAside(ctx, func() (err error) {
		if d, err = h.startDetached(ctx, o, a); err != nil && ctx.Err() == nil {
			h.log.Error("detached plugin instance does not start", "plugin", o.sup.exe.name, "job", a.JobID, "error", err)
		}
		if errors.Is(err, errCannotDetach) { // nor will it the next time
			cannot, err = err, nil
		}
		return err
	})
	u, unavailable := errors.AsType[*job.UnavailableError](err)
	switch {
	case cannot != nil:
		return nil, &job.Failure{Kind: job.ContractBroken, Detail: errCannotDetach.Error(), Cause: cannot}
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case unavailable:
		u.ProcessID = a.Process.ID
	}
	return d, err
}
