package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// become makes the calling thread, and no other, that of a user, in the group of
// the same number and in no other. It ends capabilities, too.
func become(uid int) error {
	id := uintptr(uid)
	for _, call := range [][4]uintptr{{unix.SYS_SETGROUPS}, {unix.SYS_SETRESGID, id, id, id}, {unix.SYS_SETRESUID, id, id, id}} {
		if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			return fmt.Errorf("become user %d: %w", uid, errno)
		}
	}
	return nil
}

// tryUser becomes a user, and makes sure of it.
func tryUser(uid int) error {
	if err := become(uid); err != nil {
		return err
	}
	if is, effective, saved := unix.Getresuid(); is != uid || effective != uid || saved != uid {
		return fmt.Errorf("become user %d: %d came of it", uid, effective)
	}
	return nil
}

// ruling are the capabilities by which a host handles processes and files of
// other users.
func ruling() map[uint]string {
	return map[uint]string{
		unix.CAP_CHOWN: "CHOWN", unix.CAP_DAC_OVERRIDE: "DAC_OVERRIDE", unix.CAP_FOWNER: "FOWNER", unix.CAP_KILL: "KILL", unix.CAP_SETGID: "SETGID",
		unix.CAP_SETUID: "SETUID", unix.CAP_SYS_PTRACE: "SYS_PTRACE",
	}
}

// ProbeUsers tries whether processes can be given users of their own, from first
// to last.
func ProbeUsers(first, last int) error {
	if os.Geteuid() != 0 {
		return errors.New("the host does not run as root")
	}
	if lacks, err := lacking(ruling()); err != nil || len(lacks) > 0 {
		return errors.Join(err, fmt.Errorf("the host lacks the capabilities %s", strings.Join(lacks, ", ")))
	}
	for _, uid := range []int{first, last} {
		if err := onThread(func() error { return tryUser(uid) }); err != nil {
			return fmt.Errorf("%w (does the container map this user?)", err)
		}
	}
	return nil
}

// lacking returns which of these capabilities the host has not, sorted.
func lacking(names map[uint]string) ([]string, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var has [2]unix.CapUserData
	if _, _, errno := unix.Syscall(unix.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&has[0])), 0); errno != 0 {
		return nil, fmt.Errorf("read capabilities: %w", errno)
	}
	var lacks []string
	for c, name := range names {
		if has[c/32].Effective&(1<<(c%32)) == 0 {
			lacks = append(lacks, name)
		}
	}
	slices.Sort(lacks)
	return lacks, nil
}
