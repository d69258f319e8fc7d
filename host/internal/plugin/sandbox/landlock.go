package sandbox

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// fileRights are those that a rule about a single file can give.
	fileRights = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	// deviceNodes are never given: whoever makes one reads a whole disk.
	deviceNodes = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
)

// landlockABI returns the version of Landlock, from 1.
func landlockABI() (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch errno {
	case 0:
		return int(r), nil
	case unix.ENOSYS:
		return 0, errors.New("the kernel has no Landlock")
	case unix.EOPNOTSUPP:
		return 0, errors.New("the kernel has its Landlock turned off")
	}
	return 0, fmt.Errorf("use Landlock: %w", errno)
}

// handled returns all that a version of Landlock can forbid, networking only if
// that is to be forbidden.
func handled(abi int, network bool) unix.LandlockRulesetAttr {
	fs := uint64(1<<13 - 1)
	var net, scopes uint64
	for _, since := range []struct {
		abi         int
		fs          uint64
		net, scopes uint64
	}{
		{2, unix.LANDLOCK_ACCESS_FS_REFER, 0, 0},
		{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE, 0, 0},
		{4, 0, unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, 0},
		{5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, 0, 0},
		{6, 0, 0, unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL},
		{9, unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX, 0, 0},
		{10, 0, unix.LANDLOCK_ACCESS_NET_BIND_UDP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP, 0},
	} {
		if abi >= since.abi {
			fs, net, scopes = fs|since.fs, net|since.net, scopes|since.scopes
		}
	}
	if network {
		net = 0
	}
	return unix.LandlockRulesetAttr{Handled_access_fs: fs, Handled_access_net: net, Scoped: scopes}
}

// ruleset is the set of rules for one process.
type ruleset struct {
	fd     int
	rights uint64 // that rules may give
}

// newRuleset makes the rules of a spec. The caller closes it.
func newRuleset(abi int, s *Spec) (*ruleset, error) {
	attr := handled(abi, s.Network)
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return nil, fmt.Errorf("make Landlock rules: %w", errno)
	}
	r := &ruleset{fd: int(fd), rights: attr.Handled_access_fs &^ deviceNodes}
	if err := r.fill(s); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ruleset) fill(s *Spec) error {
	files := s.Files
	if s.Executable != nil {
		files = append([]*os.File{s.Executable}, files...)
	}
	for _, f := range files {
		if err := r.allowFile(f); err != nil {
			return err
		}
	}
	for _, grant := range []struct {
		paths  []string
		rights uint64
	}{
		{without(s.Read, s.Except), readRights},
		{without(s.Write, s.Except), r.rights},
		{devices(), unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE},
		{s.Home, readRights},
		{s.Own, r.rights},
	} {
		for _, path := range grant.paths {
			if err := r.allow(path, grant.rights); err != nil {
				return fmt.Errorf("allow %s: %w", path, err)
			}
		}
	}
	return nil
}

// allow grants rights to what is at a path. One that cannot be reached grants
// nothing, since then the process cannot reach it either.
func (r *ruleset) allow(path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	return r.allowFD(fd, rights)
}

func (r *ruleset) allowFile(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var ruleErr error
	err = conn.Control(func(fd uintptr) { ruleErr = r.allowFD(int(fd), readRights) })
	if err = errors.Join(err, ruleErr); err != nil {
		return fmt.Errorf("allow the program: %w", err)
	}
	return nil
}

func (r *ruleset) allowFD(fd int, rights uint64) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights & r.rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(r.fd), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	// Some kernel-made files, as in /proc, cannot have rules.
	if errno != 0 && errno != unix.EBADFD {
		return errno
	}
	return nil
}

// restrict subjects the calling thread to the rules, for ever.
func (r *ruleset) restrict() error {
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(r.fd), 0, 0); errno != 0 {
		return fmt.Errorf("apply Landlock rules: %w", errno)
	}
	return nil
}

func (r *ruleset) close() { unix.Close(r.fd) }
