package plugin

import (
	"strings"
	"syscall"
	"testing"

	"geomill/host/internal/job"
)

func TestWedgedPluginWritesItsStacksToTheLog(t *testing.T) {
	t.Parallel()
	b := chaosHost(t)
	_, err := b.run(t.Context(), "freeze")
	if f := failureOf(t, err); f.Detail != errWedged.Error() || f.Crash == nil || len(f.Crash.Stderr) > 0 {
		t.Errorf("%+v, which clients see of %+v", f.Crash, f)
	}
	r := b.recorded("SIGQUIT: quit")
	if !strings.Contains(r["trace"].(string), "goroutine ") {
		t.Errorf("record: %v", r)
	}
	eventually(t, "the end", func() bool { return b.status("chaos").Counters.Ends["wedged"] == 1 })
	c := b.status("chaos").Counters
	if c.Transitions[StateWedged] != 1 || c.Transitions[StateReady] != 1 {
		t.Errorf("counters: %+v", c)
	}
}

func TestInstanceThatIsWedgedWhileItDrainsIsKilled(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "chaos", "1")
	b := serve(t, cfg)
	old, err := b.run(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	running, _ := b.background("wait")
	install(t, cfg.Dir, "chaos", "2")
	eventually(t, "new version", func() bool { a, err := b.run(t.Context(), "echo"); return err == nil && a.Version == "2" })
	if err := syscall.Kill(old.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if f := failureOf(t, <-running); f.Kind != job.PluginDied || f.Detail != errWedged.Error() {
		t.Errorf("its job: %+v", f)
	}
	eventually(t, "the end", func() bool { return gone(old.PID) })
}

func TestWedgedPluginThatKeepsItsStacksToItselfIsKilled(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	install(t, cfg.Dir, "taciturn", "")
	b := serve(t, cfg)
	a, err := b.run(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(a.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end", func() bool { return b.status("taciturn").Counters.Ends["wedged"] == 1 })
	if !gone(a.PID) {
		t.Error("it lives on")
	}
}
