// Command talkative is a plugin that logs and prints what it is told to.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"geomill/sdk"
)

type inputs struct {
	Say   string `json:"say" jsonschema:"minLength=1"`
	Flood int    `json:"flood,omitempty" jsonschema:"minimum=0"` // lines of each kind
	Hold  bool   `json:"hold,omitempty"`                         // until the job is stopped
}

type outputs struct {
	Said string `json:"said"`
}

func main() {
	var all []sdk.Process
	for id, policy := range map[string]sdk.Policy{
		"talk":         {},
		"talk-alone":   {Isolation: sdk.Exclusive, MaxConcurrency: 1, RetryAttempts: 1},
		"talk-per-job": {Isolation: sdk.PerJob},
	} {
		all = append(all, sdk.New(sdk.Info{ID: id, Title: "Talk", Version: "1.0.0", Policy: policy}, talk))
	}
	sdk.Serve(sdk.Plugin{Name: "talkative", Version: "1.0.0"}, all...)
}

func talk(job *sdk.Job, in inputs) (outputs, error) {
	job.Log().Debug("debug " + in.Say)
	job.Log().Info("info "+in.Say, "attempt", job.Attempt())
	fmt.Fprintln(os.Stderr, "stderr "+in.Say)
	for n := range in.Flood {
		job.Log().Info("flood", "n", n, "padding", strings.Repeat("x", 100))
		fmt.Fprintln(os.Stderr, "flood", n)
	}
	job.Progress(20, "said %s", in.Say)
	if in.Hold {
		pause := time.NewTimer(2100 * time.Millisecond) // enough for an estimate
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-job.Done():
		}
		job.Progress(40, "held %s", in.Say)
		<-job.Done()
		return outputs{}, job.Err()
	}
	job.Log().Error("error " + in.Say)
	fmt.Print("stdout " + in.Say)
	return outputs{in.Say}, nil
}
