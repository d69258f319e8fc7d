package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	type inputs struct {
		Name  string `json:"name" jsonschema:"title=Name,minLength=1"`
		Times int    `json:"times" jsonschema:"minimum=1,default=2"`
		Fail  string `json:"fail,omitempty"`
	}
	type outputs struct {
		Text  string `json:"text" jsonschema:"maxLength=3"`
		Bytes []byte `json:"bytes"`
		File  File   `json:"file" jsonschema:"contentMediaType=text/plain"`
	}
	greet := func(id string) Process {
		return New(Info{ID: id, Title: "Greet"}, func(job *Job, in inputs) (outputs, error) {
			job.Progress(50, "half")
			job.Log().Warn("careful", "n", in.Times)
			if in.Fail != "" {
				return outputs{}, errors.New(in.Fail)
			}
			dir, err := job.Dir()
			if err != nil {
				return outputs{}, err
			}
			path := filepath.Join(dir, "a")
			return outputs{Text: strings.Repeat(in.Name, in.Times), Bytes: []byte{1}, File: File{Path: path}}, os.WriteFile(path, []byte("<text>"), 0o600)
		})
	}
	one, err := NewHandler(Plugin{Name: "one", Version: "1.0.0"}, greet("greet"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewHandler(Plugin{Name: "two", Version: "2.0.0"}, greet("b"), greet("a"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "inputs.json")
	if err := os.WriteFile(file, []byte(`{"name":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		handler  *Handler
		args, in string
		code     int
		out, err string // parts
	}{
		"no arguments":     {one, "", "", 2, "", "is a plugin for a Geomill host"},
		"help":             {one, "--help", "", 0, "[PROCESS] FILE", ""},
		"version":          {one, "version", "", 0, "one 1.0.0\n", ""},
		"unknown":          {one, "serve", "", 2, "", `unknown command "serve"`},
		"describe":         {two, "describe", "", 0, `"title": "Name"`, ""},
		"run":              {one, "run " + file, "", 0, `"text": "xx"`, "half"},
		"logs":             {one, "run " + file, "", 0, "", `careful fields="{\"n\":2}"`},
		"bytes":            {one, "run " + file, "", 0, `"encoding": "base64"`, ""},
		"text file":        {one, "run " + file, "", 0, `"value": "<text>"`, ""},
		"standard input":   {two, "run a -", `{"name":"y","times":1}`, 0, `"text": "y"`, ""},
		"which":            {two, "run -", `{}`, 2, "", "there are 2 processes"},
		"no such process":  {two, "run c -", `{}`, 2, "", `no process "c"`},
		"faults":           {one, "run -", `{"times":1,"more":1}`, 2, "", "input more is not an input of process greet\ninput name is required\n"},
		"types":            {one, "run -", `{"name":"y","times":"1"}`, 2, "", "input times does not fit: string is no int\n"},
		"not an object":    {one, "run -", `[]`, 2, "", "not a JSON object"},
		"no file":          {one, "run " + file + "x", "", 2, "", "no such file"},
		"too many":         {one, "run a b c", "", 2, "", "run takes"},
		"fails":            {one, "run -", `{"name":"y","fail":"as asked"}`, 1, "", "as asked\n"},
		"process and file": {one, "run greet " + file, "", 0, `"text": "xx"`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, stderr bytes.Buffer
			c := command{handler: tt.handler, in: strings.NewReader(tt.in), out: &out, err: &stderr}
			if code := c.run(context.Background(), strings.Fields(tt.args)); code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			if !strings.Contains(out.String(), tt.out) || !strings.Contains(stderr.String(), tt.err) {
				t.Errorf("output %s\nand %s\nwant parts %q and %q", &out, &stderr, tt.out, tt.err)
			}
			if tt.code == 0 && name != "help" && name != "version" && !json.Valid(out.Bytes()) {
				t.Errorf("output is not JSON: %s", &out)
			}
		})
	}
}
