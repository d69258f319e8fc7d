package plugin

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"geomill/sdk/wire"
)

// innocent starts a process with the mark of an instance, or without, and returns
// a record of it.
func innocent(t *testing.T, mark string) (*instanceRecord, <-chan error) {
	t.Helper()
	c := exec.Command("sleep", "300")
	c.Env = []string{"PATH=/usr/bin:/bin"}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if mark != "" {
		c.Env = append(c.Env, wire.InstanceMark+"="+mark)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() { _ = c.Process.Kill() })
	var now census
	p, ok := now.look(c.Process.Pid)
	if !ok {
		t.Fatal("the process is not there")
	}
	return &instanceRecord{Dir: mark, PID: p.pid, Born: p.born, Boot: bootID()}, ended
}

func TestOnlyTheProcessOfTheRecordIsEnded(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "d1")
	for name, change := range map[string]func(*instanceRecord){
		"its number is another's":  func(r *instanceRecord) { r.Born++ },
		"the machine was started":  func(r *instanceRecord) { r.Boot = "another" },
		"it bears no mark":         func(r *instanceRecord) { r.Dir = mark + "0" },
		"it was never written":     func(r *instanceRecord) { r.PID = 0 },
		"the boot was not known":   func(r *instanceRecord) { r.Boot = "" },
		"the instance is the same": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := mark + "-" + filepath.Base(t.Name())
			r, ended := innocent(t, own)
			if change != nil {
				change(r)
				r.Dir += "-other"
			}
			d := &detachedRun{instanceRecord: r, log: slog.New(slog.DiscardHandler), stop: func() {}}
			d.end(10*time.Millisecond, 20*time.Millisecond)
			if change != nil {
				select {
				case err := <-ended:
					t.Errorf("a process of somebody else was ended: %v", err)
				default:
				}
				return
			}
			select {
			case <-ended:
			case <-time.After(patience):
				t.Error("the process goes on")
			}
		})
	}
}

func TestInstanceThatIsNobodysIsFoundAndEnded(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.Log = slog.New(slog.DiscardHandler)
	if err := os.MkdirAll(cfg.RunDir, 0o700); err != nil {
		t.Fatal(err)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	started, err := h.makeDetachedDir(0) // and the host died before it was known who it is
	if err != nil {
		t.Fatal(err)
	}
	lost, err := h.makeDetachedDir(0) // its data directory is gone
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(lost.path()); err != nil {
		t.Fatal(err)
	}
	kept, err := h.makeDetachedDir(0)
	if err != nil {
		t.Fatal(err)
	}
	kept.PID, kept.JobID = 1<<30, "kept"
	if err := kept.save(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.WorkDir, "dxyz.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, one := innocent(t, started.Dir)
	_, two := innocent(t, lost.Dir)
	h.findDetached()
	for _, ended := range []<-chan error{one, two} {
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("a process goes on")
		}
	}
	if len(h.found) != 1 || !h.Keeps(kept.Root) || !h.Keeps(kept.path()) || h.Keeps(started.Root) || exists(started.Dir) || exists(lost.Dir) || !exists(kept.Dir) {
		t.Errorf("found %v", h.found)
	}
	h.Abandon()
	if exists(kept.Root) || exists(kept.Dir) || exists(kept.path()) {
		t.Error("what is abandoned stays")
	}
}
