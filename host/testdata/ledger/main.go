// Command ledger is a plugin whose processes write down each of their starts and
// ends, in the file that the variable LEDGER names: tests read there what really
// ran. The process once may not run again after a crash, again may.
package main

import (
	"fmt"
	"os"
	"time"

	"geomill/sdk"
)

type inputs struct {
	Name         string `json:"name"`
	Milliseconds int    `json:"milliseconds" jsonschema:"minimum=0"`
	Ballast      string `json:"ballast,omitempty"`
}

type outputs struct {
	Name string `json:"name"`
}

func main() {
	process := func(id string, p sdk.Policy) sdk.Process {
		return sdk.New(sdk.Info{ID: id, Title: id, Version: "1.0.0", Policy: p}, run)
	}
	sdk.Serve(sdk.Plugin{Name: "ledger", Version: "1.0.0"},
		process("once", sdk.Policy{}), process("again", sdk.Policy{RetryAttempts: 100}))
}

func run(job *sdk.Job, in inputs) (outputs, error) {
	if err := note(job, "start"); err != nil {
		return outputs{}, err
	}
	select {
	case <-time.After(time.Duration(in.Milliseconds) * time.Millisecond):
	case <-job.Done():
		return outputs{}, job.Err()
	}
	if err := note(job, "end"); err != nil {
		return outputs{}, err
	}
	return outputs{Name: in.Name}, nil
}

// note adds a line in one write, so that those of several jobs do not mix.
func note(job *sdk.Job, event string) error {
	f, err := os.OpenFile(os.Getenv("LEDGER"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, job.ID(), event); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return f.Close()
}
