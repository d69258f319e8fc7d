package plugin

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"time"
)

// Footprint is what the process of an instance takes now, without what it has started.
type Footprint struct {
	Memory int64         // resident, bytes
	CPU    time.Duration // since its start
}

// footprintOf reads what a process takes; it reports false for one that has ended.
func footprintOf(pid int) (Footprint, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Footprint{}, false
	}
	return footprintIn(stat)
}

// footprintIn reads the line of a process in /proc: after the name, in parentheses,
// which may hold anything, the times are the 12th and 13th, the memory the 22nd.
func footprintIn(stat []byte) (Footprint, bool) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 22 || fields[0][0] == 'Z' {
		return Footprint{}, false
	}
	var values [3]int64
	for i, at := range []int{11, 12, 21} {
		n, err := strconv.ParseInt(string(fields[at]), 10, 64)
		if err != nil {
			return Footprint{}, false
		}
		values[i] = n
	}
	return Footprint{Memory: values[2] * int64(os.Getpagesize()), CPU: time.Duration(values[0]+values[1]) * clockTick}, true
}

// Plugin reports on one file in the plugins directory, with what its instances
// take. It reports false when there is none of that name.
func (h *Host) Plugin(file string) (Status, bool) {
	all := h.Plugins()
	i := slices.IndexFunc(all, func(s Status) bool { return s.File == file })
	if i < 0 {
		return Status{}, false
	}
	for j := range all[i].Instances {
		in := &all[i].Instances[j]
		in.Footprint, _ = footprintOf(in.PID)
	}
	return all[i], true
}
