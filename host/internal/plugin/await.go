package plugin

import "context"

// Await waits, at the start of the host, until the process is offered or Ready
// is closed; with an empty id, for Ready. A plugin whose file has the name of the
// process is then admitted before its turn. It is job.Catalog, and fails only with
// the cause of the end of ctx.
func (h *Host) Await(ctx context.Context, id string) error {
	select {
	case <-h.ready:
		return nil
	default:
	}
	var asked chan<- string
	if id != "" {
		asked = h.asked
	}
	for {
		r := h.routes.Load()
		if r.byID[id] != nil {
			return nil
		}
		select {
		case <-h.ready:
			return nil
		case asked <- id:
			asked = nil
		case <-r.replaced:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
