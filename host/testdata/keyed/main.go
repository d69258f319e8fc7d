// Command keyed is a plugin that has to be told a secret, and is careless with
// it: tests look for the places where it shows.
package main

import (
	"errors"
	"fmt"
	"os"

	"geomill/sdk"
)

type settings struct {
	Key      sdk.Secret `json:"key" jsonschema:"description=What the process needs,minLength=8"`
	Greeting string     `json:"greeting,omitempty" jsonschema:"default=Hello"`
}

// Validate refuses a key that was once in use.
func (s settings) Validate() error {
	if s.Key.Reveal() == "retired-sesame" {
		return sdk.Invalid("key", "is no longer in use: %s", s.Key.Reveal())
	}
	return nil
}

type inputs struct {
	How string `json:"how" jsonschema:"enum=well,enum=badly,enum=crash"`
}

type outputs struct {
	Length   int    `json:"length" jsonschema:"description=Of the key"`
	Greeting string `json:"greeting"`
}

func main() {
	var current sdk.Settings[settings]
	sdk.Serve(sdk.Plugin{Name: "keyed", Version: "1.0.0", Settings: &current},
		sdk.New(sdk.Info{ID: "keyed", Title: "Needs a key", Policy: sdk.Policy{Isolation: sdk.Exclusive}},
			func(job *sdk.Job, in inputs) (outputs, error) { return run(job, in, current.Get()) }))
}

func run(job *sdk.Job, in inputs, s settings) (outputs, error) {
	job.Log().Info("begins", "settings", s)
	out := outputs{len(s.Key.Reveal()), s.Greeting}
	if in.How == "well" {
		return out, nil
	}
	key := s.Key.Reveal()
	job.Log().Warn("logs "+key, "url", "https://catalogue.example/?key="+key)
	fmt.Println("prints", key)
	fmt.Fprintln(os.Stderr, "complains of", key)
	job.Progress(50, "half way with %s", key)
	if in.How == "crash" {
		panicInTheBackground("no use for " + key)
		<-job.Done()
	}
	return out, errors.New("login with " + key + " failed")
}

func panicInTheBackground(message string) {
	go func() { panic(message) }()
}
