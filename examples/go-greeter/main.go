// Command go-greeter is a whole plugin: two types, a function and main.
package main

import "geomill/sdk"

type inputs struct {
	Name   string `json:"name" jsonschema:"title=Name,description=Who to greet,minLength=1"`
	Polite bool   `json:"polite,omitempty" jsonschema:"title=Polite"`
}

type outputs struct {
	Greeting string `json:"greeting" jsonschema:"title=Greeting"`
}

func main() {
	sdk.Serve(sdk.Plugin{Name: "go-greeter", Version: "1.0.0"}, sdk.New(sdk.Info{ID: "greet", Title: "Greet"}, greet))
}

func greet(_ *sdk.Job, in inputs) (outputs, error) {
	if in.Polite {
		return outputs{"Good day, " + in.Name + "."}, nil
	}
	return outputs{"Hi " + in.Name + "!"}, nil
}
