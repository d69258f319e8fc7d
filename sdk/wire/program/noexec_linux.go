package program

import (
	"os"
	"syscall"
)

// mountedNoExec is the flag of statfs(2).
const mountedNoExec = 0x8

// noExec reports whether the file system of f was mounted so that nothing in it
// may be executed.
func noExec(f *os.File) bool {
	var st syscall.Statfs_t
	return syscall.Fstatfs(int(f.Fd()), &st) == nil && st.Flags&mountedNoExec != 0
}
