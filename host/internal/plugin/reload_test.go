package plugin

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// keeping is quick with a place for versions before.
func keeping(t *testing.T) Config {
	cfg := quick(t)
	cfg.KeepDir = filepath.Join(filepath.Dir(cfg.Dir), "previous")
	return cfg
}

// again runs another host on the same directories.
func (b *bench) again(t *testing.T) *bench {
	b.stop()
	return serve(t, b.cfg)
}

// version runs the process echo and returns the version that answered.
func (b *bench) version(t *testing.T) string {
	t.Helper()
	a, err := b.run(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	return a.Version
}

func (b *bench) becomes(t *testing.T, version string) {
	t.Helper()
	eventually(t, "version "+version, func() bool {
		a, err := b.run(t.Context(), "echo")
		return err == nil && a.Version == version
	})
}

// refuses waits until the reason of a plugin has all of the words.
func (b *bench) refuses(t *testing.T, words ...string) {
	t.Helper()
	eventually(t, "reason with "+strings.Join(words, ", "), func() bool {
		reason := b.status("chaos").Reason
		for _, w := range words {
			if !strings.Contains(reason, w) {
				return false
			}
		}
		return true
	})
}

func TestABreakingVersionIsRefusedUntilItIsForced(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	b.version(t)
	install(t, cfg.Dir, "chaos", "1.1.0-narrow")
	b.refuses(t, "the one before goes on", "1.1.0-narrow breaks clients of version 1.0.0",
		"process alone at /inputs/x: a new input is required", "geomill plugin reload chaos --force")
	if v := b.version(t); v != "1.0.0" {
		t.Errorf("version %s serves", v)
	}
	b = b.again(t) // nor does a restart accept it
	b.refuses(t, "breaks clients", "--force")
	if v := b.version(t); v != "1.0.0" {
		t.Errorf("version %s serves after a restart", v)
	}
	if err := b.host.Reload(t.Context(), "chaos", false); err == nil || !strings.Contains(err.Error(), "breaks clients") {
		t.Errorf("reload: %v", err)
	}
	if err := b.host.Reload(t.Context(), "chaos", true); err != nil {
		t.Errorf("forced reload: %v", err)
	}
	if v := b.version(t); v != "1.1.0-narrow" {
		t.Errorf("version %s serves after a forced reload", v)
	}
	if s := b.status("chaos"); s.Reason != "" || s.Previous == nil || s.Previous.Version != "1.0.0" {
		t.Errorf("status: %+v", s)
	}
	if b = b.again(t); b.version(t) != "1.1.0-narrow" {
		t.Error("a restart forgets what was forced")
	}
}

func TestABreakingVersionIsAcceptedWhenItsNumberSaysSoOrTheOperatorDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		allow bool
		next  string
	}{"major number": {false, "2.0.0-narrow"}, "operator": {true, "1.1.0-narrow"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := keeping(t)
			cfg.Options = func(string) Options { return Options{AllowBreaking: c.allow} }
			install(t, cfg.Dir, "chaos", "1.0.0")
			b := serve(t, cfg)
			b.version(t)
			install(t, cfg.Dir, "chaos", c.next)
			b.becomes(t, c.next)
		})
	}
}

func TestAVersionThatTakesNoSessionDoesNotTakeOver(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	b.version(t)
	install(t, cfg.Dir, "chaos", "1.0.1-sessionless")
	b.refuses(t, "the one before goes on")
	b.becomes(t, "1.0.0")
}

// A version that was described before may still be unable to serve.
func TestAVersionThatDoesNotStartNeverServesWhereOneIsInUse(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	flag := filepath.Join(cfg.Dir, "..", "flag")
	cfg.Env = []string{"CHAOS_FLAG=" + flag}
	install(t, cfg.Dir, "grudge", "1")
	b := serve(t, cfg)
	if _, err := b.run(t.Context(), "grudge"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.host.Reload(t.Context(), "grudge", false); err == nil || !strings.Contains(err.Error(), "not today") {
		t.Errorf("reload: %v", err)
	}
	if _, err := b.run(t.Context(), "grudge"); err != nil {
		t.Errorf("the one before: %v", err)
	}
}

func TestAVersionThatIsInUseIsReplacedByOneThatRuns(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	b.version(t)
	install(t, cfg.Dir, "chaos", "1.0.1")
	eventually(t, "one instance, of the new version", func() bool {
		s := b.status("chaos")
		return s.Version == "1.0.1" && s.State == StateReady && len(s.Instances) == 1
	})
}

func TestAVersionThatIsNotInUseIsReplacedByOneThatIsNotEither(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	install(t, cfg.Dir, "chaos", "1.0.1")
	eventually(t, "new version", func() bool {
		s := b.status("chaos")
		return s.Version == "1.0.1" && s.State == StateIdle && len(s.Instances) == 0
	})
}

func TestAVersionThatCrashesAtOnceIsRolledBackAndNotTriedAgain(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	b.version(t)
	file := install(t, cfg.Dir, "chaos", "1.0.1")
	b.becomes(t, "1.0.1")
	for range 2 {
		_, err := b.run(t.Context(), "exit")
		if f := failureOf(t, err); f.Kind != job.PluginDied {
			t.Fatalf("%+v", f)
		}
	}
	b.refuses(t, "version 1.0.1 crashed 2 times", "the one before is back", "geomill plugin reload chaos --force")
	b.becomes(t, "1.0.0")
	now := time.Now()
	if err := os.Chtimes(file, now, now); err != nil {
		t.Fatal(err)
	}
	refusal := `"msg":"plugin refused","plugin":"chaos"`
	seen := strings.Count(b.logs.String(), refusal)
	eventually(t, "another look at the same content", func() bool { return strings.Count(b.logs.String(), refusal) > seen })
	if err := b.host.Reload(t.Context(), "chaos", false); err == nil || !strings.Contains(err.Error(), "crashed 2 times") {
		t.Errorf("reload: %v", err)
	}
	b = b.again(t)
	b.refuses(t, "crashed 2 times")
	if v := b.version(t); v != "1.0.0" {
		t.Errorf("version %s serves after a restart", v)
	}
	if err := b.host.Reload(t.Context(), "chaos", true); err != nil {
		t.Errorf("forced reload: %v", err)
	}
	if v := b.version(t); v != "1.0.1" {
		t.Errorf("version %s serves after a forced reload", v)
	}
	install(t, cfg.Dir, "chaos", "1.0.2")
	b.becomes(t, "1.0.2")
	if s := b.status("chaos"); s.Reason != "" || s.Previous == nil || s.Previous.Version != "1.0.1" {
		t.Errorf("status: %+v", s)
	}
}

func TestAVersionThatDoesNotStartAnyMoreIsRolledBack(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	flag := filepath.Join(cfg.Dir, "..", "flag")
	cfg.Env = []string{"CHAOS_FLAG=" + flag}
	install(t, cfg.Dir, "grudge", "1.0.0")
	b := serve(t, cfg)
	install(t, cfg.Dir, "grudge", "1.0.1") // not in use, so that no instance of it stays
	eventually(t, "new version", func() bool {
		s := b.status("grudge")
		return s.Version == "1.0.1" && len(s.Instances) == 0
	})
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range trialCrashes {
		b.run(t.Context(), "grudge") // fails, or ran on the version before
	}
	eventually(t, "version before", func() bool { return b.status("grudge").Version == "1.0.0" })
	if s := b.status("grudge"); !strings.Contains(s.Reason, "not today") {
		t.Errorf("status: %+v", s)
	}
}

func TestCrashesAfterTheTrialRollNothingBack(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	cfg.TrialTime = time.Nanosecond
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	b.version(t)
	install(t, cfg.Dir, "chaos", "1.0.1")
	b.becomes(t, "1.0.1")
	for range 2 {
		b.run(t.Context(), "exit")
	}
	b.becomes(t, "1.0.1")
	if s := b.status("chaos"); s.Version != "1.0.1" || s.Crashes != 2 {
		t.Errorf("status: %+v", s)
	}
}

func TestTheOperatorGoesBackAndForth(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	if err := b.host.Rollback(t.Context(), "chaos"); err == nil || !strings.Contains(err.Error(), "no version before") {
		t.Errorf("with nothing to go back to: %v", err)
	}
	install(t, cfg.Dir, "chaos", "1.0.1")
	b.becomes(t, "1.0.1")
	for range 2 { // there and back again
		if err := b.host.Rollback(t.Context(), "chaos"); err != nil {
			t.Fatal(err)
		}
		if v := b.version(t); v != "1.0.0" {
			t.Fatalf("version %s serves after a rollback", v)
		}
		b = b.again(t)
		b.refuses(t, "version 1.0.1 was rolled back to 1.0.0", "geomill plugin reload chaos")
		if v := b.version(t); v != "1.0.0" {
			t.Fatalf("version %s serves after a restart", v)
		}
		if err := b.host.Reload(t.Context(), "chaos", false); err != nil {
			t.Fatal(err)
		}
		if v := b.version(t); v != "1.0.1" {
			t.Fatalf("version %s serves after a reload", v)
		}
	}
	kept, err := filepath.Glob(filepath.Join(cfg.KeepDir, "chaos.d", "*"))
	if err != nil || len(kept) != 1 {
		t.Errorf("kept: %v, %v", kept, err)
	}
}

func TestARemovedPluginComesBackByReloadAndItsKeptVersionGoesWithItsFile(t *testing.T) {
	t.Parallel()
	cfg := keeping(t)
	install(t, cfg.Dir, "chaos", "1.0.0")
	b := serve(t, cfg)
	b.version(t)
	install(t, cfg.Dir, "chaos", "1.0.1")
	b.becomes(t, "1.0.1")
	gone := func() bool { _, err := b.host.Process("echo"); return errors.Is(err, job.ErrNoSuchProcess) }
	running, release := b.background("wait")
	if err := b.host.Remove(t.Context(), "chaos", false); err != nil || !gone() {
		t.Errorf("remove: %v", err)
	}
	release()
	if err := <-running; !errors.Is(err, job.ErrDismissed) {
		t.Errorf("its job: %v", err)
	}
	b = b.again(t)
	if s := b.status("chaos"); !gone() || s.State != StateRefused || !strings.Contains(s.Reason, "removed by the operator") {
		t.Errorf("after a restart: %+v", s)
	}
	if err := b.host.Reload(t.Context(), "chaos", false); err != nil {
		t.Error(err)
	}
	if v := b.version(t); v != "1.0.1" {
		t.Errorf("version %s serves", v)
	}
	if err := b.host.Remove(t.Context(), "chaos", true); err != nil || !gone() {
		t.Errorf("delete: %v", err)
	}
	for _, left := range []string{filepath.Join(cfg.Dir, "chaos"), filepath.Join(cfg.KeepDir, "chaos.d")} {
		if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", left, err)
		}
	}
	for what, err := range map[string]error{"reload": b.host.Reload(t.Context(), "chaos", true),
		"rollback": b.host.Rollback(t.Context(), "chaos"), "remove": b.host.Remove(t.Context(), "chaos", true)} {
		if !errors.Is(err, errNoPlugin) {
			t.Errorf("%s of no plugin: %v", what, err)
		}
	}
	install(t, cfg.Dir, "chaos", "1.0.0-narrow") // breaks nobody: there is no version before
	eventually(t, "added again", func() bool { return b.status("chaos").Version == "1.0.0-narrow" })
}
