package plugin

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"geomill/sdk/wire"
)

// infoBytes is the longest text about itself, in bytes, that a plugin may give.
const infoBytes = 128

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// named fails when what a plugin says of itself could not be shown or logged in a
// line, or is no name.
func named(i wire.Info) error {
	switch {
	case i.Name == "":
		return errors.New("has no name in its info")
	case len(i.Name) > infoBytes || !namePattern.MatchString(i.Name):
		return fmt.Errorf("gives itself the name %.64q: lower-case letters, digits and . _ - only, %d at most", i.Name, infoBytes)
	}
	for _, one := range []struct{ what, text string }{{"version", i.Version}, {"SDK", i.SDK}, {"instance id", i.InstanceID}} {
		if len(one.text) > infoBytes || strings.ContainsFunc(one.text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Errorf("gives the %s %.64q: printed ASCII characters only, %d at most", one.what, one.text, infoBytes)
		}
	}
	return nil
}
