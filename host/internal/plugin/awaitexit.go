package plugin

import (
	"syscall"
	"unsafe"
)

const (
	waitPID    = 1          // P_PID
	waitExited = 0x00000004 // WEXITED
	waitNoWait = 0x01000000 // WNOWAIT
)

// awaitExit blocks until the child process pid has ended, and leaves it a
// zombie: its number stays taken until it is waited for.
func awaitExit(pid int) {
	var info [128]byte // siginfo_t
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, waitPID, uintptr(pid),
			uintptr(unsafe.Pointer(&info)), waitExited|waitNoWait, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
