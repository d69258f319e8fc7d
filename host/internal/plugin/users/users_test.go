package users

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseRange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Range{"": {}, "200000-265535": {200000, 265535}, "1000-1000": {1000, 1000}} {
		if got, err := ParseRange(text); err != nil || got != want || got.String() != text {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"200000", "0-10", "999-2000", "3000-2000", "a-b", "1000-99999999999", "-", "-5-3000", "1000-4294967295"} {
		if got, err := ParseRange(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

func open(t *testing.T, path string, r Range) *Book {
	t.Helper()
	b, err := Open(path, r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func of(t *testing.T, b *Book, name string) int {
	t.Helper()
	uid, err := b.Of(name)
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

func TestPluginKeepsItsUserOverRestarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.json")
	b := open(t, path, Range{5000, 5009})
	first, second := of(t, b, "first"), of(t, b, "second")
	if first == second || first < 5000 || second > 5009 {
		t.Fatalf("users %d and %d", first, second)
	}
	b = open(t, path, Range{5000, 5009})
	if third := of(t, b, "third"); third == first || third == second {
		t.Errorf("the third has %d", third)
	}
	if of(t, b, "second") != second || of(t, b, "first") != first {
		t.Error("the users have changed")
	}
}

func TestUserOutsideOfTheRangeIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.json")
	of(t, open(t, path, Range{5000, 5009}), "plugin")
	if uid := of(t, open(t, path, Range{7000, 7001}), "plugin"); uid != 7000 {
		t.Errorf("user %d", uid)
	}
	if uid := of(t, open(t, path, Range{}), "plugin"); uid != 0 {
		t.Errorf("without a range: user %d", uid)
	}
}

func TestEveryPluginHasAUserOfItsOwnUntilNoneIsLeft(t *testing.T) {
	t.Parallel()
	b := open(t, "", Range{5000, 5019})
	seen := map[int]bool{}
	for n := range 20 {
		seen[of(t, b, fmt.Sprint(n))] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d users for 20 plugins", len(seen))
	}
	if _, err := b.Of("one more"); err == nil || !strings.Contains(err.Error(), "5000-5019") {
		t.Errorf("one more: %v", err)
	}
}

func TestBookThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{", `{"format":2}`, `{"format":1,"users":{"a":5000,"b":5000}}`} {
		path := filepath.Join(t.TempDir(), "users.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Range{5000, 5009}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestUserThatCannotBeRememberedIsNotGiven(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "file")
	b := open(t, filepath.Join(dir, "users.json"), Range{5000, 5009})
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if uid, err := b.Of("plugin"); err == nil {
		t.Errorf("user %d", uid)
	}
}
