package main

import (
	"os"

	"geomill/sdk/wire"
)

// peek reads the file that it is told to, writes to it, and says what came of
// both; "" is success.
func peek(s wire.Start) (wire.Values, error) {
	path := string(s.Inputs.Get("path").Data)
	_, reading := os.ReadFile(path)
	f, writing := os.OpenFile(path, os.O_WRONLY, 0)
	if writing == nil {
		writing = f.Close()
	}
	return out(map[string]any{"reading": text(reading), "writing": text(writing)})
}
