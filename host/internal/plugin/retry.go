package plugin

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"time"

	"geomill/host/internal/plugin/trust"
)

// passing is an error of an admission whose cause may pass although the file
// stays as it is: an interpreter that is missing, a start that took too long.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

// mayPass marks errors that come from the machine rather than from the file.
func mayPass(err error) error {
	if _, ok := errors.AsType[syscall.Errno](err); ok || errors.Is(err, fs.ErrNotExist) || errors.Is(err, context.DeadlineExceeded) {
		return passing{err}
	}
	return err
}

// retry says when a refused candidate is tried again. Its zero value is never.
type retry struct {
	failed int // admissions in a row
	at     time.Time
}

// after returns what follows another failure: a pause that doubles from first
// to most.
func (r retry) after(now time.Time, first, most time.Duration) retry {
	pause := most
	if shift := min(r.failed, 30); first<<shift > 0 {
		pause = min(first<<shift, most)
	}
	return retry{r.failed + 1, now.Add(jitter(pause))}
}

// wait returns how long until the next try; false if there is none.
func (r retry) wait(now time.Time) (time.Duration, bool) {
	return max(0, r.at.Sub(now)), !r.at.IsZero()
}

// acceptance returns the command with which the operator settles a refusal,
// and what it is about if that is trust.
func acceptance(err error) (command string, refusal *trust.Refusal) {
	if u, ok := errors.AsType[*unfit](err); ok {
		return u.fix, nil
	}
	if refusal, ok := errors.AsType[*trust.Refusal](err); ok {
		return refusal.Accept, refusal
	}
	return "", nil
}
