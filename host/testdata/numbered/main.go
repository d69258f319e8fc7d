// Command numbered is a plugin with one process, whose id is set when it is
// linked, or by the variable NUMBERED: the start of the host is measured with
// many of them.
package main

import (
	"cmp"
	"os"

	"geomill/sdk"
)

var id = "numbered"

type inputs struct {
	Name string `json:"name"`
}

type outputs struct {
	Name string `json:"name"`
}

func main() {
	id = cmp.Or(os.Getenv("NUMBERED"), id)
	sdk.Serve(sdk.Plugin{Name: id, Version: "1.0.0"},
		sdk.New(sdk.Info{ID: id, Title: "Numbered", Version: "1.0.0"}, func(_ *sdk.Job, in inputs) (outputs, error) {
			return outputs(in), nil
		}))
}
