package host

import (
	"log/slog"
	"testing"

	"pgregory.net/rapid"
)

func TestTheDistanceOfTextsIsTheChangesBetweenThem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"raster", "raster", 0}, {"rastr", "raster", 1}, {"kitten", "sitting", 3}, {"müll", "mull", 1}, {"ab", "ba", 2},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q and %q: got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[abc]{0,6}`)
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		switch {
		case distance(a, b) != distance(b, a):
			t.Fatal("it depends on the order")
		case (distance(a, b) == 0) != (a == b):
			t.Fatal("it does not tell the same from another")
		case distance(a, c) > distance(a, b)+distance(b, c):
			t.Fatal("there is a shorter way")
		}
	})
}

func TestLevelsHaveTheNamesThatFiltersUse(t *testing.T) {
	t.Parallel()
	for l, want := range map[slog.Level]string{
		slog.LevelDebug - 4: "trace", slog.LevelDebug: "debug", slog.LevelInfo: "info", slog.LevelInfo + 1: "info", slog.LevelWarn: "warn", slog.LevelError: "error", slog.LevelError + 4: "error",
	} {
		if got := levelName(l); got != want {
			t.Errorf("%d: got %s, want %s", l, got, want)
		}
	}
}
