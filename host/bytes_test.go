package host

import (
	"strconv"
	"strings"
	"testing"
)

func TestBytesAreWrittenWithOrWithoutUnit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Bytes{
		"0": 0, "1000": 1000, "12B": 12, "512MiB": 512 << 20, " 2 GB ": 2e9, "1gib": 1 << 30, "3TiB": 3 << 40, "7kB": 7000, "1TB": 1e12, "5KiB": 5 << 10, "-1": -1,
	} {
		var got Bytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MiB", "1.5GiB", "1PB", "12 34", "0x10", "8388608TiB", "99999999999999999999", "1e9"} {
		var got Bytes
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "512MiB") {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func FuzzBytes(f *testing.F) {
	for _, seed := range []string{"1", "-9223372036854775808kib", "512MiB", "b", "1 tb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got, again Bytes
		if got.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(strconv.FormatInt(int64(got), 10))); err != nil || again != got {
			t.Errorf("%q is %d, and that %d, %v", text, got, again, err)
		}
		if negative := strings.HasPrefix(strings.TrimSpace(text), "-"); got != 0 && negative != (got < 0) {
			t.Errorf("%q is %d", text, got)
		}
	})
}
