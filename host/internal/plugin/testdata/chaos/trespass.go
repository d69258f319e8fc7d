package main

import (
	"net"
	"os"

	"geomill/sdk/wire"
)

// trespass goes where its input "what" says, to its input "path", and fails with
// what it is told there.
func trespass(s wire.Start) (wire.Values, error) {
	path := string(s.Inputs.Get("path").Data)
	var err error
	switch string(s.Inputs.Get("what").Data) {
	case "write":
		err = os.WriteFile(path, []byte("was here"), 0o600)
	case "read":
		_, err = os.ReadFile(path)
	case "dial":
		var c net.Conn
		if c, err = net.Dial("tcp", path); err == nil {
			err = c.Close()
		}
	}
	if err != nil {
		return nil, err
	}
	return out("done")
}
