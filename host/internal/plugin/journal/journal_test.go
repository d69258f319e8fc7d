package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; only a hang is longer.
const patience = time.Minute

func hideSecret(text string) string { return strings.ReplaceAll(text, "12345", "[PIN]") }

// logging returns a book and a logger into it and into out, from the level warn on.
func logging(out *bytes.Buffer) (*Book, *slog.Logger) {
	b := NewBook(hideSecret)
	return b, slog.New(b.Handler(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn})))
}

func texts(lines []Line) (all []string) {
	for _, l := range lines {
		all = append(all, l.Message)
	}
	return all
}

func TestALineIsNotedForThePluginThatItIsAbout(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b, log := logging(&out)
	log.Warn("of none", "x", 1)
	log.Info("admitted", "plugin", "a", "took", time.Second, "error", errors.New("odd"))
	log.Debug("too low", "plugin", "a")
	of := log.With("plugin", "b", "instance", int64(7))
	of.Warn("crashed", "crashes", 3)
	said := Said(of)
	said.Debug("hello", "stream", "stderr")
	said.Log(t.Context(), slog.LevelDebug-4, "too low")
	said.Info("liar", "plugin", "a", "instance", int64(9))

	for plugin, want := range map[string][]string{"a": {"admitted"}, "b": {"crashed", "hello", "liar"}, "c": nil} {
		if got := texts(b.Last(plugin, 10)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s has %q, want %q", plugin, got, want)
		}
		if b.Has(plugin) != (want != nil) {
			t.Errorf("Has(%s) is %v", plugin, b.Has(plugin))
		}
	}
	admitted := b.Last("a", 1)[0]
	if want := `{"error":"odd","took":"1s"}`; string(admitted.Fields) != want || admitted.Said || admitted.Instance != 0 {
		t.Errorf("got %+v with %s, want %s", admitted, admitted.Fields, want)
	}
	lines := b.Last("b", 10)
	if l := lines[0]; l.Said || l.Instance != 7 || string(l.Fields) != `{"crashes":3}` || l.Level != slog.LevelWarn || l.Time.IsZero() {
		t.Errorf("got %+v", l)
	}
	if l := lines[1]; !l.Said || l.Instance != 7 || l.Stream != "stderr" || l.Fields != nil {
		t.Errorf("got %+v", l)
	}
	if l := lines[2]; l.Instance != 7 || string(l.Fields) != `{"instance":9,"plugin":"a"}` {
		t.Errorf("got %+v with %s", l, l.Fields)
	}
	if text := out.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, `msg=crashed plugin=b instance=7 crashes=3`) {
		t.Errorf("the log has %q", text)
	}
}

func TestSecretsAreTakenOutOfEveryPartOfALine(t *testing.T) {
	t.Parallel()
	b, log := logging(&bytes.Buffer{})
	log.WithGroup("g").Info("the pin is 12345", "text", "12345", "number", 12345, "other", 12,
		"12345", true, "json", map[string]any{"list": []any{"x12345", 12345.0, nil, 1.5}}, slog.Group("in", "k", "12345"))
	if b.Has("a") {
		t.Error("a line without a plugin is noted")
	}
	log = log.With("plugin", "a")
	log.WithGroup("g").Info("the pin is 12345", "text", "12345", "number", 12345, "other", 12,
		"12345", true, "json", map[string]any{"list": []any{"x12345", 12345.0, nil, 1.5}}, slog.Group("in", "k", "12345"))
	l := b.Last("a", 1)[0]
	want := `{"g.[PIN]":true,"g.in":{"k":"[PIN]"},"g.json":{"list":["x[PIN]","[PIN]",null,1.5]},"g.number":"[PIN]","g.other":12,"g.text":"[PIN]"}`
	if string(l.Fields) != want || l.Message != "the pin is [PIN]" {
		t.Errorf("got %q with\n%s, want\n%s", l.Message, l.Fields, want)
	}
}

func TestOnlyTheLastLinesAreKept(t *testing.T) {
	t.Parallel()
	b, log := logging(&bytes.Buffer{})
	few := log.With("plugin", "few")
	for i := range 2 * maxLines {
		few.Info(fmt.Sprint(i))
	}
	got := texts(b.Last("few", 1e6))
	if len(got) != maxLines || got[0] != fmt.Sprint(maxLines) || got[maxLines-1] != fmt.Sprint(2*maxLines-1) {
		t.Errorf("%d lines from %s on are kept", len(got), got[0])
	}
	if got := texts(b.Last("few", 2)); len(got) != 2 || got[1] != fmt.Sprint(2*maxLines-1) {
		t.Errorf("the last two are %q", got)
	}
	for range 100 {
		log.Info(strings.Repeat("x", maxBytes/10), "plugin", "long")
	}
	if got := b.Last("long", 1e6); len(got) != 9 {
		t.Errorf("%d long lines are kept", len(got))
	}
	log.Info(strings.Repeat("x", 2*maxBytes), "plugin", "long")
	if got := b.Last("long", 1e6); len(got) != 1 {
		t.Errorf("%d lines are kept with one that is too long", len(got))
	}
	for i := range 2 * maxBooked {
		log.Info("x", "plugin", fmt.Sprint(i))
	}
	if len(b.pages) != maxBooked || b.Has("few") || !b.Has(fmt.Sprint(2*maxBooked-1)) {
		t.Errorf("%d plugins are kept", len(b.pages))
	}
}

func TestAFollowerReadsWhatIsThereAndWhatComes(t *testing.T) {
	t.Parallel()
	b, log := logging(&bytes.Buffer{})
	log = log.With("plugin", "a")
	for _, text := range []string{"1", "2", "3"} {
		log.Info(text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []string
	for l := range b.Follow(ctx, "a", 2) {
		got = append(got, l.Message)
		switch l.Message {
		case "3":
			log.Info("4")
			log.Info("of another", "plugin", "b")
			log.Info("5")
		case "5":
			cancel()
		}
	}
	if want := "[2 3 4 5]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if len(b.pages["a"].followers) > 0 {
		t.Error("who has left is still sent lines")
	}
}

func TestAFollowerWhoIsTooSlowIsToldHowMuchIsLeftOut(t *testing.T) {
	t.Parallel()
	b, log := logging(&bytes.Buffer{})
	log = log.With("plugin", "a")
	log.Info("first")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []string
	for l := range b.Follow(ctx, "a", 1) {
		got = append(got, l.Message)
		switch {
		case l.Message == "first":
			for i := range ahead + 10 {
				log.Info(fmt.Sprint(i))
			}
		case strings.Contains(l.Message, "left out"):
			log.Info("last")
		}
		if l.Message == "last" {
			break
		}
	}
	if want := "10 lines are left out: they came faster than they were read"; len(got) != ahead+3 || got[ahead+1] != want {
		t.Errorf("%d lines, the last of them %q", len(got), got[max(0, len(got)-3):])
	}
}
