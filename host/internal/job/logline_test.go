package job

import (
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestLinesComeBackAndAreFoundByTheirHead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := LogLine{
			Seq:     rapid.Uint64Min(1).Draw(t, "seq"),
			Time:    time.Unix(rapid.Int64Range(0, 1e10).Draw(t, "time"), rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds")).UTC(),
			Level:   rapid.SampledFrom(logLevels[:]).Draw(t, "level").level,
			Source:  rapid.SampledFrom([]string{FromHost, FromProcess, FromStdout, FromStderr}).Draw(t, "source"),
			Attempt: rapid.IntRange(0, 9).Draw(t, "attempt"),
			Message: string(rapid.SliceOf(rapid.Byte()).Draw(t, "message")),
		}
		if rapid.Bool().Draw(t, "has fields") {
			l.Fields, _ = json.Marshal(rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "fields"))
		}
		l = l.bounded()
		text, err := l.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		seq, level, ok := lineHead(text)
		if !ok || seq != l.Seq || level != l.Level {
			t.Fatalf("head of %s: %d %s %t", text, seq, level, ok)
		}
		var back LogLine
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, l) {
			t.Fatalf("%+v became %+v (%v)", l, back, err)
		}
	})
}

// FuzzLogLine looks for lines that harm whoever shows or keeps them.
func FuzzLogLine(f *testing.F) {
	f.Add("plain", `{"a":1}`)
	f.Add("\x1b[31m\u202e\xff\r\n\t\x00", `{"\u001b": "`+"\u0085\xff"+`"}`)
	f.Add(strings.Repeat("\x01", maxLine), `[]`)
	f.Add(strings.Repeat("é", maxLine), `{"a":"`+strings.Repeat(`\\`, maxLine)+`"}`)
	f.Add("", `{`)
	f.Fuzz(func(t *testing.T, message, fields string) {
		l := LogLine{Seq: 1, Source: FromProcess, Message: message, Fields: json.RawMessage(fields)}.bounded()
		const notes = 100
		if len(l.Message)+len(l.Fields) > maxLine+2*notes {
			t.Errorf("the line has %d and %d bytes", len(l.Message), len(l.Fields))
		}
		for _, text := range []string{l.Message, string(l.Fields)} {
			if !utf8.ValidString(text) || strings.IndexFunc(text, harmful) >= 0 {
				t.Errorf("harmful: %q", text)
			}
		}
		if clean(message) && len(message) <= maxLine && l.Message != message {
			t.Errorf("%q became %q", message, l.Message)
		}
		var m map[string]any
		if err := json.Unmarshal(l.Fields, &m); err != nil {
			t.Errorf("fields %q: %v", l.Fields, err)
		}
		text, err := l.MarshalJSON()
		if err != nil || len(text) > journalBuffer || strings.Contains(string(text), "\n") {
			t.Errorf("%d bytes, %v", len(text), err)
		}
	})
}

func TestLongLinesAreCutWithANote(t *testing.T) {
	t.Parallel()
	l := LogLine{Message: strings.Repeat("x", maxLine+5), Fields: json.RawMessage(`{"a":"b"}`)}.bounded()
	if want := strings.Repeat("x", maxLine) + " ... (5 more bytes)"; l.Message != want || string(l.Fields) != `{"leftOut":"9 bytes of fields"}` {
		t.Errorf("message ends in %q, fields %s", l.Message[maxLine-5:], l.Fields)
	}
	l = LogLine{Message: "short", Fields: json.RawMessage(`{"a": "` + strings.Repeat("x", maxLine) + `"}`)}.bounded()
	if string(l.Fields) != `{"leftOut":"16393 bytes of fields"}` {
		t.Errorf("fields %.100s", l.Fields)
	}
	l = LogLine{Fields: json.RawMessage(`not JSON`)}.bounded()
	if string(l.Fields) != `{"leftOut":"fields that are no JSON object"}` {
		t.Errorf("fields %.100s", l.Fields)
	}
}

func TestLevelsHaveWords(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]string{
		-100: "trace", -8: "trace", -5: "trace", slog.LevelDebug: "debug", -1: "debug", 0: "info", 3: "info", 4: "warn", 8: "error", 100: "error",
	} {
		if got := LogLevelName(level); got != want {
			t.Errorf("%d is %s, want %s", level, got, want)
		}
	}
	for _, name := range LogLevelNames() {
		if l, ok := ParseLogLevel(name); !ok || LogLevelName(l) != name {
			t.Errorf("%s is %d, %t", name, l, ok)
		}
	}
	if _, ok := ParseLogLevel("loud"); ok {
		t.Error("loud is a level")
	}
}
