package plugin

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"geomill/host/internal/job"
)

const (
	// dataRoom is what a process may reserve besides twice its limit of memory,
	// in bytes: stacks of threads and buffers that are never touched count too.
	dataRoom = 1 << 30
	// tasksPerProcess is how many threads a process may have, where the kernel
	// counts threads and the limit is one of processes.
	tasksPerProcess = 32
)

// Limits bounds what each instance of a plugin may use, with all that it starts.
// A zero sets no bound. Those of the embedded job.Limits hold for each attempt
// too, unless its process has others; Memory is the instance's in any case.
type Limits struct {
	job.Limits
	// Files is how many files each process may have open.
	Files int
	// Processes is how many processes there may be, the instance's own included.
	Processes int

	// file is the largest file that may be written, in bytes.
	file int64
}

// watched reports whether the use of an instance has to be looked at while it
// runs.
func (l Limits) watched() bool { return l.Memory > 0 || l.Processes > 0 }

// withFile sets the largest file to what the most generous of the processes may
// put into a directory.
func (l Limits) withFile(processes []*job.Process) Limits {
	for _, p := range processes {
		most := p.Policy.Limits.Directory
		if most == 0 {
			l.file = 0
			return l
		}
		l.file = max(l.file, most)
	}
	return l
}

// rlimit is one limit that the kernel holds each process to.
type rlimit struct {
	resource int // as in unix.RLIMIT_NOFILE
	value    uint64
}

// rlimits returns the limits of each process of an instance. Memory is bounded
// by what may be reserved, which only stops what grows faster than the watchdog
// looks; RLIMIT_NPROC counts all processes of a user, so that it is of no use.
func (l Limits) rlimits() []rlimit {
	var list []rlimit
	if l.Files > 0 {
		list = append(list, rlimit{unix.RLIMIT_NOFILE, uint64(l.Files)})
	}
	if l.Memory > 0 {
		list = append(list, rlimit{unix.RLIMIT_DATA, 2*uint64(l.Memory) + dataRoom})
	}
	if l.file > 0 {
		list = append(list, rlimit{unix.RLIMIT_FSIZE, uint64(l.file)})
	}
	return list
}

// impose holds a process, and what it starts from now on, to the limits.
func (l Limits) impose(pid int) error {
	for _, r := range l.rlimits() {
		var now unix.Rlimit
		err := unix.Prlimit(pid, r.resource, nil, &now)
		if err == nil && r.value < now.Max { // nobody but root may raise it
			err = unix.Prlimit(pid, r.resource, &unix.Rlimit{Cur: r.value, Max: r.value}, nil)
		}
		if err != nil {
			return fmt.Errorf("limit the resources of a plugin: %w", err)
		}
	}
	return nil
}

// environment tells a Go program to collect garbage before it meets its limit.
func (l Limits) environment() []string {
	if l.Memory == 0 {
		return nil
	}
	return []string{"GOMEMLIMIT=" + strconv.FormatInt(l.Memory/10*9, 10)}
}

// blame names the limit that a failure is due to by what the system told the
// plugin, as text has it.
func (l Limits) blame(f *job.Failure, text string) {
	text = strings.ToLower(text)
	says := func(words string) bool { return strings.Contains(text, words) }
	switch {
	case l.Files > 0 && says("too many open files") && !says("too many open files in system"):
		f.Limit, f.Maximum = job.LimitFiles, float64(l.Files)
	case l.Processes > 0 && says("fork") && says("resource temporarily unavailable"):
		f.Limit, f.Maximum = job.LimitProcesses, float64(l.Processes)
	case l.file > 0 && says("file too large"):
		f.Limit, f.Maximum = job.LimitDirectory, float64(l.file)
	default:
		return
	}
	f.Kind = job.LimitExceeded
}
