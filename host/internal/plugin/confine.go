package plugin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"geomill/host/internal/plugin/sandbox"
	"geomill/sdk/wire/program"
)

// searchPath is where plugins find programs.
const searchPath = "/usr/local/bin:/usr/bin:/bin"

// complain warns once of what the machine lacks, if plugins are to be confined.
func (l *launcher) complain() {
	const nobody = "" // what holds for plugins that are not named
	if o := l.cfg.optionsOf(nobody); o.Sandbox == sandbox.Off {
		l.cfg.Log.Warn("plugins are not confined: the sandbox is off")
		return
	}
	if lacks := l.machine.Complaint(); lacks != "" {
		l.cfg.Log.Warn("plugins are confined less than they should be; geomill doctor says what to do", "lacks", lacks)
	}
}

// refusal says why a plugin with these options is not to be started; empty means
// it may be.
func (l *launcher) refusal(o Options) string {
	if o.Sandbox != sandbox.Strict {
		return ""
	}
	lacks := l.machine.Complaint()
	if lacks == "" {
		return ""
	}
	return "its sandbox is strict, and this machine lacks " + lacks + "; geomill doctor says how to get it, and sandbox: on does without"
}

// spec says what an instance of a plugin may do: its jobs have their files in
// work. Its own directory comes later.
func (l *launcher) spec(exe *executable, o Options, work *workDir) sandbox.Spec {
	s := sandbox.Spec{
		Off: o.Sandbox == sandbox.Off, UID: work.uid, Network: o.Network, Rlimits: sandbox.DefaultRlimits(),
		Read: append(sandbox.System(), o.Read...), Write: o.Write,
		Except: append([]string{l.cfg.RunDir}, l.cfg.Private...),
		Home:   homeOf(exe.path, l.cfg.Dir),
	}
	if work.path != "" {
		s.Own = []string{work.path}
	}
	if s.Off {
		return s
	}
	if o.Network {
		s.Read = append(s.Read, sandbox.Resolver()...)
	}
	s.Read = append(s.Read, l.installation(exe, o)...)
	return s
}

// installation returns what a plugin needs to read of the installations of its
// interpreters. It is looked up once, for it takes reading many a small file; an
// executable has the same options for as long as it serves.
func (l *launcher) installation(exe *executable, o Options) []string {
	if known := exe.installed.Load(); known != nil {
		return *known
	}
	var paths []string
	for _, head := range exe.heads() {
		if program := sandbox.Interpreter(head, searchPath); program != "" {
			paths = append(paths, sandbox.Installation(program, searchPath, l.theirs(o))...)
		}
	}
	exe.installed.Store(&paths)
	return paths
}

// theirs lists the directories with what plugins bring along or may change, which
// nobody has hashed.
func (l *launcher) theirs(o Options) []string {
	return slices.Concat([]string{l.cfg.Dir, l.cfg.RunDir, l.cfg.WorkDir}, l.cfg.Private, o.Write)
}

// homeOf returns the directory that a plugin came with: one below the plugins
// directory, which itself has the files of others.
func homeOf(path, plugins string) []string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil
	}
	if resolved, err := filepath.EvalSymlinks(plugins); err == nil {
		plugins = resolved
	}
	home := filepath.Dir(real)
	if !strings.HasPrefix(home, plugins+"/") {
		return nil
	}
	return []string{home}
}

// look returns what the file tells about itself.
func (e *executable) look() program.File {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.file == nil {
		return program.File{}
	}
	return program.Look(e.file)
}

// confined starts cmd with the rights of the child. One that cannot have its
// limits is ended again.
func (c *child) confined(cmd *exec.Cmd) error {
	spec := c.spec
	spec.Executable = cmd.ExtraFiles[executableFD-lifelineFD]
	spec.Files = cmd.ExtraFiles[executableFD-lifelineFD+1:]
	join, err := joinLater(cmd, &spec)
	if err != nil {
		return err
	}
	defer join.Close()
	err = c.machine.Start(&spec, func() (int, error) {
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		// By its own user, for which no capability is needed.
		if err := c.limits.impose(cmd.Process.Pid); err != nil || join == nil {
			return cmd.Process.Pid, err
		}
		_, err := fmt.Fprint(join, cmd.Process.Pid)
		return cmd.Process.Pid, err
	})
	if err != nil && cmd.Process != nil {
		_ = cmd.Process.Kill() // or it has ended
		_ = cmd.Wait()
	}
	return err
}

// joinLater lets a process that is to start in a control group be put there once
// it has started, for it must not be made by clone3 (see sandbox). The process is
// put there by writing its number to what joinLater returns; nil if it has no
// group, or may be made there.
func joinLater(cmd *exec.Cmd, spec *sandbox.Spec) (*os.File, error) {
	if spec.Off && spec.UID == 0 || cmd.SysProcAttr == nil || !cmd.SysProcAttr.UseCgroupFD {
		return nil, nil
	}
	fd, err := unix.Openat(cmd.SysProcAttr.CgroupFD, "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open control group: %w", err)
	}
	attr := *cmd.SysProcAttr
	attr.UseCgroupFD = false
	cmd.SysProcAttr = &attr
	return os.NewFile(uintptr(fd), "cgroup.procs"), nil
}

// deniedPath finds the path in what Python, Go and others say of a refusal.
var deniedPath = regexp.MustCompile(`ermission denied: '(/[^'\n]+)'|open (/[^:\n]+): permission denied`)

// hintBytes is the longest path that a hint repeats.
const hintBytes = 256

// hint adds to the error of a start that the sandbox may be its cause, if what
// the system or the plugin said makes that likely.
func (c *connection) hint(err error) error {
	if c.child.spec.Off || strings.Contains(err.Error(), "plugin-config.") {
		return err
	}
	text := err.Error() + strings.Join(c.child.console.last(consoleLines), "\n")
	if !slices.ContainsFunc([]string{
		"ermission denied", "peration not permitted", "EACCES", "EPERM", "refuses to execute", "ddress family not supported",
		"No module named", "cannot open shared object", "bad system call",
	}, func(sign string) bool { return strings.Contains(text, sign) }) {
		return err
	}
	if m := deniedPath.FindStringSubmatch(text); m != nil {
		path := m[1] + m[2]
		switch c.causeOf(path) {
		case sandbox.Other:
			return err
		case sandbox.Unlisted:
			return fmt.Errorf("%w; perhaps for its sandbox: plugin-config: {%q: {read: [%q]}} lets it read that, write change it", err, c.child.exe.name, path)
		}
	}
	return fmt.Errorf("%w; perhaps for its sandbox: plugin-config.%s can list what else it may read and write, or allow it the network", err, c.child.exe.name)
}

// causeOf returns what keeps the plugin from a path. That is the plugin's own word:
// it must lead nobody to give away what is the host's, and nothing is told of one
// that cannot be shown as it is.
func (c *connection) causeOf(path string) sandbox.Cause {
	spec := c.child.spec
	spec.Except = c.cfg.own()
	cause := c.child.machine.Cause(&spec, path)
	if cause == sandbox.Unlisted && (len(path) > hintBytes || strings.ContainsFunc(path, func(r rune) bool { return !strconv.IsPrint(r) })) {
		return sandbox.Unclear
	}
	return cause
}

// own lists the files and directories of the host itself.
func (c *Config) own() []string {
	all := append([]string{c.RunDir, c.CacheDir, c.KeepDir, c.WorkDir, c.LockFile, c.UsersFile}, c.Private...)
	return slices.DeleteFunc(all, func(path string) bool { return path == "" })
}
