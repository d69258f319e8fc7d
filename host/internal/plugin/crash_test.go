package plugin

import (
	"fmt"
	"strings"
	"testing"

	"geomill/host/internal/job"

	"github.com/google/go-cmp/cmp"
)

func TestLastWordsAreTheLastLinesOrTheStartOfATrace(t *testing.T) {
	t.Parallel()
	numbered := func(from, to int) (lines []string) {
		for i := from; i <= to; i++ {
			lines = append(lines, fmt.Sprint("line ", i))
		}
		return lines
	}
	trace := append([]string{"runtime: out of memory", "fatal error: out of memory"}, numbered(3, 200)...)
	for name, c := range map[string]struct {
		before, after []string // the attempt began
		want          []string
	}{
		"nothing":                    {numbered(1, 5), nil, nil},
		"few":                        {numbered(1, 5), numbered(6, 8), numbered(6, 8)},
		"many":                       {nil, numbered(1, 500), numbered(481, 500)},
		"a long trace":               {nil, append(numbered(1, 9), trace...), trace[:shownLines]},
		"a short trace":              {nil, append(numbered(1, 30), trace[:4]...), append(numbered(15, 30), trace[:4]...)},
		"a trace before the attempt": {trace, numbered(1, 3), numbered(1, 3)},
	} {
		console := &console{log: quiet()}
		for _, l := range c.before {
			console.remember(l)
		}
		began := console.written()
		for _, l := range c.after {
			console.remember(l)
		}
		if d := cmp.Diff(strings.Join(c.want, "\n"), strings.Join(console.lastWords(began), "\n")); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestClientsSeeNothingOfTheHostInAPluginsLastLines(t *testing.T) {
	t.Parallel()
	h := &Host{cfg: Config{RunDir: "/run/gm", Dir: "/srv/plugins", Env: []string{"TOKEN=hunter2", "DEBUG=1", "EMPTY="}}}
	a := job.Attempt{Dir: "/srv/data/jobs/abc/2", Checkpoint: "/srv/data/jobs/abc/checkpoint"}
	got := h.shown([]string{
		"open /srv/data/jobs/abc/2/in/x, /srv/data/jobs/abc/checkpoint/y and /srv/data/jobs/other/1/in/z",
		"in /run/gm/p1/home, from /srv/plugins/buffer, with hunter2 at level 1",
		strings.Repeat("é", shownBytes), "lost",
	}, a)
	want := []string{
		"open [job]/in/x, [checkpoint]/y and [jobs]/other/1/in/z",
		"in [run]/p1/home, from [plugins]/buffer, with [TOKEN] at level 1",
	}
	if len(got) < 3 || cmp.Diff(want, got[:2]) != "" {
		t.Fatalf("%q", got)
	}
	if n := len(strings.Join(got, "")); n > shownBytes || n < shownBytes-1 || strings.Trim(got[2], "é") != "" {
		t.Errorf("%d bytes, %d lines", n, len(got))
	}
}

func TestKillsForWantOfMemoryAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"": 0, "oom_kill 12\n": 12, "nr_free 1\noom_kill 3\noom_kill_x 9\n": 3, "oom_killer 4\n": 0, "oom_kill x\n": 0,
	} {
		if got := killsIn([]byte(text)); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestAKillByTheKernelIsToldFromAnother(t *testing.T) {
	t.Parallel()
	in := &instance{conn: &connection{child: &child{console: &console{log: quiet()}}}}
	in.ending.signal = "SIGKILL"
	if in.memoryKills = memoryKills(); in.starved() {
		t.Error("no process was killed for want of memory since, perhaps")
	}
	if in.memoryKills--; !in.starved() {
		t.Error("a process was killed for want of memory since")
	}
	if in.ending.signal = "SIGTERM"; in.starved() {
		t.Error("that was no kill")
	}
	in.conn.child.console.remember("fatal error: out of memory")
	if !in.starved() {
		t.Error("its runtime said so")
	}
}
