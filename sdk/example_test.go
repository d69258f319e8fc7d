package sdk_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"geomill/sdk"
	"geomill/sdk/ogc"
)

type GreetInputs struct {
	Name  string `json:"name" jsonschema:"title=Name,description=Who to greet,minLength=1"`
	Times int    `json:"times,omitempty" jsonschema:"minimum=1,maximum=10,default=1"`
}

type GreetOutputs struct {
	Greeting string `json:"greeting" jsonschema:"title=Greeting"`
}

// A whole plugin: a function, its types, and main.
func ExampleServe() {
	greet := func(job *sdk.Job, in GreetInputs) (GreetOutputs, error) {
		return GreetOutputs{"Hello " + in.Name}, nil
	}
	main := func() {
		sdk.Serve(sdk.Plugin{Name: "greeter", Version: "1.0.0"},
			sdk.New(sdk.Info{ID: "greet", Title: "Greet"}, greet))
	}
	_ = main
}

// What clients see of a process comes from its types.
func ExampleNew() {
	greet := sdk.New(sdk.Info{ID: "greet", Title: "Greet", Policy: sdk.Policy{Deterministic: true}},
		func(job *sdk.Job, in GreetInputs) (GreetOutputs, error) {
			return GreetOutputs{"Hello " + in.Name}, nil
		})
	h, err := sdk.NewHandler(sdk.Plugin{Name: "greeter", Version: "1.0.0"}, greet)
	if err != nil {
		fmt.Println(err)
		return
	}
	in := h.Processes()[0].Description.Inputs["name"]
	fmt.Println(in.Title, in.Description, string(in.Schema))
	// Output: Name Who to greet {"type":"string","minLength":1}
}

// A raw process has a description that the program makes, and passes values on
// without decoding them, however large they are.
func ExampleRaw() {
	anything := json.RawMessage(`{}`)
	same := sdk.Raw(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{ID: "same", Title: "The same again"},
		Inputs:         map[string]ogc.Input{"value": {Schema: anything}},
		Outputs:        map[string]ogc.Output{"value": {Schema: anything}, "type": {Schema: json.RawMessage(`{"type":"string"}`)}},
	}, func(job *sdk.Job, inputs map[string]sdk.Value) (map[string]sdk.Value, error) {
		kind, err := sdk.JSONValue(inputs["value"].MediaType())
		return map[string]sdk.Value{"value": inputs["value"], "type": kind}, err
	}).WithPolicy(sdk.Policy{RetryAttempts: 1})
	_ = same
}

// A job tells how far it is, logs, and ends when it is told to.
func ExampleJob() {
	count := func(job *sdk.Job, in GreetInputs) (GreetOutputs, error) {
		for i := range in.Times {
			select {
			case <-time.After(time.Second):
			case <-job.Done():
				return GreetOutputs{}, job.Err()
			}
			job.Progress(100*float64(i+1)/float64(in.Times), "greeted %d times", i+1)
			job.Log().Info("greeted", "name", in.Name, "job", job.ID(), "attempt", job.Attempt())
		}
		return GreetOutputs{"Hello " + in.Name}, nil
	}
	_ = count
}

// Large values, and those that are not JSON, are files.
func ExampleFile() {
	type inputs struct {
		Table sdk.File `json:"table" jsonschema:"title=Table,contentMediaType=text/csv"`
	}
	type outputs struct {
		Lines  int       `json:"lines"`
		Report *sdk.File `json:"report" jsonschema:"contentMediaType=text/csv"`
	}
	count := func(job *sdk.Job, in inputs) (out outputs, err error) {
		f, err := os.Open(in.Table.Path)
		if err != nil {
			return out, err
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			out.Lines++
		}
		if !job.Wants("report") {
			return out, nil
		}
		dir, err := job.Dir()
		if err != nil {
			return out, err
		}
		text := fmt.Sprintf("lines\n%d\n", out.Lines)
		out.Report = &sdk.File{Path: filepath.Join(dir, "report.csv")}
		return out, os.WriteFile(out.Report.Path, []byte(text), 0o600)
	}
	_ = count
}

// What the operator of the host sets, secrets among it, is there when a job runs.
func ExampleSettings() {
	type settings struct {
		Server string     `json:"server,omitempty" jsonschema:"description=Of the catalogue,format=uri,default=https://catalogue.example"`
		Key    sdk.Secret `json:"key" jsonschema:"description=For the catalogue,minLength=8"`
	}
	var current sdk.Settings[settings]
	greet := func(job *sdk.Job, in GreetInputs) (GreetOutputs, error) {
		s := current.Get()
		job.Log().Info("asks", "server", s.Server, "key", s.Key) // logs key=***
		return GreetOutputs{"Hello " + in.Name}, login(s.Server, s.Key.Reveal())
	}
	main := func() {
		sdk.Serve(sdk.Plugin{Name: "greeter", Version: "1.0.0", Settings: &current},
			sdk.New(sdk.Info{ID: "greet", Title: "Greet"}, greet))
	}
	_ = main
}

func login(server, key string) error { return nil }

// A secret is shown nowhere unless it is meant to be.
func ExampleSecret() {
	var s struct{ Key sdk.Secret }
	err := json.Unmarshal([]byte(`{"Key": "open sesame"}`), &s) // as the host sends it
	fmt.Println(err, s, s.Key.Reveal())
	// Output: <nil> {***} open sesame
}

// All wrong inputs are best reported at once.
func ExampleInvalid() {
	check := func(from, to int) (err error) {
		if from < 0 {
			err = errors.Join(err, sdk.Invalid("from", "is before the beginning"))
		}
		if to < from {
			err = errors.Join(err, sdk.Invalid("to", "is before from (%d)", from))
		}
		return err
	}
	fmt.Println(check(-1, -2))
	// Output:
	// from is before the beginning
	// to is before from (-1)
}

// An error that may pass lets the host run the job again.
func ExampleRetry() {
	fetch := func(job *sdk.Job, in GreetInputs) (GreetOutputs, error) {
		return GreetOutputs{}, sdk.Retry(errors.New("the catalogue does not answer"))
	}
	_, err := fetch(nil, GreetInputs{})
	fmt.Println(err)
	// Output: the catalogue does not answer
}

// Values of raw processes are made of Go values, bytes or files.
func ExampleValue() {
	v, err := sdk.JSONValue(map[string]int{"a": 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	var back map[string]int
	fmt.Println(v.MediaType(), v.Decode(&back), back)
	fmt.Println(sdk.BytesValue([]byte{1, 2}, "image/png").IsJSON())
	fmt.Println(sdk.FileValue(sdk.File{Path: "tmp/a.tif", MediaType: "image/tiff"}).MediaType())
	// Output:
	// application/json <nil> map[a:1]
	// false
	// image/tiff
}
