package sdktest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"geomill/sdk"
	"geomill/sdk/sdktest"
	"geomill/sdk/wire"
)

type inputs struct {
	Name string `json:"name" jsonschema:"minLength=1"`
	Odd  bool   `json:"odd,omitempty"`
}

type outputs struct {
	Greeting string `json:"greeting" jsonschema:"pattern=^Hello"`
	Length   int    `json:"length"`
}

func greet() sdk.Process {
	return sdk.New(sdk.Info{ID: "greet"}, func(job *sdk.Job, in inputs) (outputs, error) {
		job.Progress(50, "half")
		job.Log().Info("greets", "name", in.Name)
		if in.Odd {
			return outputs{Greeting: "Goodbye"}, nil
		}
		return outputs{"Hello " + in.Name, len(in.Name)}, nil
	})
}

func TestRunReturnsWhatAHostWouldGet(t *testing.T) {
	t.Parallel()
	r := sdktest.Run(t, greet(), inputs{Name: "Ada"})
	var greeting string
	if r.Decode("greeting", &greeting); greeting != "Hello Ada" || len(r.Outputs) != 2 {
		t.Errorf("outputs %v", r.Outputs)
	}
	if len(r.Progress) != 1 || r.Progress[0] != (sdktest.Progress{Percent: 50, Message: "half"}) {
		t.Errorf("progress %v", r.Progress)
	}
	if len(r.Logs) != 1 || r.Logs[0].Level != slog.LevelInfo || string(r.Logs[0].Fields) != `{"name":"Ada"}` {
		t.Errorf("log %v", r.Logs)
	}
}

func TestRunChecksInputs(t *testing.T) {
	t.Parallel()
	var p *wire.Problem
	r := sdktest.Run(t, greet(), map[string]string{"name": "", "more": ""})
	if !errors.As(r.Err, &p) || p.Kind != wire.InvalidInput || len(p.Faults) != 2 {
		t.Errorf("error %v", r.Err)
	}
}

type settings struct {
	Greeting string     `json:"greeting,omitempty" jsonschema:"default=Hello"`
	Key      sdk.Secret `json:"key" jsonschema:"minLength=4"`
}

func TestRunMakesSettings(t *testing.T) {
	t.Parallel()
	var current sdk.Settings[settings]
	p := sdk.New(sdk.Info{ID: "greet"}, func(_ *sdk.Job, in inputs) (outputs, error) {
		s := current.Get()
		return outputs{s.Greeting + " " + in.Name, len(s.Key.Reveal())}, nil
	})
	r := sdktest.Run(t, p, inputs{Name: "Ada"}, sdktest.Settings(&current, map[string]any{"key": "sesame"}))
	var greeting string
	var length int
	r.Decode("greeting", &greeting)
	r.Decode("length", &length)
	if greeting != "Hello Ada" || length != 6 {
		t.Errorf("%s, %d", greeting, length)
	}
	var wrong *wire.Problem
	r = sdktest.Run(t, p, inputs{Name: "Ada"}, sdktest.Settings(&current, map[string]any{"greeting": 1}))
	if !errors.As(r.Err, &wrong) || len(wrong.Faults) != 2 || wrong.Faults[0].Pointer != "/greeting" || wrong.Faults[1].Pointer != "/key" {
		t.Errorf("%v", r.Err)
	}
	if wrong != nil && (!strings.Contains(wrong.Detail, "/greeting ") || !strings.Contains(wrong.Detail, "; /key is required")) {
		t.Errorf("not all faults are told: %s", wrong.Detail)
	}
}

func TestSettingsAreThoseThatAHostWouldMake(t *testing.T) {
	t.Parallel()
	run := func(settings sdk.Configurable) error {
		p := sdk.New(sdk.Info{ID: "greet"}, func(*sdk.Job, inputs) (outputs, error) { return outputs{Greeting: "Hello"}, nil })
		return sdktest.Run(t, p, inputs{Name: "Ada"}, sdktest.Settings(settings, struct{}{})).Err
	}
	if err := run(&sdk.Settings[struct {
		Area area `json:"area"`
	}]{}); err == nil || !strings.Contains(err.Error(), "/area is required") {
		t.Errorf("a required setting is missing: %v", err)
	}
	if err := run(&sdk.Settings[struct {
		Zoom zoom `json:"zoom"`
	}]{}); err != nil {
		t.Errorf("a required setting with a default: %v", err)
	}
	if err := run(&sdk.Settings[struct {
		Level level `json:"level"`
	}]{}); err == nil || !strings.Contains(err.Error(), "settings: /level: its default must be at least 1") {
		t.Errorf("a default that its schema refuses: %v", err)
	}
}

// Types that describe themselves.
type (
	area  int
	zoom  int
	level int
)

func (area) JSONSchema() json.RawMessage  { return json.RawMessage(`{"type":"integer"}`) }
func (zoom) JSONSchema() json.RawMessage  { return json.RawMessage(`{"type":"integer","default":3}`) }
func (level) JSONSchema() json.RawMessage { return json.RawMessage(`{"minimum":1,"default":0}`) }

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestRunFailsTheTestWhenAnOutputIsNotAsDescribed(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	sdktest.Run(r, greet(), inputs{Name: "Ada", Odd: true})
	if len(r.errors) != 1 || !strings.Contains(r.errors[0], `output greeting must match the pattern "^Hello"`) {
		t.Errorf("errors %q", r.errors)
	}
}

func ExampleRun() {
	_ = func(t *testing.T) { // in a test
		r := sdktest.Run(t, greet(), map[string]any{"name": "Ada"}, sdktest.Outputs("greeting"))
		var greeting string
		if r.Decode("greeting", &greeting); greeting != "Hello Ada" {
			t.Errorf("greeting %q", greeting)
		}
	}
}

func TestGoldenComparesAllOutputs(t *testing.T) {
	type all struct {
		Text  string   `json:"text"`
		Table sdk.File `json:"table" jsonschema:"contentMediaType=text/csv"`
		Image []byte   `json:"image" jsonschema:"contentMediaType=image/png"`
	}
	make := func(text string) sdk.Process {
		return sdk.New(sdk.Info{ID: "p"}, func(job *sdk.Job, _ struct{}) (out all, err error) {
			f, err := job.Create("table")
			if err != nil {
				return out, err
			}
			_, err = f.WriteString("a,b\n")
			return all{text, sdk.File{Path: f.Name()}, []byte{1, 2}}, errors.Join(err, f.Close())
		})
	}
	t.Setenv("GEOMILL_UPDATE", "")
	sdktest.Run(t, make("<1>"), nil).Golden("all")
	r := &recorder{TB: t}
	sdktest.Run(r, make("<2>"), nil).Golden("all")
	if want := "line 11:\n-  \"text\": \"<1>\"\n+  \"text\": \"<2>\""; len(r.errors) != 1 || !strings.Contains(r.errors[0], want) {
		t.Errorf("%q", r.errors)
	}
	t.Chdir(t.TempDir())
	t.Setenv("GEOMILL_UPDATE", "1")
	sdktest.Run(t, make("<3>"), nil).Golden("all")
	t.Setenv("GEOMILL_UPDATE", "")
	sdktest.Run(t, make("<3>"), nil).Golden("all")
}

func ExampleResult_Golden() {
	_ = func(t *testing.T) { // in a test
		sdktest.Run(t, greet(), map[string]any{"name": "Ada"}).Golden("ada") // testdata/ada.json
	}
}
