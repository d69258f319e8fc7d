package plugin

import (
	"strings"
	"testing"
)

func TestTheLogOfAPluginHasWhatItWritesAndWhatTheHostSaysOfIt(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.Env = []string{"PASSWORD=open sesame", "SHORT=abc"}
	install(t, cfg.Dir, "chaos", "")
	place(t, cfg.Dir, "broken", []byte("#!/bin/sh\necho $PASSWORD $SHORT >&2\n"), 0o755)
	b := serve(t, cfg)
	if _, err := b.run(t.Context(), "exit"); err == nil {
		t.Fatal("the plugin did not end")
	}
	var told []string
	eventually(t, "the end of the instance is in the log", func() bool {
		lines, known := b.host.Logs("chaos", 100)
		told = told[:0]
		for _, l := range lines {
			told = append(told, l.Message)
		}
		all := strings.Join(told, "\n")
		return known && strings.Contains(all, "plugin admitted") && strings.Contains(all, "plugin instance ended")
	})
	lines, known := b.host.Logs("broken", 100)
	if !known || len(lines) == 0 {
		t.Fatalf("of the broken plugin: %v, %v", lines, known)
	}
	said := lines[0]
	if !said.Said || said.Message != "[PASSWORD] abc" || said.Stream != "stderr" || said.Instance == 0 {
		t.Errorf("it said %+v", said)
	}
	for _, l := range lines {
		if strings.Contains(l.Message+string(l.Fields), "sesame") {
			t.Errorf("the password is in %+v %s", l, l.Fields)
		}
	}
	if _, known := b.host.Logs("nothing", 100); known {
		t.Error("something is known of a file that never was")
	}
}

func TestEachLineOfALongSecretIsHidden(t *testing.T) {
	t.Parallel()
	c := Config{Env: []string{"KEY=-----BEGIN-----\nabcdefgh\n-----END-----\n", "A=x", "PART=abcd", "EMPTY="}}
	if got := c.secrets().Replace("say abcdefgh, abcd, x -----BEGIN-----"); got != "say [KEY], [PART], x [KEY]" {
		t.Errorf("got %q", got)
	}
}
