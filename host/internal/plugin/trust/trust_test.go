package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at returns a moment, n minutes after the first.
func at(n int) time.Time { return time.Date(2026, 1, 2, 3, n, 0, 0, time.UTC) }

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// story is what happens to a lock file, one event after another.
type story struct {
	t    *testing.T
	lock *Lock
	keys Keys
	n    int
}

func begin(t *testing.T) *story {
	t.Helper()
	l, err := Open(filepath.Join(t.TempDir(), "plugins.lock"))
	if err != nil {
		t.Fatal(err)
	}
	return &story{t: t, lock: l}
}

// offer judges a content and records it if it may run.
func (s *story) offer(policy Policy, content string) error {
	s.t.Helper()
	s.n++
	pin, err := s.lock.Judge(policy, s.keys, Content{Plugin: "p", Path: "/plugins/p", Hash: hashOf(content)}, at(s.n))
	if err != nil {
		return err
	}
	pin.Name, pin.Version = "p", content
	if err := s.lock.Record("p", pin); err != nil {
		s.t.Fatal(err)
	}
	return nil
}

func (s *story) pin(content string) {
	s.t.Helper()
	s.n++
	if _, err := s.lock.Pin("p", hashOf(content), at(s.n)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) forget(hash string) {
	s.t.Helper()
	if _, err := s.lock.Forget("p", hash); err != nil {
		s.t.Fatal(err)
	}
}

func TestPoliciesDecideWhichContentRuns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		story func(*story) error
		runs  bool
	}{
		"any takes what comes":    {func(s *story) error { return errors.Join(s.offer(Any, "a"), s.offer(Any, "b")) }, true},
		"no policy is any":        {func(s *story) error { return errors.Join(s.offer("", "a"), s.offer("", "b")) }, true},
		"tofu takes the first":    {func(s *story) error { return errors.Join(s.offer(TOFU, "a"), s.offer(TOFU, "a")) }, true},
		"tofu refuses the second": {func(s *story) error { s.offer(TOFU, "a"); return s.offer(TOFU, "b") }, false},
		"tofu takes what the operator pinned besides": {func(s *story) error {
			s.offer(TOFU, "a")
			s.pin("b")
			return errors.Join(s.offer(TOFU, "b"), s.offer(TOFU, "a"))
		}, true},
		"tofu goes by what was seen last": {func(s *story) error { s.offer(Any, "a"); s.offer(Any, "b"); return s.offer(TOFU, "b") }, true},
		"and not by what was seen before": {func(s *story) error { s.offer(Any, "a"); s.offer(Any, "b"); return s.offer(TOFU, "a") }, false},
		"nor if it came back before": {func(s *story) error {
			s.offer(Any, "a")
			s.offer(Any, "b")
			s.offer(Any, "a")
			return s.offer(TOFU, "b")
		}, false},
		"what was seen does not count once something is pinned": {func(s *story) error {
			s.offer(TOFU, "a")
			s.offer(Any, "b")
			return s.offer(TOFU, "b")
		}, false},
		"tofu takes the next after all is forgotten": {func(s *story) error { s.offer(TOFU, "a"); s.forget(""); return s.offer(TOFU, "b") }, true},
		"pinned refuses what nobody pinned":          {func(s *story) error { return s.offer(Pinned, "a") }, false},
		"pinned refuses a first use":                 {func(s *story) error { s.offer(TOFU, "a"); return s.offer(Pinned, "a") }, false},
		"pinned takes what the operator pinned":      {func(s *story) error { s.pin("a"); return s.offer(Pinned, "a") }, true},
		"a pin may be taken back":                    {func(s *story) error { s.pin("a"); s.forget(hashOf("a")); return s.offer(Pinned, "a") }, false},
		"a pin outlives other policies": {func(s *story) error {
			s.pin("a")
			return errors.Join(s.offer(Any, "a"), s.offer(TOFU, "a"), s.offer(Pinned, "a"))
		}, true},
		"signed refuses what is not":            {func(s *story) error { return s.offer(Signed, "a") }, false},
		"signed takes what the operator pinned": {func(s *story) error { s.pin("a"); return s.offer(Signed, "a") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t)
			err := c.story(s)
			if (err == nil) != c.runs {
				t.Errorf("%v", err)
			}
			if _, ok := errors.AsType[*Refusal](err); !ok && !c.runs {
				t.Errorf("no refusal: %v", err)
			}
			again, err := Open(s.lock.path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.lock.pins, again.pins); diff != "" {
				t.Errorf("read again (-was +is):\n%s", diff)
			}
		})
	}
}

func TestRefusalNamesBothContentsAndTheCommandThatAccepts(t *testing.T) {
	t.Parallel()
	s := begin(t)
	s.offer(TOFU, "1.0")
	_, err := s.lock.Judge(TOFU, nil, Content{Plugin: "p", Path: "/plugins/p", Hash: hashOf("2.0"), Name: "q", Version: "2.0"}, at(9))
	r, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatal(err)
	}
	want := Refusal{Plugin: "p", Path: "/plugins/p", Policy: TOFU, Found: hashOf("2.0"), Expected: hashOf("1.0"), Since: at(1),
		Was: "p 1.0", Is: "q 2.0", Accept: "geomill plugin trust p"}
	if diff := cmp.Diff(want, *r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := "/plugins/p is not trusted (tofu): its SHA-256 is " + hashOf("2.0")[:12] + " (q 2.0), not " + hashOf("1.0")[:12] +
		" (p 1.0), accepted on 2026-01-02 03:01:00 UTC; to accept it: geomill plugin trust p"
	if diff := cmp.Diff(text, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestABetterWayToBeAcceptedStays(t *testing.T) {
	t.Parallel()
	s := begin(t)
	s.pin("a")
	s.offer(Any, "a")
	s.offer(TOFU, "a")
	want := []Pin{{Hash: hashOf("a"), Name: "p", Version: "a", Accepted: at(1), How: Operator}}
	if diff := cmp.Diff(want, s.lock.Pins("p")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A content that the operator took back while it was being admitted is
	// not accepted again by that.
	pin := s.lock.Pins("p")[0]
	s.forget("")
	if err := s.lock.Record("p", pin); err != nil || len(s.lock.Pins("p")) != 0 {
		t.Errorf("%v, %v", s.lock.Pins("p"), err)
	}
}

func TestWhatNobodyPinnedIsBounded(t *testing.T) {
	t.Parallel()
	s := begin(t)
	s.pin("precious")
	for i := range maxSeen + 5 {
		s.offer(Any, strings.Repeat("x", i+1))
	}
	pins := s.lock.Pins("p")
	if len(pins) != maxSeen+1 || pins[0].How != Operator || pins[maxSeen].Version != strings.Repeat("x", maxSeen+5) {
		t.Errorf("%d pins: %+v", len(pins), pins)
	}
}

func TestLockFileIsForItsUserAloneAndNeedNotChange(t *testing.T) {
	t.Parallel()
	s := begin(t)
	s.offer(TOFU, "a")
	fi, err := os.Stat(s.lock.path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", fi.Mode(), err)
	}
	s.offer(TOFU, "a")
	if now, err := os.Stat(s.lock.path); err != nil || !os.SameFile(fi, now) {
		t.Errorf("written without need: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(s.lock.path)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.Chmod(s.lock.path, 0o660); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.lock.path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("writable by the group: %v", err)
	}
}

func TestALockFileThatCannotBeWrittenAcceptsNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := &Lock{path: filepath.Join(dir, "plugins.lock"), pins: map[string][]Pin{}}
	if _, err := l.Pin("p", hashOf("a"), at(1)); err == nil {
		t.Error("pinned")
	}
	if pins := l.Pins("p"); len(pins) != 0 {
		t.Errorf("%v", pins)
	}
}

func TestBrokenLockFileIsNoEmptyOne(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "{", "[]", "null", `{"format":2,"plugins":{}}`,
		`{"format":1,"plugins":{"p":[{"sha256":"abc","how":"operator"}]}}`,
		`{"format":1,"plugins":{"p":[{"sha256":"` + strings.ToUpper(hashOf("a")) + `","how":"operator"}]}}`,
		`{"format":1,"plugins":{"p":[{"sha256":"` + hashOf("a") + `","how":"hearsay"}]}}`,
		`{"format":1,"plugins":{"../p":[]}}`,
	} {
		path := filepath.Join(t.TempDir(), "plugins.lock")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPinsOfTheOperatorAreChecked(t *testing.T) {
	t.Parallel()
	l, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"", hashOf("a")}, {"a/b", hashOf("a")}, {"..", hashOf("a")}, {"p", "abc"}, {"p", ""}} {
		if _, err := l.Pin(c[0], c[1], at(1)); err == nil {
			t.Errorf("%q, %q: accepted", c[0], c[1])
		}
	}
}

func FuzzLockFile(f *testing.F) {
	f.Add([]byte(`{"format":1,"plugins":{"p":[{"sha256":"` + hashOf("a") + `","accepted":"2026-01-02T03:04:05Z","how":"seen"}]}}`))
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		pins, err := parse(text)
		if err != nil {
			return
		}
		for plugin, list := range pins {
			for _, p := range list {
				if checkName(plugin) != nil || checkHash(p.Hash) != nil || p.How.rank() == 0 {
					t.Errorf("%q: %+v", plugin, p)
				}
			}
		}
	})
}

func TestCommandsArePastedSafely(t *testing.T) {
	t.Parallel()
	for plugin, want := range map[string]string{
		"buffer-1.0": "geomill plugin trust buffer-1.0", "a b": "geomill plugin trust 'a b'", "x;id": "geomill plugin trust 'x;id'",
		"it's": `geomill plugin trust 'it'\''s'`, "höhe": "geomill plugin trust 'höhe'",
	} {
		if got := Command(plugin); got != want {
			t.Errorf("%q: %s, want %s", plugin, got, want)
		}
	}
}
