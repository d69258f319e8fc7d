package sandbox

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// denied are system calls that no plugin has a use for, and that have been ways
// out of sandboxes. They fail with EPERM.
func denied() []string {
	return []string{
		// other processes
		"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
		// file systems
		"mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig", "fsmount",
		"fspick", "mount_setattr", "swapon", "swapoff", "quotactl", "quotactl_fd", "open_by_handle_at", "fanotify_init",
		// namespaces
		"unshare", "setns",
		// the kernel
		"bpf", "perf_event_open", "userfaultfd", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
		"create_module", "reboot", "acct", "syslog", "iopl", "ioperm", "vm86", "vm86old", "nfsservctl", "uselib", "lookup_dcookie", "_sysctl",
		"settimeofday", "clock_settime", "stime", "sethostname", "setdomainname", "vhangup",
		// keys
		"keyctl", "add_key", "request_key",
		// what it does passes no filter, not even of sockets
		"io_uring_setup", "io_uring_enter", "io_uring_register",
	}
}

// namespaceFlags are those of clone that make a namespace.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET

// filter is a seccomp program.
type filter []unix.SockFilter

// newFilter translates the policy. It fails for machines whose system calls it
// cannot tell apart.
func newFilter(network bool) (filter, error) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return nil, fmt.Errorf("there is no seccomp filter for %s", runtime.GOARCH)
	}
	info, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("find system calls of this machine: %w", err)
	}
	known := slices.DeleteFunc(denied(), func(name string) bool { _, ok := info.SyscallNames[name]; return !ok })
	policy := seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{
		{Action: errno(unix.EPERM), Names: known, NamesWithCondtions: []seccomp.NameWithConditions{
			{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsSet, Value: namespaceFlags}}},
		}},
		// Its flags are out of reach of a filter; without it, callers use clone.
		{Action: errno(unix.ENOSYS), Names: []string{"clone3"}},
	}}
	if !network {
		policy.Syscalls = append(policy.Syscalls, seccomp.SyscallGroup{
			Action: errno(unix.EAFNOSUPPORT), NamesWithCondtions: []seccomp.NameWithConditions{
				{Name: "socket", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.NotEqual, Value: unix.AF_UNIX}}},
			},
		})
	}
	program, err := policy.Assemble()
	if err != nil {
		return nil, fmt.Errorf("make seccomp filter: %w", err)
	}
	// The library lets other instruction sets pass, whose calls have other
	// numbers: 32-bit programs on a 64-bit machine.
	const archOffset = 4
	program = append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: archOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(info.ID), SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS},
	}, program...)
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("make seccomp filter: %w", err)
	}
	f := make(filter, 0, len(raw))
	for _, i := range raw {
		f = append(f, unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	return f, nil
}

func errno(e unix.Errno) seccomp.Action { return seccomp.ActionErrno | seccomp.Action(e) }

// load subjects the calling thread to the filter, for ever.
func (f filter) load() error {
	program := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("load seccomp filter: %w", errno)
	}
	return nil
}
