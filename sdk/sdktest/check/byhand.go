package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"geomill/sdk/ogc"
)

// typed is what came of a command.
type typed struct {
	out, err bytes.Buffer
	failure  error
	late     bool
}

// byHand runs the plugin without the cookie, as a person would.
func (p *probe) byHand(args ...string) *typed {
	ctx, cancel := p.patient(p.Times.Handshake)
	defer cancel()
	t := new(typed)
	cmd := exec.CommandContext(ctx, p.Path, args...)
	cmd.Env = p.environment(p.dir)
	cmd.Dir = p.dir
	cmd.Stdout, cmd.Stderr = &t.out, &t.err
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	t.failure = cmd.Run()
	t.late = ctx.Err() != nil
	return t
}

// words is what the command said, for a report.
func (t *typed) words() string {
	return fmt.Sprintf("%.200q", strings.TrimSpace(t.out.String()+t.err.String()))
}

func checkExecutable(p *probe) verdict {
	info, err := os.Stat(p.Path)
	if err != nil {
		return failed("%v", err)
	}
	mode := info.Mode().Perm()
	unusable := func(v verdict) verdict {
		p.first = &fault{"executable", v.seen}
		return v
	}
	switch {
	case info.Size() == 0:
		return unusable(failed("the file is empty: build or copy it anew"))
	case mode&0o111 == 0:
		return unusable(failed("its mode is %o, not executable: chmod 755 it", mode))
	case mode&0o022 != 0:
		return failed("its mode is %o, and group or others may write to it: chmod go-w it", mode)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		return warned("user %d owns it; a host takes it only if it runs as that user", owner.Uid)
	}
	if err := p.tryExec(); err != nil {
		return unusable(failed("%v", p.explainExec(err)))
	}
	return passed("%d bytes, mode %o", info.Size(), mode)
}

// Who has just written the file may not have closed it yet.
const (
	busyRetries = 20
	busyPause   = 25 * time.Millisecond
)

// tryExec executes the file, to see whether the system can.
func (p *probe) tryExec() error {
	for try := 0; ; try++ {
		cmd := exec.CommandContext(p.ctx, p.Path, "version")
		cmd.Env = p.environment(p.dir)
		err := cmd.Start()
		if err == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if !errors.Is(err, syscall.ETXTBSY) || try == busyRetries {
			return err
		}
		time.Sleep(busyPause)
	}
}

func checkByHand(p *probe) verdict {
	if p.first != nil {
		return skipped("%v", errNoStart)
	}
	t := p.byHand()
	switch {
	case t.late:
		return failed("without arguments and cookie it was still running after %s", p.within(p.Times.Handshake))
	case t.failure == nil:
		return failed("without arguments and cookie it ended with status 0")
	case len(bytes.TrimSpace(t.err.Bytes())) == 0:
		return failed("without arguments and cookie it said nothing on standard error (%v)", t.failure)
	}
	return passed("%v: %s", t.failure, t.words())
}

func checkVersion(p *probe) verdict {
	if p.first != nil {
		return skipped("%v", errNoStart)
	}
	t := p.byHand("version")
	text := strings.TrimSuffix(t.out.String(), "\n")
	switch {
	case t.late || t.failure != nil:
		return failed("version: %s %s", failureOf(t), t.words())
	case strings.TrimSpace(text) == "" || strings.Contains(text, "\n"):
		return failed("version printed %.200q, not a line with name and version", t.out.String())
	}
	return passed("%s", text)
}

func failureOf(t *typed) string {
	if t.late {
		return "it did not end in time"
	}
	return t.failure.Error()
}

// described is the document that describe prints.
type described struct {
	Name      string        `json:"name"`
	Version   string        `json:"version"`
	Processes []ogc.Process `json:"processes"`
}

func checkDescribe(p *probe) verdict {
	if p.first != nil {
		return skipped("%v", errNoStart)
	}
	t := p.byHand("describe")
	if t.late || t.failure != nil {
		return failed("describe: %s %s", failureOf(t), t.words())
	}
	var d described
	if err := json.Unmarshal(t.out.Bytes(), &d); err != nil {
		return failed("describe printed no JSON object of name, version and processes (%v): %.100q", err, t.out.String())
	}
	if d.Name == "" || d.Version == "" {
		return failed("describe printed no name or no version: %.100q", t.out.String())
	}
	p.described = &d
	return passed("%s %s", d.Name, d.Version)
}

func checkDescribeAgrees(p *probe) verdict {
	if p.described == nil || p.info == nil {
		return skipped("it does not describe itself")
	}
	if p.described.Name != p.info.GetName() || p.described.Version != p.info.GetVersion() {
		return failed("by hand it is %s %s, to its host %s %s",
			p.described.Name, p.described.Version, p.info.GetName(), p.info.GetVersion())
	}
	byHand, toHost := make(map[string]bool), make(map[string]bool)
	for _, d := range p.described.Processes {
		byHand[d.ID] = true
	}
	for _, proc := range p.processes {
		toHost[proc.id()] = true
	}
	if !maps.Equal(byHand, toHost) {
		return failed("by hand it has the processes %s, to its host %s", names(byHand), names(toHost))
	}
	return passed("")
}

func names(set map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}
