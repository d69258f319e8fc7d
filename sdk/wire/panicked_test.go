package wire

import (
	"runtime/debug"
	"strings"
	"testing"
)

// crash panics two calls below its caller, as a process may in the middle of its work.
func crash(m map[string]int) { m["x"] = 1 }

func TestAStackBeginsWhereThePanicWas(t *testing.T) {
	t.Parallel()
	var got string
	func() {
		defer func() {
			_ = recover()
			got = fromPanic(string(debug.Stack()))
		}()
		crash(nil)
	}()
	lines := strings.Split(got, "\n")
	if len(lines) < 3 || !strings.HasPrefix(lines[0], "goroutine ") || !strings.HasPrefix(lines[1], "geomill/sdk/wire.") ||
		!strings.Contains(lines[2], "panicked_test.go:") || strings.Contains(got, "debug.Stack") {
		t.Errorf("the stack is\n%s", got)
	}
	for _, other := range []string{"", "goroutine 1 [running]:", "a\npanic(1)", "a\npanic(1)\n\tplace"} {
		if got := fromPanic(other); got != other {
			t.Errorf("fromPanic(%q) = %q", other, got)
		}
	}
}
