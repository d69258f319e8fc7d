package host

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"geomill/host/internal/job"
)

// lastWords is the time that requests have to answer once their work was
// stopped.
const lastWords = 2 * time.Second

// requests is the handler around all others. It knows which requests are under
// way, so that the parts they use are stopped after them.
type requests struct {
	handler http.Handler
	ctx     context.Context // of every request
	cancel  context.CancelCauseFunc
	running sync.RWMutex // read-locked by each; once locked, none is admitted
}

func newRequests(h http.Handler) *requests {
	r := &requests{handler: h}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	return r
}

func (r *requests) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !r.running.TryRLock() {
		panic(http.ErrAbortHandler) // its connection is closed already
	}
	defer r.running.RUnlock()
	r.handler.ServeHTTP(w, req)
}

// end takes no new requests and lets those under way go on for the time of
// drain. Then it stops their work, which takes grace at most, so that they
// answer that the host shuts down; those that read or write slowly are cut off.
// When it returns, no handler runs.
func (r *requests) end(s *http.Server, drain, grace time.Duration, log *slog.Logger) {
	defer r.cancel(job.ErrShuttingDown)
	if shutdown(s, drain) != nil {
		log.Warn("requests did not end in time and are stopped", "drain", drain)
		r.cancel(job.ErrShuttingDown)
		if err := shutdown(s, grace+lastWords); err != nil {
			log.Warn("requests are cut off", "error", err)
			_ = s.Close() // the listener is closed already, and connections have nobody to tell
		}
	}
	r.running.Lock() // for good
}

func shutdown(s *http.Server, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return s.Shutdown(ctx)
}
