// Command hello-world is the plugin with the process of the same name: a
// greeting, the smallest process that shows all there is to see.
package main

import (
	"strings"

	"geomill/sdk"
)

func main() {
	sdk.Serve(sdk.Plugin{Name: "hello-world", Version: "1.0.0"}, helloWorld())
}

// Inputs of the process.
type Inputs struct {
	Name    string `json:"name" jsonschema:"title=Name,description=Who is greeted.,example=Ada"`
	Message string `json:"message,omitempty" jsonschema:"title=Message,description=What else there is to say."`
}

// Outputs of the process.
type Outputs struct {
	Echo Echo `json:"echo" jsonschema:"title=Greeting,description=The greeting together with the id of this output."`
}

// Echo is the greeting in the form that clients of pygeoapi know.
type Echo struct {
	ID    string `json:"id"`
	Value string `json:"value"`
}

func helloWorld() sdk.Process {
	return sdk.New(sdk.Info{
		ID:           "hello-world",
		Title:        "Hello, world",
		Description:  "Greets somebody by name and adds a message, if there is one.",
		Keywords:     []string{"hello world", "greeting", "example"},
		Translations: map[string]sdk.Translation{"de": german},
		Policy:       sdk.Policy{RetryAttempts: 3},
	}, greet)
}

var german = sdk.Translation{
	Title:       "Hallo, Welt",
	Description: "Grüßt jemanden mit Namen und fügt eine Nachricht an, wenn es eine gibt.",
	Keywords:    []string{"Hallo Welt", "Gruß", "Beispiel"},
	Inputs: map[string]sdk.Translation{
		"name":    {Title: "Name", Description: "Wer gegrüßt wird."},
		"message": {Title: "Nachricht", Description: "Was sonst zu sagen ist."},
	},
	Outputs: map[string]sdk.Translation{
		"echo": {Title: "Gruß", Description: "Der Gruß mit dem Bezeichner dieser Ausgabe."},
	},
}

func greet(_ *sdk.Job, in Inputs) (Outputs, error) {
	greeting := strings.TrimSpace("Hello " + in.Name + "! " + in.Message)
	return Outputs{Echo{ID: "echo", Value: greeting}}, nil
}
