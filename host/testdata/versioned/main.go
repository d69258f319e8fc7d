// Command versioned is a plugin that says which version of it ran: tests
// replace it while it serves.
package main

import (
	"time"

	"geomill/sdk"
)

var version = "0.0.0" // set when linked

type inputs struct {
	Milliseconds int `json:"milliseconds" jsonschema:"minimum=0"`
}

type outputs struct {
	Version string `json:"version"`
}

func main() {
	sdk.Serve(sdk.Plugin{Name: "versioned", Version: version},
		sdk.New(sdk.Info{ID: "versioned", Title: "Versioned", Version: version}, run))
}

func run(job *sdk.Job, in inputs) (outputs, error) {
	pause := time.NewTimer(time.Duration(in.Milliseconds) * time.Millisecond)
	defer pause.Stop()
	select {
	case <-pause.C:
		return outputs{version}, nil
	case <-job.Done():
		return outputs{}, job.Err()
	}
}
