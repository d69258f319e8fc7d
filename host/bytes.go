package host

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bytes is a number of bytes: written as a number, or with a unit behind it, as
// in 512MiB or 2 GB.
type Bytes int64

// byteUnits are the units of Bytes, by their names in lower case.
var byteUnits = []struct {
	name string
	size int64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"b", 1},
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, size := strings.ToLower(strings.TrimSpace(string(text))), int64(1)
	for _, u := range byteUnits {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, size = strings.TrimSpace(n), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err == nil && (n*size)/size != n {
		err = errors.New("too large")
	}
	if err != nil {
		return fmt.Errorf("%q is not a number of bytes, such as 1000000, 512MiB or 2GB", text)
	}
	*b = Bytes(n * size)
	return nil
}
