package plugin

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/trust"

	"aead.dev/minisign"
)

// under is a configuration with a policy of trust.
func under(t *testing.T, policy trust.Policy) Config {
	t.Helper()
	cfg := quick(t)
	cfg.LockFile = filepath.Join(filepath.Dir(cfg.Dir), "plugins.lock")
	cfg.Options = func(string) Options { return Options{Trust: policy} }
	return cfg
}

// refused waits until a plugin's content is refused for this reason.
func (b *bench) refused(file, reason string) Status {
	b.t.Helper()
	eventually(b.t, "refusal: "+reason, func() bool { return strings.Contains(b.status(file).Reason, reason) })
	return b.status(file)
}

func (b *bench) runs(id, version string) {
	b.t.Helper()
	eventually(b.t, "version "+version, func() bool { a, err := b.run(b.t.Context(), id); return err == nil && a.Version == version })
}

func TestOnFirstUseAContentIsPinnedAndAnotherRefused(t *testing.T) {
	t.Parallel()
	cfg := under(t, trust.TOFU)
	install(t, cfg.Dir, "solo", "1")
	b := serve(t, cfg)
	b.runs("solo", "1")
	install(t, cfg.Dir, "solo", "2")
	s := b.refused("solo", "is not trusted (tofu)")
	if s.Accept != "geomill plugin trust solo" || s.Distrust == nil || s.Distrust.Expected != s.Hash || s.Distrust.Was != "chaos 1" {
		t.Errorf("status: %+v, %+v", s, s.Distrust)
	}
	b.runs("solo", "1")

	// A host that starts anew goes by what is pinned, not by what is there.
	b.stop()
	b = serve(t, cfg)
	b.refused("solo", "is not trusted (tofu)")
	if _, err := b.host.Process("solo"); !errors.Is(err, job.ErrNoSuchProcess) {
		t.Errorf("%v", err)
	}
	v, err := b.host.Verify("solo")
	if err != nil || v.Refusal == nil || v.Refusal.Found != v.Found || len(v.Pins) != 1 || v.Serving != "" {
		t.Errorf("%+v, %v", v, err)
	}
	pin, err := b.host.Trust("solo")
	if err != nil || pin.How != trust.Operator || pin.Hash != v.Found {
		t.Errorf("%+v, %v", pin, err)
	}
	b.runs("solo", "2")
	v, err = b.host.Verify("solo")
	if err != nil || v.Refusal != nil || len(v.Pins) != 2 || v.Serving != v.Found || v.Pins[1].Version != "2" {
		t.Errorf("%+v, %v", v, err)
	}
	if s := b.status("solo"); s.Accept != "" || s.Distrust != nil || s.Reason != "" {
		t.Errorf("status: %+v", s)
	}
}

func TestWhatIsNotTrustedIsNeverStarted(t *testing.T) {
	t.Parallel()
	cfg := under(t, trust.Pinned)
	trace := t.TempDir()
	ran := filepath.Join(trace, "ran")
	cfg.Options = func(string) Options { return Options{Trust: trust.Pinned, Write: []string{trace}} }
	place(t, cfg.Dir, "mole", []byte("#!/bin/sh\n: >"+ran+"\n"), 0o755)
	b := serve(t, cfg)
	b.refused("mole", "is not trusted (pinned)")
	if _, err := os.Stat(ran); err == nil {
		t.Error("it was")
	}
	if _, err := b.host.Trust("mole"); err != nil {
		t.Fatal(err)
	}
	b.refused("mole", "ended before the plugin handshake")
	if _, err := os.Stat(ran); err != nil {
		t.Error(err)
	}
}

func TestPinsDecideWhatServes(t *testing.T) {
	t.Parallel()
	cfg := under(t, trust.Pinned)
	b := serve(t, cfg)
	install(t, cfg.Dir, "solo", "1")
	s := b.refused("solo", "and none is pinned; to accept it: geomill plugin trust solo")
	if s.State != StateRefused || s.Accept != "geomill plugin trust solo" {
		t.Errorf("status: %+v", s)
	}
	if _, err := b.host.Pin("solo", s.Distrust.Found); err != nil {
		t.Fatal(err)
	}
	b.runs("solo", "1")
	pid := b.status("solo").Instances[0].PID
	taken, err := b.host.Unpin("solo", s.Distrust.Found)
	if err != nil || len(taken) != 1 {
		t.Fatalf("%+v, %v", taken, err)
	}
	eventually(t, "end of what is no longer trusted", func() bool {
		_, err := b.host.Process("solo")
		return errors.Is(err, job.ErrNoSuchProcess) && gone(pid)
	})
	if s := b.status("solo"); s.State != StateRefused || s.Accept == "" {
		t.Errorf("status: %+v", s)
	}
	if _, err := b.host.Trust("nobody"); !errors.Is(err, ErrNoSuchPlugin) {
		t.Errorf("%v", err)
	}
	if _, err := b.host.Pin("solo", "abc"); err == nil {
		t.Error("pinned abc")
	}
}

func TestWithoutAPolicyContentsAreWrittenDown(t *testing.T) {
	t.Parallel()
	cfg := under(t, "")
	install(t, cfg.Dir, "solo", "1")
	b := serve(t, cfg)
	b.runs("solo", "1")
	install(t, cfg.Dir, "solo", "2")
	b.runs("solo", "2")
	b.stop()
	lock, err := trust.Open(cfg.LockFile)
	if err != nil {
		t.Fatal(err)
	}
	pins := lock.Pins("solo")
	if len(pins) != 2 || pins[0].Version != "1" || pins[1].Version != "2" || pins[1].How != trust.Seen || pins[1].Name != "chaos" {
		t.Errorf("%+v", pins)
	}
}

func TestSignedContentsRun(t *testing.T) {
	t.Parallel()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(path string) []byte {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := minisign.NewReader(f)
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		return r.Sign(private)
	}
	cfg := under(t, trust.Signed)
	cfg.TrustKeys = []string{public.String()}
	cfg.RetryFirst = 1 << 40
	b := serve(t, cfg)
	path := install(t, cfg.Dir, "solo", "1")
	b.refused("solo", "has no signature")
	// The signature may come after the file.
	place(t, cfg.Dir, "solo.minisig", sign(path), 0o644)
	b.runs("solo", "1")
	b.stop()
	b = serve(t, cfg)
	b.runs("solo", "1")
	install(t, cfg.Dir, "solo", "2")
	b.refused("solo", "does not fit the content")
	b.runs("solo", "1")
	b.stop()
	cfg.TrustKeys = nil
	b = serve(t, cfg)
	b.refused("solo", "is not trusted (signed)")
}

func TestALookAcceptsNothingForOthers(t *testing.T) {
	t.Parallel()
	cfg := under(t, trust.TOFU)
	cfg.Log = quiet()
	install(t, cfg.Dir, "solo", "1")
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	list, err := h.Scan(t.Context())
	if err != nil || len(list) != 1 || list[0].State == StateRefused {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, err := os.Stat(cfg.LockFile); err == nil {
		t.Error("it wrote a lock file")
	}
}

func TestBrokenLockFileStopsTheStart(t *testing.T) {
	t.Parallel()
	cfg := under(t, trust.TOFU)
	cfg.Log = quiet()
	if err := os.WriteFile(cfg.LockFile, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Open(); err == nil || !strings.Contains(err.Error(), cfg.LockFile) {
		t.Errorf("%v", err)
	}
	if _, err := h.Trust("solo"); err == nil {
		t.Error("trusted without a lock file")
	}
}

func TestWhatCannotBePinnedIsNotTrustedOnFirstUse(t *testing.T) {
	t.Parallel()
	for policy, state := range map[trust.Policy]State{trust.TOFU: StateRefused, trust.Any: StateIdle} {
		cfg := under(t, policy)
		cfg.RetryFirst, cfg.RetryMax = 20*time.Millisecond, 50*time.Millisecond
		blocked := filepath.Join(filepath.Dir(cfg.Dir), "blocked")
		cfg.LockFile = filepath.Join(blocked, "plugins.lock")
		b := serve(t, cfg)
		place(t, filepath.Dir(blocked), "blocked", nil, 0o600) // a file where its directory belongs
		install(t, cfg.Dir, "solo", "1")
		eventually(t, "the outcome under "+string(policy), func() bool {
			s := b.status("solo")
			return s.State == state && strings.Contains(s.Reason, "write lock file") == (policy == trust.TOFU)
		})
		if err := os.Remove(blocked); err != nil {
			t.Fatal(err)
		}
		b.runs("solo", "1")
	}
}
