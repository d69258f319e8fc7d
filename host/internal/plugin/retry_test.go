package plugin

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPausesBetweenTriesGrowUpToTheMost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Hour)).Draw(t, "first"))
		most := time.Duration(rapid.Int64Range(int64(first), int64(100*time.Hour)).Draw(t, "most"))
		now := time.Unix(1e9, 0)
		var r retry
		if _, again := r.wait(now); again {
			t.Fatal("tried again without a failure")
		}
		for n := range rapid.IntRange(1, 100).Draw(t, "failures") {
			r = r.after(now, first, most)
			pause, again := r.wait(now)
			want := most
			if n < 30 && first<<n > 0 {
				want = min(want, first<<n)
			}
			if !again || pause < want-want/5 || pause > want+want/5+1 {
				t.Fatalf("pause %d is %s, want about %s", n, pause, want)
			}
		}
		if left, again := r.wait(r.at.Add(1)); !again || left != 0 {
			t.Fatalf("when it is due: %s, %v", left, again)
		}
	})
}

func TestWhatCouldNotBeStartedIsTriedAgain(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	cfg.RetryFirst, cfg.RetryMax = 20*time.Millisecond, 50*time.Millisecond
	interpreter := filepath.Join(cfg.Dir, "..", "interpreter")
	place(t, cfg.Dir, "solo", []byte("#!"+interpreter+"\n"), 0o755)
	b := serve(t, cfg)
	eventually(t, "the refusal", func() bool { s := b.status("solo"); return s.State == StateRefused && !s.Retry.IsZero() })
	content, err := os.ReadFile(chaos)
	if err != nil {
		t.Fatal(err)
	}
	place(t, filepath.Dir(interpreter), "interpreter", content, 0o755)
	eventually(t, "the plugin", func() bool { _, err := b.run(t.Context(), "echo"); return err == nil })
	if s := b.status("solo"); s.Reason != "" || !s.Retry.IsZero() {
		t.Errorf("status: %+v", s)
	}
}

func TestWhatIsWrongInItselfIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	versioned(t, cfg.Dir, "1.0.0", "2.0.0")
	place(t, cfg.Dir, "garbage", []byte("no program"), 0o755)
	b := serve(t, cfg)
	for _, file := range []string{"chaos", "garbage"} {
		if s := b.status(file); s.State != StateRefused || !s.Retry.IsZero() {
			t.Errorf("status: %+v", s)
		}
	}
}
