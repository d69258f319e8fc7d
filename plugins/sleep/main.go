// Command sleep is the plugin with a process that takes as long as it is told:
// for trying out progress, dismissal and failure.
package main

import (
	"errors"
	"time"

	"geomill/sdk"
)

func main() {
	sdk.Serve(sdk.Plugin{Name: "sleep", Version: "1.0.0"}, sleep())
}

// Inputs of the process.
type Inputs struct {
	Seconds float64 `json:"seconds" jsonschema:"title=Seconds,description=How long to sleep.,minimum=0,maximum=86400,example=0.1"`
	Steps   int     `json:"steps,omitempty" jsonschema:"title=Steps,description=How often to report progress.,minimum=1,maximum=10000,default=10"`
	Fail    string  `json:"fail,omitempty" jsonschema:"title=Failure,description=Fail with this message at the end."`
}

// Outputs of the process.
type Outputs struct {
	Slept float64 `json:"slept" jsonschema:"title=Seconds slept"`
}

func sleep() sdk.Process {
	return sdk.New(sdk.Info{
		ID:          "sleep",
		Title:       "Sleep",
		Description: "Sleeps for some seconds, reports progress at each step, and fails on demand.",
		Keywords:    []string{"sleep", "progress", "test"},
	}, run)
}

func run(job *sdk.Job, in Inputs) (Outputs, error) {
	start := time.Now()
	steps := max(in.Steps, 1)
	total := time.Duration(in.Seconds * float64(time.Second))
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for step := 1; step <= steps; step++ {
		due := total / time.Duration(steps) * time.Duration(step)
		if step == steps {
			due = total
		}
		timer.Reset(time.Until(start.Add(due)))
		select {
		case <-timer.C:
		case <-job.Done():
			return Outputs{}, job.Err()
		}
		job.Progress(100*float64(step)/float64(steps), "step %d of %d", step, steps)
	}
	if in.Fail != "" {
		return Outputs{}, errors.New(in.Fail)
	}
	return Outputs{Slept: time.Since(start).Seconds()}, nil
}
