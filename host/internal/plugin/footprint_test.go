package plugin

import (
	"os"
	"testing"
)

func TestWhatAProcessTakesIsKnownWhileItLives(t *testing.T) {
	t.Parallel()
	if got := footprintOf(os.Getpid()); got.Memory < int64(os.Getpagesize()) {
		t.Errorf("of this process: %+v", got)
	}
	if got := footprintOf(1 << 30); got != (Footprint{}) {
		t.Errorf("of none: %+v", got)
	}
}
