package plugin

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"
)

func TestUseIsReadFromTheFieldsThatFollowTheName(t *testing.T) {
	t.Parallel()
	line := "S 1 1 1 0 -1 4194560 1 2 3 4 100 50 20 30 20 0 1 0 7777 1000000 512 x"
	u := usageOf(bytes.Fields([]byte(line)))
	if u.cpu != 2*time.Second || u.resident != 512*int64(os.Getpagesize()) {
		t.Errorf("%+v", u)
	}
}

func TestFamiliesAreToldApart(t *testing.T) {
	t.Parallel()
	at := func(pid, parent int, mark string) process {
		return process{pid: pid, parent: parent, instance: mark}
	}
	list := []process{at(1, 0, ""), at(10, 1, "a"), at(11, 10, ""), at(12, 11, "a"), at(20, 1, "b"), at(21, 1, "b"), at(22, 20, ""),
		at(30, 1, ""), at(40, 41, ""), at(41, 40, "")}
	got := families(list, func(p process) (string, bool) { return p.instance, p.instance != "" })
	for mark, want := range map[string][]int{"a": {10, 11, 12}, "b": {20, 21, 22}} {
		var pids []int
		for _, p := range got[mark] {
			pids = append(pids, p.pid)
		}
		if !slices.Equal(pids, want) {
			t.Errorf("%s: %v", mark, pids)
		}
	}
	if len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestMemoryThatProcessesShareCountsOnce(t *testing.T) {
	t.Parallel()
	self := process{pid: os.Getpid()}
	var c census
	one := c.heldBy([]process{self})
	if one < 1<<20 || one > 1<<32 {
		t.Fatalf("%d bytes", one)
	}
	if gone := c.heldBy([]process{{pid: 1 << 30}}); gone != 0 {
		t.Errorf("%d bytes of a process that is gone", gone)
	}
	for line, want := range map[string]int64{"VmHWM:\t  12 kB\n": 12 << 10, "VmRSS: 12 kB": 0, "VmHWM:": 0, "": 0} {
		if n := kibibytes([]byte(line), "VmHWM:"); n != want {
			t.Errorf("%q: %d", line, n)
		}
	}
}

func TestProcessorTimeBeforeAnAttemptIsNotCharged(t *testing.T) {
	t.Parallel()
	al := &allowance{begun: 100, seen: map[processID]bool{{1, 5}: true}, free: 3 * time.Second, exceed: func(error) {}}
	al.limits.CPU = 10 * time.Second
	look := func(ps ...process) time.Duration {
		var cpu time.Duration
		for _, p := range ps {
			cpu += p.used.cpu
		}
		al.charge(ps, cpu)
		return al.spent
	}
	of := func(pid int, born uint64, cpu time.Duration) process {
		return process{pid: pid, born: born, used: usage{cpu: cpu * time.Second}}
	}
	for i, step := range []struct {
		family []process
		want   time.Duration
	}{
		{[]process{of(1, 5, 4)}, 1},
		{[]process{of(1, 5, 4), of(2, 50, 7)}, 1},                // there before
		{[]process{of(1, 5, 4), of(2, 50, 8), of(3, 120, 2)}, 4}, // one that is new
		{[]process{of(1, 5, 6), of(2, 50, 8)}, 4},                // which has been waited for
		{[]process{of(1, 5, 6)}, 4},                              // and one that has not
	} {
		if got := look(step.family...); got != step.want*time.Second {
			t.Errorf("step %d: %s", i, got)
		}
	}
}
