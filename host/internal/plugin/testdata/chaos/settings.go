package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"
)

// told is what the host has configured.
var told atomic.Pointer[settings]

type settings struct {
	text json.RawMessage
	Key  string `json:"key"`
	Mode string `json:"mode"`
}

// takesSettings tells by the name of the plugin.
func takesSettings(name string) bool { return strings.HasPrefix(name, "set") }

const settingsSchema = `{
	"type": "object", "required": ["key"], "additionalProperties": false,
	"properties": {
		"key": {"type": "string", "writeOnly": true, "minLength": 8},
		"mode": {"enum": ["plain", "refuse", "crash"], "default": "plain"},
		"zoom": {"type": "integer", "maximum": 20}
	}}`

// configure takes settings, and speaks of them as no plugin should.
func configure(text json.RawMessage) []wire.Problem {
	s := &settings{text: append(json.RawMessage(nil), text...)}
	json.Unmarshal(text, s)
	told.Store(s)
	fmt.Fprintln(os.Stderr, "configured with", s.Key)
	switch s.Mode {
	case "refuse":
		return []wire.Problem{{Kind: wire.InvalidInput, Title: "no " + s.Key, Detail: s.Key,
			Faults: []ogc.Fault{{Pointer: "/key", Message: "does not open: " + s.Key}}}}
	case "crash":
		panic("cannot use " + s.Key)
	}
	return nil
}

// settingsProcesses mentions the secret in a description, if it is known by then.
func settingsProcesses() []wire.Process {
	list := []wire.Process{describe("told", wire.Policy{}), describe("tell", wire.Policy{Isolation: wire.Exclusive}),
		describe("tell-exit", wire.Policy{Isolation: wire.Exclusive}), describe("tell-break", wire.Policy{})}
	if s := told.Load(); s != nil {
		for i := range list {
			list[i].Description.Title = s.Key
		}
	}
	return list
}

// tell gives the secret away in every way there is.
func tell(process string, ev wire.Events) (wire.Values, error) {
	key := told.Load().Key
	ev.Progress(10, "using "+key)
	fields, _ := json.Marshal(map[string]string{"key": key})
	ev.Log(4, "login with "+key, fields)
	say(key)
	switch process {
	case "tell-exit":
		syscall.Write(2, []byte("panic: refused "+key+"\nat line 3\n"))
		os.Exit(2)
	case "tell-break":
		return wire.ValuesOf(map[string]wire.Value{key: {JSON: json.RawMessage(`1`)}, "out": {File: "/" + key}}), nil
	}
	return nil, &wire.Problem{Kind: wire.InvalidInput, Title: "no " + key, Detail: "login failed: " + key,
		Faults: []ogc.Fault{{Input: "x", Message: "does not go with " + key}}}
}
