package plugin

import (
	"slices"
	"time"
)

// Footprint is what the process of an instance takes now, without what it has started.
type Footprint struct {
	Memory int64         // resident, bytes
	CPU    time.Duration // since its start
}

// footprintOf looks at a process; it is zero for one that has ended.
func footprintOf(pid int) Footprint {
	now := census{buf: make([]byte, 4<<10)}
	p, _ := now.stat(pid)
	return Footprint{Memory: p.used.resident, CPU: p.used.cpu}
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
		in.Footprint = footprintOf(in.PID)
	}
	return all[i], true
}
