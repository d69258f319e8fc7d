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

// processID tells a process from a later owner of its number.
type processID struct {
	pid  int
	born uint64
}

func (p process) id() processID { return processID{p.pid, p.born} }

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

// families sorts processes by whom they belong to, through their own mark and
// number or those of their ancestors.
func families[K comparable](list []process, owner func(process) (K, bool)) map[K][]process {
	at := make(map[int]int, len(list))
	for i, p := range list {
		at[p.pid] = i
	}
	found := map[K][]process{}
	for _, member := range list {
		p := member
		for range len(list) { // a number that was given anew may close a circle
			if k, ok := owner(p); ok {
				found[k] = append(found[k], member)
				break
			}
			i, ok := at[p.parent]
			if !ok {
				break
			}
			p = list[i]
		}
	}
	return found
}

// heldBy returns the memory that processes hold together, in bytes: what the
// system could take back, such as the pages of mapped files, does not count, and
// what they share counts once, as far as the system tells.
func (c *census) heldBy(family []process) int64 {
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
func (c *census) sum(family []process, file string, names ...string) (total int64) {
	for _, p := range family {
		text := c.read("/proc/" + strconv.Itoa(p.pid) + file)
		if len(text) == 0 {
			if _, alive := c.stat(p.pid); alive {
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
	peak := now.sum([]process{{pid: pid}}, "/status", "VmHWM:")
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped { // else it may be another's
		c.peak = max(c.peak, peak)
	}
}
