package plugin

import (
	"os"
	"testing"
	"time"
)

func TestTheLineOfAProcessSaysWhatItTakes(t *testing.T) {
	t.Parallel()
	page := int64(os.Getpagesize())
	for line, want := range map[string]Footprint{
		"7 (a) b) (c) S 1 7 7 0 -1 4194560 10 0 0 0 250 50 0 0 20 0 9 0 1234 1000000 300 18446744073709551615 1": {Memory: 300 * page, CPU: 3 * time.Second},
		"7 (a) Z 1 7 7 0 -1 4194560 10 0 0 0 250 50 0 0 20 0 9 0 1234 1000000 300 1":                             {},
		"7 (a) S 1 7 7 0 -1 4194560 10 0 0 0 x 50 0 0 20 0 9 0 1234 1000000 300 1":                               {},
		"7 (a) S 1": {},
		"":          {},
	} {
		if got, ok := footprintIn([]byte(line)); got != want || ok != (want != Footprint{}) {
			t.Errorf("of %q: %+v, %v", line, got, ok)
		}
	}
	if got, ok := footprintOf(os.Getpid()); !ok || got.Memory < page {
		t.Errorf("of this process: %+v, %v", got, ok)
	}
	if _, ok := footprintOf(1 << 30); ok {
		t.Error("a process that cannot be has memory")
	}
}
