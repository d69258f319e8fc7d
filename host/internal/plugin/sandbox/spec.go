package sandbox

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Mode is how much the operator wants of the sandbox.
type Mode string

// The modes. The zero Mode is On.
const (
	On     Mode = "on"     // the layers that the machine has
	Off    Mode = "off"    // resource limits only
	Strict Mode = "strict" // nothing starts unless all layers are there
)

// Modes lists the modes.
func Modes() []Mode { return []Mode{On, Off, Strict} }

// Valid reports whether m is a mode.
func (m Mode) Valid() bool { return m == "" || slices.Contains(Modes(), m) }

// Spec is what one process may do. The paths are absolute; those that do not
// exist grant nothing.
type Spec struct {
	// Off leaves out every layer but UID and Rlimits.
	Off bool
	// UID is the user that it runs as, and its only group; 0: those of the caller.
	// Only root can give another.
	UID int
	// Executable is the program; it may be read and executed.
	Executable *os.File
	// Files are others that it has open and may read and execute.
	Files []*os.File
	// Read are files, and directories with all below them, that may be read and
	// executed.
	Read []string
	// Write are those that may be changed, too.
	Write []string
	// Except are directories of which Read and Write grant nothing.
	Except []string
	// Home are directories that it may read, and Own those that it may change,
	// Except or not.
	Home, Own []string
	// Network allows sockets other than Unix ones.
	Network bool
	// Rlimits are limits by their number, such as unix.RLIMIT_NOFILE; none is
	// raised above what the caller has.
	Rlimits map[int]uint64
}

// System lists what programs read that no plugin would work without: libraries,
// interpreters and their configuration. Nothing in it is private to an
// operator.
func System() []string {
	return []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store",
		"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/ld-musl-x86_64.path",
		"/etc/localtime", "/etc/timezone", "/etc/locale.alias", "/etc/locale.conf", "/etc/mime.types",
		"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/os-release", "/etc/fonts",
		"/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust",
		"/etc/crypto-policies",
		"/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/loadavg", "/proc/uptime", "/proc/filesystems", "/proc/sys/vm",
		"/proc/sys/kernel", "/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm",
	}
}

// Resolver lists what programs with a network read besides.
func Resolver() []string {
	return []string{"/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/run/systemd/resolve"}
}

// devices may be read and written by every process.
func devices() []string {
	return []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
}

// DefaultRlimits are the limits of every process: it leaves no core dumps.
func DefaultRlimits() map[int]uint64 { return map[int]uint64{unix.RLIMIT_CORE: 0} }
