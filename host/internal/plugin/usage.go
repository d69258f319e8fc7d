package plugin

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"time"
)

// usage is what a process uses.
type usage struct {
	cpu      time.Duration // ever, with the children that it has waited for
	resident int64         // bytes, shared ones too
}

// usageOf reads the fields of /proc/PID/stat that follow the name.
func usageOf(fields [][]byte) usage {
	var u usage
	for _, f := range fields[11:15] { // user and system time, and those of children
		ticks, _ := strconv.ParseInt(string(f), 10, 64)
		u.cpu += time.Duration(ticks) * clockTick
	}
	pages, _ := strconv.ParseInt(string(fields[21]), 10, 64)
	u.resident = pages * int64(os.Getpagesize())
	return u
}

// member is a process with what it uses.
type member struct {
	process
	usage
}

// envLooks is how often the environment of a process is read: a process gets
// its mark when it executes its program, a little after it is there.
const envLooks = 3

// roll is a census that is taken over and over, and so reads little.
type roll struct {
	c     census
	known map[int]*acquaintance
}

type acquaintance struct {
	process
	looks int
}

// take lists the processes that live, but for this one.
func (r *roll) take() []member {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what cannot be read has ended
	list := make([]member, 0, len(names))
	known := make(map[int]*acquaintance, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == os.Getpid() {
			continue
		}
		p, u, ok := r.c.stat(pid)
		if !ok {
			continue
		}
		a := r.known[pid]
		if a == nil || a.born != p.born {
			a = &acquaintance{process: p}
		}
		if a.instance == "" && a.looks < envLooks {
			a.looks++
			r.c.marks(&a.process)
		}
		known[pid] = a
		p.instance, p.job = a.instance, a.job
		list = append(list, member{p, u})
	}
	r.known = known
	return list
}

// families sorts processes by whom they belong to, through their own mark and
// number or those of their ancestors.
func families[K comparable](list []member, owner func(process) (K, bool)) map[K][]member {
	at := make(map[int]int, len(list))
	for i, m := range list {
		at[m.pid] = i
	}
	found := map[K][]member{}
	for _, m := range list {
		p := m.process
		for range len(list) { // a number that was given anew may close a circle
			if k, ok := owner(p); ok {
				found[k] = append(found[k], m)
				break
			}
			i, ok := at[p.parent]
			if !ok {
				break
			}
			p = list[i].process
		}
	}
	return found
}

// heldBy returns the memory that processes hold together, in bytes: what the
// system could take back, such as the pages of mapped files, does not count, and
// what they share counts once, as far as the system tells.
func (c *census) heldBy(family []member) int64 {
	sum := c.sum(family, "/status", "RssAnon:", "RssShmem:")
	if len(family) < 2 {
		return sum
	}
	if shared := c.sum(family, "/smaps_rollup", "Pss_Anon:", "Pss_Shmem:"); shared > 0 {
		return min(sum, shared)
	}
	return sum
}

// sum adds up lines of a file of each process, in bytes. It returns 0 when one
// of them cannot be read and lives.
func (c *census) sum(family []member, file string, names ...string) (total int64) {
	for _, m := range family {
		text := c.read("/proc/" + strconv.Itoa(m.pid) + file)
		if len(text) == 0 {
			if _, _, alive := c.stat(m.pid); alive {
				return 0
			}
		}
		for line := range bytes.Lines(text) {
			total += kibibytes(line, names...)
		}
	}
	return total
}

// kibibytes reads a line such as "VmHWM:  1024 kB", in bytes; 0 for others.
func kibibytes(line []byte, names ...string) int64 {
	f := bytes.Fields(line)
	if len(f) < 2 || !slices.Contains(names, string(f[0])) {
		return 0
	}
	n, _ := strconv.ParseInt(string(f[1]), 10, 64)
	return n << 10
}

// notePeak remembers the largest resident size of the process so far: when it
// is gone, the system tells no more.
func (c *child) notePeak() {
	pid := c.pid()
	if pid == 0 {
		return
	}
	now := census{buf: make([]byte, 4<<10)}
	peak := now.sum([]member{{process: process{pid: pid}}}, "/status", "VmHWM:")
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped { // else it may be another's
		c.peak = max(c.peak, peak)
	}
}
