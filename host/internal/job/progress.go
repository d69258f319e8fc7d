package job

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"geomill/sdk/ogc"
)

const (
	// keepEvery is the time between two writes of what a running job reports:
	// its progress to the record, its lines to the log.
	keepEvery = 250 * time.Millisecond
	// keepDeadline bounds one such write of the progress, so that a slow disk
	// holds up neither the lease nor the end of the job for long.
	keepDeadline = 5 * time.Second
)

// An estimate of the end needs so much to go by, and is not made beyond a year.
const (
	estimateAfter    = 2 * time.Second
	estimateFrom     = 2.0 // percent
	estimateFarthest = 365 * 24 * time.Hour
)

// report is the newest progress of an attempt.
type report struct {
	progress int // percent, as it is recorded
	message  string

	percent float64
	at      time.Time // when percent was first reported; zero without a record
}

// news reports whether clients would see a difference to an older report.
func (r *report) news(old *report) bool {
	return old == nil || r.progress != old.progress || r.message != old.message
}

// Progress keeps the newest progress, never falling and below 100 until the
// job has succeeded. It is the one place that all progress of an attempt passes.
func (u *running) Progress(percent float64, message string) {
	old, next := u.report.Load(), &report{message: message}
	if percent > 0 { // not so for NaN
		next.percent = min(percent, 99)
		next.progress = int(next.percent)
	}
	if u.now != nil {
		next.at = u.now()
	}
	if old != nil {
		if next.percent <= old.percent {
			next.progress, next.percent, next.at = old.progress, old.percent, old.at
		}
		if message == "" {
			next.message = old.message
		}
	}
	u.report.Store(next)
	if !next.news(old) {
		return
	}
	u.wake()
	if t := u.topic.Load(); t != nil {
		t.report(*u.job, next.progress, next.message)
	}
	if u.onProgress != nil {
		u.onProgress()
	}
}

// line takes a line to the job's log, and to those who listen to the job.
func (u *running) line(l LogLine) {
	g, t := u.journal.Load(), u.topic.Load()
	var tell func(LogLine)
	if t != nil {
		tell = func(l LogLine) { t.log(*u.job, l) }
	}
	switch {
	case g != nil:
		if g.add(l, tell) {
			u.wake()
		}
	case tell != nil:
		l.Time, l.Attempt = u.now(), u.job.Attempt
		tell(l.bounded())
	}
}

// Log takes a line of the process to the job's log and passes it on to the
// host's.
func (u *running) Log(level slog.Level, message string, fields json.RawMessage) {
	u.line(LogLine{Level: level, Source: FromProcess, Message: message, Fields: fields})
	if fields == nil {
		u.log.Log(context.Background(), level, message, "job", u.id)
		return
	}
	u.log.Log(context.Background(), level, message, "job", u.id, "fields", string(fields))
}

// keptConsole is console, or nil when no log is kept.
func (u *running) keptConsole() func(string, slog.Level, string, json.RawMessage) {
	if u.journal.Load() == nil {
		return nil
	}
	return u.console
}

// console takes a line of a standard stream of the process to the job's log.
func (u *running) console(stream string, level slog.Level, message string, fields json.RawMessage) {
	u.line(LogLine{Level: level, Source: stream, Message: message, Fields: fields})
}

// wake tells the owner of the job that there is something to keep.
func (u *running) wake() {
	select {
	case u.news <- struct{}{}:
	default: // it knows, or there is no record
	}
}

// latest returns a job with what its attempt has reported last.
func (u *running) latest(j Job) Job {
	if g := u.journal.Load(); g != nil {
		j.LogSize = max(j.LogSize, g.written())
	}
	if r := u.report.Load(); r != nil {
		j.Progress, j.Message = r.progress, r.message
	}
	if p := u.moved.Load(); p != nil {
		j.Plugin = p.Plugin
	}
	return j
}

// estimate says when a running job will end if it goes on as it went from the
// start of its attempt to its newest progress; zero when that says too little.
func (r *report) estimate(started, now time.Time) time.Time {
	if r.at.IsZero() || r.percent < estimateFrom || r.at.Sub(started) < estimateAfter {
		return time.Time{}
	}
	left := remaining(r.at.Sub(started), r.percent) - now.Sub(r.at)
	if left <= 0 { // it has gone slower since
		left = remaining(now.Sub(started), r.percent)
	}
	if left > estimateFarthest {
		return time.Time{}
	}
	return now.Add(left).Truncate(time.Millisecond)
}

// remaining is what is left of something of which percent took so long.
func remaining(took time.Duration, percent float64) time.Duration {
	return time.Duration(min(float64(took)*(100-percent)/percent, float64(2*estimateFarthest)))
}

// observe makes ready what keeps the reports of an attempt. again says that it has
// just started, and is not the first.
func (s *Service) observe(u *running, j Job, again bool) {
	u.now, u.news = s.Now, make(chan struct{}, 1)
	g := s.newJournal(j)
	if g == nil {
		return
	}
	if again {
		g.begin()
	}
	u.journal.Store(g)
}

// keep writes what a running job has reported since the last time. It returns
// the job as it is then in the store. Whatever goes wrong is of no consequence
// but that a crash of the host forgets more.
func (s *Service) keep(ctx context.Context, j Job, u *running) Job {
	if g := u.journal.Load(); g != nil {
		g.keep()
	}
	if u.doubtful {
		j = s.revise(ctx, j, u)
	}
	n := u.latest(j)
	if u.doubtful || n.Status != ogc.Running || n.Progress == j.Progress && n.Message == j.Message {
		return j
	}
	bounded, cancel := context.WithTimeout(ctx, keepDeadline)
	defer cancel()
	written, err := s.Store.Update(bounded, n, nil)
	if err == nil {
		return written
	}
	s.Logger.Debug("progress is not recorded", "job", j.ID, "error", err)
	u.doubtful = true
	return j
}

// conclude keeps what an attempt reported last, writes how it ended, and lets
// those know who wait for that.
func (s *Service) conclude(ctx context.Context, j Job, u *running, outputs map[string]Value, err error) Job {
	g := u.journal.Load()
	if g != nil {
		g.close()
	}
	if u.doubtful {
		j = s.revise(ctx, j, u)
	}
	n := s.finish(ctx, u.latest(j), outputs, err)
	if n.Status == ogc.Running && n.Attempt == j.Attempt && n.Revision != j.Revision { // a write of the progress came late
		n = s.finish(ctx, u.latest(n), outputs, err)
	}
	if g != nil && n.Status == ogc.Accepted && n.Attempt == j.Attempt {
		g.again(n.Message)
	}
	s.live.settle(u, n)
	return n
}

// revise returns a running job with the revision that it has in the store, after
// a write whose outcome is not known.
func (s *Service) revise(ctx context.Context, j Job, u *running) Job {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepDeadline)
	defer cancel()
	now, err := s.Store.Get(ctx, j.ID)
	if err != nil || now.Status != ogc.Running || now.Attempt != j.Attempt {
		return j
	}
	u.doubtful = false
	return now
}
