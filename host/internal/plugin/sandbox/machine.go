package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Layer is one kind of protection and whether the machine has it.
type Layer struct {
	Name      string
	Covers    string // what it keeps a plugin from
	Available bool
	Reason    string // why it is not available, or only in part; or what it is
	Remedy    string // how to get it, when it is not available
	// Optional layers are not asked for by Strict.
	Optional bool
}

// Machine is what this system offers. It is immutable. The zero Machine offers
// nothing.
type Machine struct {
	layers   []Layer
	root     bool
	drop     bool // capabilities can be dropped
	abi      int  // of Landlock; 0: not to be had
	isolated filter
	online   filter // with networking; both nil when there is no seccomp
}

// fullABI is the first version of Landlock that covers all that Strict asks for.
const fullABI = 6

// Probe tries each layer on a thread of its own. It takes a few milliseconds.
func Probe() *Machine {
	m := &Machine{root: os.Geteuid() == 0}
	m.add(m.probePrivileges())
	m.add(m.probeCapabilities())
	m.add(Layer{Name: "rlimits", Covers: "core dumps, open files, file sizes, CPU time", Available: true})
	m.probeLandlock()
	m.probeSeccomp()
	m.add(m.probeNetwork())
	m.add(probeGroups())
	return m
}

func (m *Machine) add(l Layer) { m.layers = append(m.layers, l) }

// Layers describes each layer.
func (m *Machine) Layers() []Layer { return append([]Layer(nil), m.layers...) }

// Missing returns the layers that the sandbox should have and the machine lacks.
func (m *Machine) Missing() []Layer {
	if len(m.layers) == 0 {
		return []Layer{{Name: "every layer", Reason: "the machine was not looked at"}}
	}
	var missing []Layer
	for _, l := range m.layers {
		if !l.Available && !l.Optional {
			missing = append(missing, l)
		}
	}
	return missing
}

// Complaint names the layers that are missing, with their reasons; it is empty
// when none is.
func (m *Machine) Complaint() string {
	var parts []string
	for _, l := range m.Missing() {
		parts = append(parts, l.Name+" ("+l.Reason+")")
	}
	return strings.Join(parts, ", ")
}

func (m *Machine) probePrivileges() Layer {
	l := Layer{Name: "no_new_privs", Covers: "rights by set-uid programs and file capabilities"}
	l.settle(onThread(noNewPrivileges), "", "a kernel from 3.5 on")
	return l
}

func (m *Machine) probeCapabilities() Layer {
	l := Layer{Name: "capabilities", Covers: "the powers of root: mounting, tracing, other users' files"}
	about := "plugins run as root, without its capabilities"
	if !m.root {
		about = "plugins run as the user of the host"
	}
	err := onThread(func() error {
		if m.root {
			if err := boundCapabilities(); err != nil {
				return err
			}
		}
		return clearCapabilities()
	})
	m.drop = err == nil
	l.settle(err, about, "start the host with CAP_SETPCAP, or not as root")
	return l
}

// probeLandlock looks whether a thread can be kept from a file.
func (m *Machine) probeLandlock() {
	files := Layer{Name: "landlock-files", Covers: "files outside of its directories and of what it is to read"}
	signals := Layer{Name: "landlock-scopes", Covers: "signals to other processes, abstract sockets, tracing"}
	abi, err := landlockABI()
	if err == nil {
		err = tryLandlock(abi)
	}
	const remedy = "a kernel from 5.13 on with CONFIG_SECURITY_LANDLOCK, and landlock in its lsm= list; in a container, a seccomp profile that allows it"
	files.settle(err, fmt.Sprintf("ABI %d", abi), remedy)
	if err == nil {
		m.abi = abi
		if abi < fullABI {
			err = fmt.Errorf("the kernel has Landlock ABI %d, and scopes from %d on", abi, fullABI)
		}
	}
	signals.settle(err, fmt.Sprintf("ABI %d", abi), "a kernel from 6.12 on")
	m.add(files)
	m.add(signals)
}

func tryLandlock(abi int) error {
	return onThread(func() error {
		rules, err := newRuleset(abi, &Spec{})
		if err != nil {
			return err
		}
		defer rules.close()
		if err := errors.Join(noNewPrivileges(), rules.restrict()); err != nil {
			return err
		}
		fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
			return errors.New("rules of Landlock have no effect")
		}
		return nil
	})
}

// probeSeccomp looks whether a thread can be kept from a system call.
func (m *Machine) probeSeccomp() {
	l := Layer{Name: "seccomp", Covers: "system calls that plugins have no use for: ptrace, mount, bpf, keyctl, namespaces, io_uring"}
	isolated, err := newFilter(false)
	online, err2 := newFilter(true)
	if err = errors.Join(err, err2); err == nil {
		err = trySeccomp(isolated)
	}
	l.settle(err, "", "a kernel with CONFIG_SECCOMP_FILTER, on amd64 or arm64")
	if err == nil {
		m.isolated, m.online = isolated, online
	}
	m.add(l)
}

func trySeccomp(f filter) error {
	return onThread(func() error {
		if err := errors.Join(noNewPrivileges(), f.load()); err != nil {
			return err
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_UNSHARE, 0, 0, 0); errno != unix.EPERM {
			return errors.New("seccomp has no effect")
		}
		return nil
	})
}

// probeNetwork says which of two layers keeps plugins from the network.
func (m *Machine) probeNetwork() Layer {
	l := Layer{Name: "network", Covers: "TCP, UDP and all other sockets but Unix ones, for plugins without network: true"}
	switch {
	case m.isolated != nil:
		l.Available, l.Reason = true, "by seccomp"
	case m.abi >= 4:
		l.Reason, l.Remedy = "Landlock denies TCP, but without seccomp UDP is open", "see seccomp"
	default:
		l.Reason, l.Remedy = "neither seccomp nor Landlock (ABI 4) denies it", "see seccomp"
	}
	return l
}

// probeGroups looks whether the host's control group is its own to divide.
func probeGroups() Layer {
	l := Layer{Name: "cgroup", Covers: "memory, processes and CPU of an instance with all that it starts", Optional: true}
	l.settle(tryGroups(), "version 2, delegated", "start the host by systemd with Delegate=yes")
	return l
}

func tryGroups() error {
	const root = "/sys/fs/cgroup"
	var fs unix.Statfs_t
	if err := unix.Statfs(root, &fs); err != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return errors.New("no cgroup version 2 at " + root)
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	group, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "0::")
	if !ok {
		return errors.New("the host is not in a group of cgroup version 2 alone")
	}
	controllers, err := os.ReadFile(root + group + "/cgroup.controllers")
	if err != nil {
		return err
	}
	has := " " + strings.TrimSpace(string(controllers)) + " "
	for _, c := range []string{"memory", "pids"} {
		if !strings.Contains(has, " "+c+" ") {
			return fmt.Errorf("its group has no controller %s", c)
		}
	}
	if err := unix.Access(root+group, unix.W_OK); err != nil {
		return fmt.Errorf("its group cannot be written to: %w", err)
	}
	return nil
}

// settle notes the result of a try.
func (l *Layer) settle(err error, about, remedy string) {
	if l.Available = err == nil; err == nil {
		l.Reason = about
		return
	}
	l.Reason, l.Remedy = strings.ReplaceAll(err.Error(), "\n", "; "), remedy
}

// Start calls fork on a thread that is confined to spec; fork is to start one
// process and to return its number. When Start fails although fork did not, the
// process runs and has to be ended.
func (m *Machine) Start(spec *Spec, fork func() (pid int, err error)) error {
	if spec.Off && spec.UID == 0 {
		return forkLimited(spec, fork)
	}
	var rules *ruleset
	if m.abi > 0 && !spec.Off {
		var err error
		if rules, err = newRuleset(m.abi, spec); err != nil {
			return fmt.Errorf("confine plugin: %w", err)
		}
		defer rules.close()
	}
	return onThread(func() error {
		if err := m.confine(rules, spec); err != nil {
			return fmt.Errorf("confine plugin: %w", err)
		}
		return forkLimited(spec, fork)
	})
}

func forkLimited(spec *Spec, fork func() (int, error)) error {
	pid, err := fork()
	if err != nil {
		return err
	}
	return limitStarted(pid, spec.Rlimits)
}

// confine takes the rights of the calling thread, in the order in which each
// step leaves those for the next.
func (m *Machine) confine(rules *ruleset, spec *Spec) error {
	if spec.Off {
		return become(spec.UID)
	}
	if err := noNewPrivileges(); err != nil {
		return err
	}
	if rules != nil {
		if err := rules.restrict(); err != nil {
			return err
		}
	}
	if m.drop && m.root {
		if err := boundCapabilities(); err != nil {
			return err
		}
	}
	if spec.UID != 0 {
		if err := become(spec.UID); err != nil {
			return err
		}
	}
	if m.drop {
		if err := clearCapabilities(); err != nil {
			return err
		}
	}
	f := m.isolated
	if spec.Network {
		f = m.online
	}
	if f == nil {
		return nil
	}
	return f.load()
}

// limitStarted sets the limits of a process that runs already, which may have
// ended.
func limitStarted(pid int, limits map[int]uint64) error {
	if err := limit(pid, limits); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("confine plugin: %w", err)
	}
	return nil
}
