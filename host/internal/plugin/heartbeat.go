package plugin

import (
	"context"
	"time"
)

// heartbeat asks an instance regularly whether it still works, whatever else
// goes on with it.
type heartbeat struct {
	wedged chan struct{} // closed when too many checks in a row had no answer
	cancel context.CancelFunc
	ended  chan struct{}
}

// startHeartbeat begins to ask; stop must follow. each is called before each
// check.
func startHeartbeat(c *connection, each func()) *heartbeat {
	ctx, cancel := context.WithCancel(context.Background())
	h := &heartbeat{wedged: make(chan struct{}), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(h.ended)
		h.run(ctx, c, each)
	}()
	return h
}

// stop returns when no check is under way any more.
func (h *heartbeat) stop() {
	h.cancel()
	<-h.ended
}

func (h *heartbeat) run(ctx context.Context, c *connection, each func()) {
	tick := time.NewTicker(c.cfg.HeartbeatEvery)
	defer tick.Stop()
	for misses := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		each()
		if c.beats(ctx) {
			misses = 0
			continue
		}
		if misses++; ctx.Err() == nil && misses >= c.cfg.HeartbeatMisses {
			close(h.wedged)
			return
		}
	}
}

// beats makes one check.
func (c *connection) beats(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.HeartbeatEvery)
	defer cancel()
	health, err := c.client.Check(ctx)
	return err == nil && health.Ready
}
