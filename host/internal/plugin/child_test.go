package plugin

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/plugin/sandbox"
)

// TestAUserHasTheStandardStreams looks at them as a plugin with a user of its own
// does that opens them by name, with pipes and with files.
func TestAUserHasTheStandardStreams(t *testing.T) {
	t.Parallel()
	const uid = 231060
	if err := sandbox.ProbeUsers(uid, uid); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	dir := t.TempDir()
	place(t, dir, "script", []byte("#!/bin/sh\necho said > /dev/stderr\n"), 0o755)
	exe := opened(t, candidateAt(t, dir, "script"))
	for name, start := range map[string]func(*child) error{
		"pipes": func(c *child) error { return c.Start(t.Context()) },
		"files": func(c *child) error { return c.startDetached(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			log := slog.New(slog.DiscardHandler)
			c := newChild(exe, &console{log: log}, nil, "")
			c.machine, c.groups, c.spec = sandbox.Probe(), &groups{log: log}, sandbox.Spec{Off: true, UID: uid}
			home := t.TempDir()
			if name == "files" {
				c.detached = t.TempDir()
			}
			if err := errors.Join(os.Chmod(filepath.Dir(home), passable), c.prepare(nil, home)); err != nil {
				t.Fatal(err)
			}
			if err := start(c); err != nil {
				t.Fatal(err)
			}
			select {
			case <-c.drained:
			case <-time.After(patience):
				t.Fatal("it goes on")
			}
			said := strings.Join(c.console.last(consoleLines), " ")
			if name == "files" {
				text, err := os.ReadFile(filepath.Join(c.detached, stderrFile))
				if err != nil {
					t.Fatal(err)
				}
				said = strings.TrimSpace(string(text))
			}
			if said != "said" {
				t.Errorf("it has said %q", said)
			}
		})
	}
}
