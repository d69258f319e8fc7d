package manifest

import (
	"errors"
	"fmt"
	"os"

	"geomill/sdk"
	"geomill/sdk/ogc"
	"geomill/sdk/wire"
)

// Serve does what a plugin of the manifest at path does, started by a host or by
// hand with arguments. It returns only the error that the manifest is wrong, and
// by hand that a host would not accept a process; a host is told on standard
// error, for its list of plugins.
func Serve(path string, args []string, accepts func(ogc.Process) error) error {
	hosted := wire.Started()
	m, err := Open(path)
	if err != nil && hosted {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(wire.ExitUnfit)
	}
	if err != nil {
		return err
	}
	for _, d := range m.descriptions {
		if !hosted {
			err = errors.Join(err, accepts(d))
		}
	}
	if err != nil {
		return err
	}
	os.Args = append([]string{m.Plugin.Name}, args...)
	sdk.Serve(m.Plugin, m.Processes...)
	return nil
}
