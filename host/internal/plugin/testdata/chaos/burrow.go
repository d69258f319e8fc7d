package main

import (
	"os"

	"geomill/sdk/wire"
)

// burrowed is how deep a burrow is.
const burrowed = 3000

// burrow makes directories in its home, each in the one before.
func burrow() (wire.Values, error) {
	at, err := os.OpenRoot(os.Getenv("HOME"))
	for range burrowed {
		if err != nil {
			return nil, err
		}
		if err = at.Mkdir("d", 0o700); err != nil {
			return nil, err
		}
		above := at
		at, err = above.OpenRoot("d")
		above.Close()
	}
	if err != nil {
		return nil, err
	}
	return out("dug")
}
