package plugin

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"geomill/host/internal/job"
)

const (
	// measureEvery is the time between looks at the directories of a job, or
	// measureShare times as long as a look takes.
	measureEvery = time.Second
	measureShare = 20
)

// allowance is what one attempt may use, and has used. A nil one has no limits.
type allowance struct {
	child  *child
	limits job.Limits
	dog    *watchdog
	memory int64 // of an instance that the attempt has alone, bytes; 0: no limit of its own
	shared bool  // others may use up what it may use

	exceed  context.CancelCauseFunc
	dirs    []string // that may grow, absolute
	room    int64    // they may be as large as that together, bytes
	measure sync.WaitGroup
	work    *workDir // not nil: it has the job's directory, which is measured
	job     string

	begun uint64 // as process.born
	seen  map[processID]bool
	free  time.Duration // processor time that is not charged
	spent time.Duration
}

// allow holds an attempt in an instance to its limits, until settle: the context
// that it returns ends when the attempt exceeds one.
func (h *Host) allow(ctx context.Context, in *instance, a job.Attempt) (context.Context, *allowance) {
	l := a.Process.Policy.Limits
	shared := a.Process.Policy.Isolation == job.Shared
	if shared {
		l.Memory = 0
	}
	if l.CPU == 0 && l.Memory == 0 && l.Directory == 0 {
		return ctx, nil
	}
	al := &allowance{child: in.conn.child, limits: l, dog: h.watchdog, memory: l.Memory, shared: shared}
	ctx, al.exceed = context.WithCancelCause(ctx)
	if l.CPU > 0 || l.Memory > 0 {
		al.begin()
		h.watchdog.allow(al.child, al)
	}
	if l.Directory > 0 {
		al.work, al.job = in.work, a.JobID
		al.work.measured.Store(al.job, nil)
		al.dirs = directories(in, a)
		al.room = l.Directory + al.size(ctx)
		al.measure.Go(func() { al.survey(ctx) })
	}
	return ctx, al
}

// directories returns those that an attempt writes into: that of its job, or all
// of an instance that it has alone.
func directories(in *instance, a job.Attempt) []string {
	var dirs []string
	shared := a.Process.Policy.Isolation == job.Shared
	switch {
	case !shared && in.work.path != "":
		dirs = []string{in.work.path}
	case a.JobDir != "":
		dirs = []string{a.JobDir}
	default:
		dirs = []string{a.Dir, a.Checkpoint}
	}
	if !shared {
		dirs = append(dirs, in.conn.child.dir)
	}
	return dirs
}

// settle ends the watch over an attempt that ended with err. One that succeeded
// fails when it left too much in its directories. Once its files are taken home,
// close has to follow.
func (al *allowance) settle(err error) error {
	if al == nil {
		return err
	}
	al.dog.disallow(al.child, al)
	al.exceed(nil)
	al.measure.Wait()
	if err == nil && al.limits.Directory > 0 && al.size(context.Background()) > al.room {
		return al.exceeded(job.LimitDirectory, float64(al.limits.Directory))
	}
	return err
}

// close lets the directory of the job be taken for litter.
func (al *allowance) close() {
	if al != nil && al.work != nil {
		al.work.measured.Delete(al.job)
	}
}

func (al *allowance) exceeded(name job.LimitName, maximum float64) *job.Failure {
	f := job.Exceeded(name, maximum)
	f.Retryable = al.shared && name == job.LimitCPU
	return f
}

// begin notes what the instance has used so far.
func (al *allowance) begin() {
	al.begun, al.seen = ticksAt(time.Now()), map[processID]bool{}
	c := census{buf: make([]byte, 4<<10)}
	if p, ok := c.stat(al.child.pid()); ok {
		al.seen[p.id()] = true
		al.free = p.used.cpu
	}
}

// charge counts what the family of the instance has used during the attempt: what
// was there before counts from when it is first seen. It reports whether the
// attempt is near its limit. Only the watchdog calls it.
func (al *allowance) charge(family []process, cpu time.Duration) (near bool) {
	if al.limits.CPU == 0 {
		return false
	}
	for _, p := range family {
		if !al.seen[p.id()] {
			al.seen[p.id()] = true
			if p.born < al.begun {
				al.free += p.used.cpu
			}
		}
	}
	// What has ended, and nobody has waited for, goes missing: time runs on.
	al.spent = max(al.spent, cpu-al.free)
	if al.spent > al.limits.CPU {
		al.exceed(al.exceeded(job.LimitCPU, al.limits.CPU.Seconds()))
	}
	return al.limits.CPU-al.spent < guardEvery
}

// survey measures the directories of the attempt until ctx ends.
func (al *allowance) survey(ctx context.Context) {
	for pause := time.NewTimer(measureEvery); ; {
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		begun := time.Now()
		if al.size(ctx) > al.room {
			al.exceed(al.exceeded(job.LimitDirectory, float64(al.limits.Directory)))
			return
		}
		pause.Reset(max(measureEvery, measureShare*time.Since(begun)))
	}
}

// size returns what the files in the directories of the attempt take, in bytes,
// or a number beyond the room once there is more.
func (al *allowance) size(ctx context.Context) int64 {
	t := tally{room: al.room, linked: map[[2]uint64]bool{}}
	for _, dir := range al.dirs {
		if dir != "" {
			t.add(ctx, dir)
		}
	}
	return t.bytes
}

// tally adds up the sizes of files; a file with several names counts once.
type tally struct {
	bytes, room int64 // beyond the room it need not be exact; 0: it is
	linked      map[[2]uint64]bool
}

func (t *tally) add(ctx context.Context, dir string) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil, t.room > 0 && t.bytes > t.room:
			return fs.SkipAll
		case err != nil || !e.Type().IsRegular():
			return nil // gone, or not to be read: then it is not counted
		}
		if info, err := e.Info(); err == nil {
			t.count(info)
		}
		return nil
	})
}

func (t *tally) count(info os.FileInfo) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.bytes += info.Size()
		return
	}
	if st.Nlink > 1 {
		key := [2]uint64{uint64(st.Dev), st.Ino}
		if t.linked[key] {
			return
		}
		t.linked[key] = true
	}
	t.bytes += st.Blocks * 512 // holes take nothing
}

// within checks the size of the outputs of an attempt.
func within(l job.Limits, outputs map[string]job.Value) error {
	if l.Output == 0 {
		return nil
	}
	var total int64
	for _, v := range outputs {
		total += v.Len()
	}
	if total > l.Output {
		return job.Exceeded(job.LimitOutput, float64(l.Output))
	}
	return nil
}
