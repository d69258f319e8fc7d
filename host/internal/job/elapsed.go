package job

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot returns the time since the machine was started, sleep included. It
// does not follow the wall clock when that is set.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("no CLOCK_BOOTTIME: " + err.Error()) // Linux has it
	}
	return time.Duration(t.Nano())
}
