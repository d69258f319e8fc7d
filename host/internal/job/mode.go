package job

import (
	"slices"
	"time"

	"geomill/sdk/ogc"
)

// Mode is how an execute request is answered.
type Mode int

// The modes.
const (
	Sync  Mode = iota // run within the request
	Async             // answer 201 at once
	Wait              // run from the queue; answer with results if it ends in time, else 201
)

// Negotiate chooses the mode from what the process allows and the client
// prefers (1.0 /req/core/process-execute-default-execution-mode and
// /req/core/process-execute-auto-execution-mode, 2.0 likewise; spec 4.5). The
// duration is how long Wait waits, at most limit.
func Negotiate(options []ogc.JobControlOption, p Preference, limit time.Duration) (Mode, time.Duration) {
	switch {
	case !slices.Contains(options, ogc.AsyncExecute):
		return Sync, 0
	case !slices.Contains(options, ogc.SyncExecute):
		return Async, 0
	case p.Wait != nil && *p.Wait > 0:
		return Wait, min(*p.Wait, limit)
	case p.Async:
		return Async, 0
	case p.Sync:
		return Sync, 0
	case p.Auto && limit > 0:
		return Wait, limit
	}
	return Sync, 0
}
