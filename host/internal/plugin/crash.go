package plugin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"geomill/host/internal/job"
)

// What clients are shown of a plugin's last lines at most.
const (
	shownLines = 20
	shownBytes = 4 << 10
)

// shortestSecret is the length of a variable's value, in bytes, from which on it
// is taken out of what clients see: shorter ones are parts of common words.
const shortestSecret = 4

// lostFailure waits a little for the instance to be gone, to say how it ended.
func (h *Host) lostFailure(in *instance, a job.Attempt, began int, err error) error {
	wait := time.NewTimer(h.cfg.ReportWait)
	defer wait.Stop()
	select {
	case <-in.done:
	case <-wait.C:
		if x := in.conn.child.excess.Load(); x != nil {
			return x.of(a, err)
		}
		cause := cmp.Or(context.Cause(in.serving), errCutOff)
		return &job.Failure{Kind: job.PluginDied, Detail: cause.Error(), Cause: err, Crash: &job.Crash{}}
	}
	e := &in.ending
	if x, ok := errors.AsType[*excess](e.cause); ok {
		return x.of(a, fmt.Errorf("%w: %w", e.report(), err))
	}
	f := &job.Failure{Kind: job.PluginDied, Detail: e.detail(), Cause: fmt.Errorf("%w: %w", e.report(), err)}
	if !e.crashed() {
		return f // the host ended it, for what is no doing of this job
	}
	f.Crash = &job.Crash{}
	if errors.Is(e.cause, errMemory) {
		f.Kind = job.OutOfMemory
		if most := in.conn.options.Limits.Memory; most > 0 && e.signal != "SIGKILL" { // it could reserve no more
			f.Limit, f.Maximum = job.LimitMemory, float64(most)
		}
	} else {
		in.conn.options.Limits.blame(f, strings.Join(in.conn.child.console.lastWords(began), "\n"))
	}
	if errors.Is(e.cause, errMemory) || errors.Is(e.cause, errDied) { // else the host ended it in the end
		f.Crash.Signal = e.signal
		if e.code >= 0 {
			f.Crash.ExitCode = &e.code
		}
	}
	if !h.cfg.HideStderr {
		f.Crash.Stderr = h.shown(in.conn.child.console.lastWords(began), a)
	}
	return f
}

// shown is what clients may see of a plugin's last lines: few, short, and
// without the host's directories and what the operator put into the plugin's
// environment.
func (h *Host) shown(lines []string, a job.Attempt) []string {
	hide := h.hider(a)
	var out []string
	room := shownBytes
	for _, l := range lines {
		if strings.HasPrefix(l, dumped) {
			break // the host has asked for that, for its operator
		}
		l = cut(hide.Replace(l), room)
		room -= len(l)
		out = append(out, l)
		if room <= 0 {
			break
		}
	}
	return out
}

// cut returns at most n bytes of s, whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// hider replaces what is the host's own. Longer names stand before those that
// they begin with.
func (h *Host) hider(a job.Attempt) *strings.Replacer {
	type hidden struct{ text, name string }
	list := []hidden{
		{a.Dir, "[job]"}, {a.Checkpoint, "[checkpoint]"}, {filepath.Dir(filepath.Dir(a.Dir)), "[jobs]"},
		{h.cfg.RunDir, "[run]"}, {h.cfg.Dir, "[plugins]"}, {h.cfg.CacheDir, "[cache]"}, {h.cfg.WorkDir, "[work]"},
	}
	for _, e := range h.cfg.Env {
		if name, value, _ := strings.Cut(e, "="); len(value) >= shortestSecret {
			list = append(list, hidden{value, "[" + name + "]"})
		}
	}
	slices.SortStableFunc(list, func(a, b hidden) int { return cmp.Compare(len(b.text), len(a.text)) })
	var pairs []string
	for _, e := range list {
		if len(e.text) > 1 { // not the root
			pairs = append(pairs, e.text, e.name)
		}
	}
	return strings.NewReplacer(pairs...)
}

// starved reports whether an instance that is gone ended for want of memory: the
// kernel chose it, or its runtime said so.
func (in *instance) starved() bool {
	e := &in.ending
	return e.signal == "SIGKILL" && memoryKills() > in.memoryKills || slices.ContainsFunc(in.conn.child.console.lastWords(0), saysNoMemory)
}

// saysNoMemory knows the last words of programs that get no more memory: those
// of Go and of C++.
func saysNoMemory(line string) bool {
	return strings.HasPrefix(line, "fatal error: runtime: out of memory") ||
		strings.HasPrefix(line, "fatal error: out of memory") ||
		strings.HasPrefix(line, "runtime: out of memory") ||
		strings.HasPrefix(line, "fatal error: runtime: cannot allocate memory") ||
		strings.HasPrefix(line, "terminate called after throwing an instance of 'std::bad_alloc'")
}

// memoryKills returns how many processes the kernel has killed for want of
// memory since the machine started, of containers too; 0 where it does not tell.
func memoryKills() int64 {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	return killsIn(text)
}

func killsIn(vmstat []byte) int64 {
	for line := range bytes.Lines(vmstat) {
		if count, ok := bytes.CutPrefix(line, []byte("oom_kill ")); ok {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(count)), 10, 64)
			return n
		}
	}
	return 0
}
