package plugin

import (
	"bytes"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"geomill/sdk/wire"
)

const (
	// huntLimit bounds the search for processes that do not go away: those in
	// an uninterruptible wait.
	huntLimit = 2 * time.Second
	// huntPause is how long a killed process is first waited for; then longer.
	huntPause = 2 * time.Millisecond
	// clockTick is the unit of times in /proc.
	clockTick = 10 * time.Millisecond
)

// process is an operating-system process at one moment.
type process struct {
	pid, parent int
	born        uint64 // clock ticks since the boot; tells it from a later owner of its number
	instance    string // the mark of the plugin instance that it descends from
	job         string // the mark of the job that it was started for
	used        usage
}

// bears reports whether a process has the mark of an instance. No mark is none:
// else it would be that of everybody's processes.
func (p process) bears(mark string) bool { return mark != "" && p.instance == mark }

// ticksAt returns a moment as process.born counts it, rounded down.
func ticksAt(t time.Time) uint64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // Linux has it
	return uint64(max(time.Duration(now.Nano())-time.Since(t), 0) / clockTick)
}

// census reads processes from /proc.
type census struct{ buf []byte }

// take lists the processes that live, but for this one.
func (c *census) take() []process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what cannot be read has ended
	list := make([]process, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, ok := c.look(pid); ok {
			list = append(list, p)
		}
	}
	return list
}

// look reads one process; it reports false for one that has ended.
func (c *census) look(pid int) (process, bool) {
	p, ok := c.stat(pid)
	if ok {
		c.marks(&p)
	}
	return p, ok
}

// stat reads what the kernel counts of a process; it reports false for one that
// has ended.
func (c *census) stat(pid int) (process, bool) {
	// The name, in parentheses, may hold anything; then come the state, the
	// parent and, as the twentieth, the time of the start.
	stat := c.read("/proc/" + strconv.Itoa(pid) + "/stat")
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 22 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return process{}, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return process{}, false
	}
	born, err := strconv.ParseUint(string(fields[19]), 10, 64)
	return process{pid: pid, parent: parent, born: born, used: usageOf(fields)}, err == nil
}

// marks reads the marks in the environment of a process.
func (c *census) marks(p *process) {
	for env := c.read("/proc/" + strconv.Itoa(p.pid) + "/environ"); len(env) > 0; {
		var entry []byte
		entry, env, _ = bytes.Cut(env, []byte{0})
		if v, ok := bytes.CutPrefix(entry, []byte(wire.InstanceMark+"=")); ok {
			p.instance = string(v)
		} else if v, ok := bytes.CutPrefix(entry, []byte(wire.JobMark+"=")); ok {
			p.job = string(v)
		}
	}
}

// read returns the content of a file until the next read; none if it cannot.
func (c *census) read(name string) []byte {
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	if c.buf == nil {
		c.buf = make([]byte, 32<<10)
	}
	for n := 0; ; {
		if n == len(c.buf) {
			c.buf = append(c.buf, make([]byte, len(c.buf))...)
		}
		m, err := syscall.Read(fd, c.buf[n:])
		if err == syscall.EINTR {
			continue
		}
		if m <= 0 || err != nil {
			return c.buf[:n]
		}
		n += m
	}
}

// family returns those of list that belong, and all that descend from them.
func family(list []process, belongs func(process) bool) []process {
	children := make(map[int][]int, len(list))
	for i, p := range list {
		children[p.parent] = append(children[p.parent], i)
	}
	var found []process
	taken := make([]bool, len(list))
	var take func(i int)
	take = func(i int) {
		if taken[i] {
			return
		}
		taken[i] = true
		found = append(found, list[i])
		for _, child := range children[list[i].pid] {
			take(child)
		}
	}
	for i, p := range list {
		if belongs(p) {
			take(i)
		}
	}
	return found
}

// hunt kills the processes that belong, with their descendants, until none is
// left. Most are found wherever they went: the environment that they inherit
// shows where they come from. One that is killed loses that before it has ended.
func hunt(log *slog.Logger, belongs func(process) bool) {
	var c census
	pause, killed := huntPause, map[processID]bool{}
	for begun := time.Now(); ; pause = min(2*pause, 50*time.Millisecond) {
		found := family(c.take(), func(p process) bool { return killed[p.id()] || belongs(p) })
		if len(found) == 0 {
			return
		}
		if time.Since(begun) > huntLimit {
			log.Error("processes of a plugin cannot be killed", "count", len(found), "pid", found[0].pid)
			return
		}
		for _, p := range found {
			c.kill(p)
			killed[p.id()] = true
		}
		time.Sleep(pause)
	}
}

// kill kills a process, if it is still the one that was found.
func (c *census) kill(p process) { c.send(p, syscall.SIGKILL) }

// send signals a process, if it is still the one that was found.
func (c *census) send(p process, sig syscall.Signal) {
	handle, err := os.FindProcess(p.pid) // holds on to the process, not to its number
	if err != nil {
		return
	}
	defer handle.Release()
	if now, ok := c.stat(p.pid); ok && now.born == p.born {
		_ = handle.Signal(sig) // or it has ended
	}
}

// childless reports whether a process is known to have no children. A kernel
// that does not list them leaves that open.
func childless(pid int) bool {
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return false
	}
	for _, t := range tasks {
		list, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + t.Name() + "/children")
		if err != nil || len(list) > 0 {
			return false
		}
	}
	return true
}

// noteOffspring remembers what descends from the child while that can be seen:
// a process without the mark is known by its parent only.
func (c *child) noteOffspring() {
	pid := c.pid()
	if pid == 0 || childless(pid) {
		return
	}
	kin := family((&census{}).take(), func(p process) bool { return p.pid == pid })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kin = append(c.kin, kin...)
}

// huntOffspring ends all that descends from a child that has ended.
func (c *child) huntOffspring() {
	c.mu.Lock()
	kin := c.kin
	c.mu.Unlock()
	hunt(c.console.log, func(p process) bool {
		return p.bears(c.mark) || slices.ContainsFunc(kin, func(k process) bool { return k.pid == p.pid && k.born == p.born })
	})
}

// offspring returns the processes that descend from the child and were not yet
// there at a time.
func (c *child) offspring(since time.Time) []process {
	pid, first := c.pid(), ticksAt(since)
	found := family((&census{}).take(), func(p process) bool { return p.pid == pid || p.bears(c.mark) })
	return slices.DeleteFunc(found, func(p process) bool { return p.pid == pid || p.born < first })
}

// huntHosts kills what instances of hosts that are gone left behind; runDirs are
// the directories of these hosts.
func huntHosts(log *slog.Logger, runDirs []string) {
	if len(runDirs) == 0 {
		return
	}
	hunt(log, func(p process) bool {
		return slices.ContainsFunc(runDirs, func(dir string) bool { return strings.HasPrefix(p.instance, dir+"/") })
	})
}
