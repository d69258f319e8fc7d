package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary is host and plugin: started with roleKey it either confines
// another of itself as a host would, or tries escapes and reports the errors.
const (
	roleKey      = "SANDBOX_TEST_ROLE"
	roleHost     = "host"
	rolePrisoner = "prisoner"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleKey) {
	case roleHost:
		actAsHost()
	case rolePrisoner:
		actAsPrisoner()
	default:
		os.Exit(m.Run())
	}
}

// attempts are what a prisoner may be told to try; the arguments say on what.
func attempts() map[string]func(args []string) error {
	return map[string]func([]string) error{
		"read":    func(a []string) error { _, err := os.ReadFile(a[0]); return err },
		"list":    func(a []string) error { _, err := os.ReadDir(a[0]); return err },
		"write":   func(a []string) error { return os.WriteFile(a[0], []byte("x"), 0o600) },
		"remove":  func(a []string) error { return os.Remove(a[0]) },
		"link":    func(a []string) error { return os.Link(a[0], a[1]) },
		"run":     func(a []string) error { return exec.Command(a[0], a[1:]...).Run() },
		"tcp":     func(a []string) error { return dial("tcp", a[0]) },
		"udp":     func(a []string) error { return dial("udp", a[0]) },
		"unix":    func(a []string) error { return dial("unix", a[0]) },
		"listen":  func(a []string) error { l, err := net.Listen(a[0], a[1]); return errors.Join(err, closing(l)) },
		"netlink": func([]string) error { _, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0); return err },
		"signal":  func(a []string) error { return syscall.Kill(number(a[0]), 0) },
		"ptrace":  func(a []string) error { return unix.PtraceSeize(number(a[0])) },
		"setuid":  func([]string) error { _, _, e := unix.RawSyscall(unix.SYS_SETUID, 1, 0, 0); return failed(e) },
		"mount":   func(a []string) error { return unix.Mount("none", a[0], "tmpfs", 0, "") },
		"unshare": func([]string) error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"mknod":   func(a []string) error { return unix.Mknod(a[0], unix.S_IFBLK|0o600, 1) },
		"iouring": func([]string) error { _, _, e := unix.RawSyscall(unix.SYS_IO_URING_SETUP, 1, 0, 0); return failed(e) },
		"clone3":  func([]string) error { _, _, e := unix.RawSyscall(unix.SYS_CLONE3, 0, 0, 0); return failed(e) },
		"core":    func([]string) error { return wantLimit(unix.RLIMIT_CORE, 0) },
		"nofile":  func([]string) error { return wantLimit(unix.RLIMIT_NOFILE, 64) },
	}
}

func number(s string) int { n, _ := strconv.Atoi(s); return n }

func failed(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func closing(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

func dial(network, address string) error {
	c, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte("x"))
	return err
}

func wantLimit(resource int, want uint64) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(resource, &l); err != nil || l.Max != want {
		return fmt.Errorf("limit is %d, %w", l.Max, err)
	}
	return nil
}

// outcome is how the result of an attempt crosses to the test: the name of the
// system's error.
func outcome(err error) string {
	if err == nil {
		return "done"
	}
	var e syscall.Errno
	if errors.As(err, &e) {
		return unix.ErrnoName(e)
	}
	return err.Error()
}

// order is what a host is told to do.
type order struct {
	Spec     Spec
	Attempts [][]string // each a name and its arguments
}

// actAsHost confines a prisoner as its standard input says, with what it prints.
func actAsHost() {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		panic(err)
	}
	list, err := json.Marshal(o.Attempts)
	if err != nil {
		panic(err)
	}
	cmd := exec.Command("/proc/self/exe", string(list))
	cmd.Env = []string{roleKey + "=" + rolePrisoner, "GORACE=atexit_sleep_ms=0"}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	o.Spec.Executable = program
	if err := Probe().Start(&o.Spec, func() (int, error) {
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	}); err != nil {
		panic(err)
	}
	_ = cmd.Wait()
}

// actAsPrisoner makes the attempts and prints their outcomes.
func actAsPrisoner() {
	var list [][]string
	if err := json.Unmarshal([]byte(os.Args[1]), &list); err != nil {
		panic(err)
	}
	var outcomes []string
	for _, a := range list {
		outcomes = append(outcomes, outcome(attempts()[a[0]](a[1:])))
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		panic(err)
	}
}

// try lets a prisoner try escapes, its host being the user uid, and returns the
// outcome of each.
func try(t *testing.T, uid int, spec Spec, list ...[]string) []string {
	t.Helper()
	text, err := json.Marshal(order{spec, list})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleKey+"="+roleHost, "GORACE=atexit_sleep_ms=0")
	cmd.Stdin = bytes.NewReader(text)
	if uid != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := cmd.CombinedOutput()
	var outcomes []string
	if err != nil || json.Unmarshal(out, &outcomes) != nil || len(outcomes) != len(list) {
		t.Fatalf("%v: %v\n%s", list, err, out)
	}
	return outcomes
}

const nobody = 65534

// users are those that a host may run as in a test.
func users(t *testing.T) map[string]int {
	if os.Geteuid() != 0 {
		return map[string]int{"ordinary user": os.Geteuid()}
	}
	return map[string]int{"root": 0, "ordinary user": nobody}
}

// yard is what there is to escape to, which would be open to the user uid.
type yard struct {
	own, other, secret, hidden string
	tcp, udp, abstract         string
	victim                     int
}

func newYard(t *testing.T, uid int) yard {
	t.Helper()
	base, err := os.MkdirTemp("", "yard") // short, for sockets; open to the ordinary user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	y := yard{own: filepath.Join(base, "own"), other: filepath.Join(base, "other"), hidden: filepath.Join(base, "hidden")}
	for _, dir := range []string{base, y.own, y.other, y.hidden} {
		_ = os.Mkdir(dir, 0o777)
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	y.secret = filepath.Join(y.other, "secret")
	for _, file := range []string{y.secret, filepath.Join(y.own, "mine"), filepath.Join(y.hidden, "job")} {
		if err := errors.Join(os.WriteFile(file, []byte("x"), 0o600), os.Chmod(file, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	listening := func(network, address string) string {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l.Addr().String()
	}
	y.tcp = listening("tcp", "127.0.0.1:0")
	y.abstract = listening("unix", "@"+filepath.Base(base))
	y.udp = y.tcp
	sleeper := exec.Command("sleep", "300")
	if uid != os.Geteuid() {
		sleeper.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() })
	y.victim = sleeper.Process.Pid
	return y
}

// need skips loudly when the machine lacks a layer.
func need(t *testing.T, names ...string) {
	t.Helper()
	for _, l := range Probe().Layers() {
		if slices.Contains(names, l.Name) && !l.Available {
			t.Skipf("NOT TESTED: this machine lacks %s: %s", l.Name, l.Reason)
		}
	}
}

func TestAPrisonerCannotEscape(t *testing.T) {
	t.Parallel()
	for user, uid := range users(t) {
		t.Run(user, func(t *testing.T) { cannotEscape(t, uid) })
	}
}

func cannotEscape(t *testing.T, uid int) {
	y := newYard(t, uid)
	victim := strconv.Itoa(y.victim)
	in := func(dir, name string) string { return filepath.Join(dir, name) }
	spec := Spec{Read: System(), Own: []string{y.own}, Rlimits: map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 64}}
	var (
		files   = []string{"landlock-files"}
		scopes  = []string{"landlock-scopes"}
		seccomp = []string{"seccomp"}
	)
	tests := map[string]struct {
		layers []string
		args   []string
		want   string // of the confined
	}{
		"reads a file of others":           {files, []string{"read", y.secret}, "EACCES"},
		"lists a directory of others":      {files, []string{"list", y.other}, "EACCES"},
		"writes to a file of others":       {files, []string{"write", y.secret}, "EACCES"},
		"makes a file in theirs":           {files, []string{"write", in(y.other, "new")}, "EACCES"},
		"removes a file of others":         {files, []string{"remove", y.secret}, "EACCES"},
		"links a file of others to itself": {files, []string{"link", y.secret, in(y.own, "stolen")}, "EXDEV"},
		"reads through a program":          {files, []string{"run", "/bin/cat", y.secret}, "exit status 1"},
		"changes the system":               {files, []string{"write", "/usr/new"}, "EACCES"},
		"reads the host's environment":     {files, []string{"read", "/proc/" + victim + "/environ"}, "EACCES"},
		"reads the host's memory":          {files, []string{"read", "/proc/" + victim + "/mem"}, "EACCES"},
		"lists who has sockets":            {files, []string{"read", "/proc/self/net/unix"}, "EACCES"},
		"makes a disk of its own":          {files, []string{"mknod", in(y.own, "disk")}, "EACCES"},

		"signals a process":           {scopes, []string{"signal", victim}, "EPERM"},
		"connects to a hidden socket": {scopes, []string{"unix", y.abstract}, "EPERM"},

		"connects":                {seccomp, []string{"tcp", y.tcp}, "EAFNOSUPPORT"},
		"sends a datagram":        {seccomp, []string{"udp", y.udp}, "EAFNOSUPPORT"},
		"listens":                 {seccomp, []string{"listen", "tcp", "127.0.0.1:0"}, "EAFNOSUPPORT"},
		"asks for interfaces":     {seccomp, []string{"netlink"}, "EAFNOSUPPORT"},
		"traces a process":        {seccomp, []string{"ptrace", victim}, "EPERM"},
		"mounts":                  {seccomp, []string{"mount", y.own}, "EPERM"},
		"makes a namespace":       {seccomp, []string{"unshare"}, "EPERM"},
		"makes one by clone3":     {seccomp, []string{"clone3"}, "ENOSYS"},
		"goes round by io_uring":  {seccomp, []string{"iouring"}, "EPERM"},
		"becomes somebody else":   {[]string{"capabilities"}, []string{"setuid"}, "EPERM"},
		"dumps core":              {nil, []string{"core"}, "done"},
		"has too many files open": {nil, []string{"nofile"}, "done"},

		"reads its own":         {files, []string{"read", in(y.own, "mine")}, "done"},
		"writes to its own":     {files, []string{"write", in(y.own, "new")}, "done"},
		"listens in its own":    {files, []string{"listen", "unix", in(y.own, "socket")}, "done"},
		"runs a program":        {files, []string{"run", "/bin/true"}, "done"},
		"writes to the abyss":   {files, []string{"write", "/dev/null"}, "done"},
		"reads its own program": {files, []string{"read", "/proc/self/exe"}, "done"},
	}
	names := slices.Sorted(maps.Keys(tests))
	var list [][]string
	for _, name := range names {
		list = append(list, tests[name].args)
	}
	got := try(t, uid, spec, list...)
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			need(t, tests[name].layers...)
			if got[i] != tests[name].want {
				t.Errorf("%v ended with %s, want %s", tests[name].args, got[i], tests[name].want)
			}
		})
	}
}

// Each escape works without the sandbox, or the test above would prove nothing.
func TestWhatIsNotConfinedIsNotKeptFromAnything(t *testing.T) {
	t.Parallel()
	for user, uid := range users(t) {
		y := newYard(t, uid)
		victim := strconv.Itoa(y.victim)
		list := [][]string{
			{"read", y.secret}, {"list", y.other}, {"write", filepath.Join(y.other, "new")}, {"link", y.secret, filepath.Join(y.own, "stolen")},
			{"run", "/bin/cat", y.secret}, {"read", "/proc/" + victim + "/environ"}, {"read", "/proc/self/net/unix"}, {"signal", victim},
			{"ptrace", victim}, {"unix", y.abstract}, {"tcp", y.tcp}, {"udp", y.udp}, {"listen", "tcp", "127.0.0.1:0"}, {"netlink"},
		}
		for i, got := range try(t, uid, Spec{Off: true}, list...) {
			if got != "done" {
				t.Errorf("%s: %v ended with %s", user, list[i], got)
			}
		}
	}
}

func TestWhatIsGrantedIsHad(t *testing.T) {
	t.Parallel()
	need(t, "landlock-files", "seccomp")
	y := newYard(t, os.Geteuid())
	base := filepath.Dir(y.own)
	for _, tt := range []struct {
		spec Spec
		args []string
		want string
	}{
		{Spec{Read: []string{y.other}}, []string{"read", y.secret}, "done"},
		{Spec{Read: []string{y.other}}, []string{"write", y.secret}, "EACCES"},
		{Spec{Read: []string{y.secret}}, []string{"read", y.secret}, "done"},
		{Spec{Read: []string{y.secret}}, []string{"list", y.other}, "EACCES"},
		{Spec{Write: []string{y.other}}, []string{"write", y.secret}, "done"},
		{Spec{Read: []string{base}, Except: []string{y.hidden}}, []string{"read", y.secret}, "done"},
		{Spec{Read: []string{"/"}, Except: []string{y.hidden}}, []string{"read", filepath.Join(y.hidden, "job")}, "EACCES"},
		{Spec{Read: []string{y.hidden}, Except: []string{y.hidden}}, []string{"read", filepath.Join(y.hidden, "job")}, "EACCES"},
		{Spec{Home: []string{y.hidden}, Except: []string{y.hidden}}, []string{"read", filepath.Join(y.hidden, "job")}, "done"},
		{Spec{Network: true}, []string{"tcp", y.tcp}, "done"},
		{Spec{Network: true}, []string{"udp", y.udp}, "done"},
		{Spec{Network: true}, []string{"unshare"}, "EPERM"},
	} {
		tt.spec.Read = append(tt.spec.Read, System()...)
		if got := try(t, os.Geteuid(), tt.spec, tt.args)[0]; got != tt.want {
			t.Errorf("%+v ended with %s, want %s", tt.args, got, tt.want)
		}
	}
}
