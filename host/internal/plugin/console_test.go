package plugin

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"pgregory.net/rapid"
)

// logged returns the records that writing parts to a stream makes.
func logged(t testing.TB, parts ...string) ([]map[string]any, *console) {
	t.Helper()
	var b bytes.Buffer
	c := &console{log: slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: levelTrace}))}
	s := c.stream("stderr")
	for _, p := range parts {
		if n, err := s.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatalf("wrote %d of %d: %v", n, len(p), err)
		}
	}
	s.close()
	return recordsOf(t, &b), c
}

func recordsOf(t testing.TB, b *bytes.Buffer) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

func TestLinesBecomeRecords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		parts []string
		want  []string // level and message
	}{
		{"plain", []string{"one\ntwo\n"}, []string{"INFO one", "INFO two"}},
		{"in parts, without an end", []string{"o", "ne\r\ntw", "o"}, []string{"INFO one", "INFO two"}},
		{"prefix", []string{"[WARN] w\n[ERROR] e\n[DEBUG] d\n"}, []string{"WARN [WARN] w", "ERROR [ERROR] e", "DEBUG [DEBUG] d"}},
		{"empty lines", []string{"\n\n"}, nil},
		{"hclog", []string{`{"@level":"error","@message":"m","@timestamp":"t","k":1}` + "\n"}, []string{"ERROR m"}},
		{"hclog trace", []string{`{"@level":"trace","@message":"m"}` + "\n"}, []string{"DEBUG-4 m"}},
		{"slog", []string{`{"time":"t","level":"WARN","msg":"m"}` + "\n"}, []string{"WARN m"}},
		{"unknown level", []string{`{"level":"odd","msg":"m"}` + "\n"}, []string{"INFO m"}},
		{"some other JSON", []string{`{"a":1}` + "\n"}, []string{`INFO {"a":1}`}},
		{"Go panic", []string{"panic: x\n\ngoroutine 1 [running]:\nmain.main()\n"}, []string{"ERROR panic: x"}},
		{"fatal error", []string{"before\nfatal error: all goroutines are asleep\n\ngoroutine 1\n"},
			[]string{"INFO before", "ERROR fatal error: all goroutines are asleep"}},
		{"Python", []string{"Traceback (most recent call last):\n  File\nValueError: x\nafter\n"},
			[]string{"ERROR Traceback (most recent call last):", "INFO after"}},
		{"record ends a trace", []string{"panic: x\n a\n" + `{"level":"info","msg":"m"}` + "\n"}, []string{"ERROR panic: x", "INFO m"}},
		{"not UTF-8", []string{"a\xffb\n"}, []string{"INFO a\uFFFDb"}},
	} {
		list, _ := logged(t, c.parts...)
		var got []string
		for _, r := range list {
			got = append(got, r["level"].(string)+" "+r["msg"].(string))
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLongLinesAndTracesAreCut(t *testing.T) {
	t.Parallel()
	list, _ := logged(t, strings.Repeat("x", 1<<20)+"\nshort\n")
	if m := list[0]["msg"].(string); len(m) > lineBytes+100 || !strings.HasSuffix(m, "... (1032192 more bytes)") || len(list) != 2 {
		t.Errorf("%d records, the first of %d bytes ends in %q", len(list), len(m), m[len(m)-40:])
	}
	list, _ = logged(t, "panic: x\n"+strings.Repeat("line\n", 10*blockLines))
	if len(list) != 1 || list[0]["dropped_lines"] != float64(9*blockLines+1) {
		t.Errorf("%d records, dropped %v", len(list), list[0]["dropped_lines"])
	}
}

func TestLastLinesAreRememberedWithinBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,5}`), 0, 200).Draw(t, "lines")
		c := &console{log: quiet()}
		s := c.stream("stderr")
		for _, l := range lines {
			s.Write([]byte(l + "\n"))
		}
		n := rapid.IntRange(0, 100).Draw(t, "n")
		want := lines[max(0, len(lines)-min(n, consoleLines)):]
		if got := c.last(n); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("last(%d) is %q, want %q", n, got, want)
		}
	})
}

func FuzzStream(f *testing.F) {
	f.Add([]byte("panic: x\n{\"msg\":\"m\"}\nTraceback (most recent call last):\n"), 3)
	f.Add([]byte("{\"@level\":1,\"@message\":\"\"}\n{{{\n\xff\xfe\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		c := &console{log: quiet()}
		s := c.stream("stderr")
		cut = max(0, min(cut, len(text)))
		s.Write(text[:cut])
		s.Write(text[cut:])
		s.close()
		for _, l := range c.last(consoleLines) {
			if len(l) > 3*lineBytes+64 || strings.Contains(l, "\n") {
				t.Errorf("remembered %d bytes", len(l))
			}
		}
	})
}

func TestHandshakeIsTheFirstLineAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		parts        []string
		read, rest   string
		wrong, ended bool
	}{
		{"whole", []string{"1|1|unix|/s|grpc\nmore"}, "1|1|unix|/s|grpc", "more", false, false},
		{"in parts", []string{"1|1|un", "ix|/s|grpc", "\n", "more\n"}, "1|1|unix|/s|grpc", "more\n", false, false},
		{"garbage", []string{"hello\n1|1|unix|/s|grpc\n"}, "hello", "1|1|unix|/s|grpc\n", true, false},
		{"no line", []string{"hello"}, "hello", "", true, true},
		{"nothing", nil, "", "", false, true},
		{"endless", []string{strings.Repeat("x", handshakeBytes+10)}, strings.Repeat("x", handshakeBytes), "", true, false},
	} {
		h := newHandshake()
		var rest []byte
		for _, p := range c.parts {
			rest = append(rest, h.feed([]byte(p))...)
		}
		if c.ended {
			h.end()
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(h); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got.String() != c.read || string(rest) != c.rest || (h.wrong() != "") != c.wrong {
			t.Errorf("%s: read %q, rest %q, wrong %q", c.name, got.String(), rest, h.wrong())
		}
	}
}

func TestHCLoggerWritesToSlog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	sl := slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l := newHCLogger(sl, slog.LevelError).Named("a").Named("b").With("k", "v")
	l.Trace("unseen")
	l.Debug("d")
	l.Info("i", "n", 1)
	l.Warn("w")
	l.Error("e", "error", errWedged)
	l.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Warn}).Print("s")
	newHCLogger(sl, slog.LevelDebug).Error("demoted")
	var got []string
	for _, r := range recordsOf(t, &b) {
		got = append(got, r["level"].(string)+" "+r["msg"].(string))
	}
	if want := "DEBUG d,INFO i,WARN w,ERROR e,WARN s,DEBUG demoted"; strings.Join(got, ",") != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !strings.Contains(b.String(), `"k":"v","n":1`) || !strings.Contains(b.String(), errWedged.Error()) {
		t.Errorf("arguments are lost: %s", b.String())
	}
	if l.Name() != "a.b" || l.GetLevel() != hclog.Debug || l.IsTrace() || !l.IsDebug() || len(l.ImpliedArgs()) != 2 {
		t.Errorf("name %q, level %v", l.Name(), l.GetLevel())
	}
}

// Not every line that looks like the start of a trace is one.
func TestTraceWithoutAnEndSwallowsNothingThatFollows(t *testing.T) {
	t.Parallel()
	var b logBuffer
	c := &console{log: slog.New(slog.NewJSONHandler(&b, nil))}
	s := c.stream("stdout")
	s.Write([]byte("panic: recovered\n"))
	eventually(t, "the trace", func() bool {
		s.Write([]byte("and on\n"))
		return b.record("panic: recovered") != nil
	})
	s.Write([]byte("later\n"))
	if b.record("later") == nil {
		t.Error("a later line is not logged")
	}
}
