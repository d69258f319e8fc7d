package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"

	"geomill/sdk/ogc"
	"geomill/sdk/schema"
	"geomill/sdk/wire"
)

// Settings are what the operator of a host sets for a plugin. T is a struct,
// each field a setting; the rules for types and tags are those of New. A field of
// type Secret is one whose value the operator gives by reference. The host
// checks settings against the types and fills in defaults. If T has a method
// Validate() error, it is called too: its Invalid and InvalidAt name the setting
// that is wrong.
//
// The zero Settings is ready for Plugin.Settings.
type Settings[T any] struct {
	current atomic.Pointer[T]
}

// Get returns the settings, which stay the same until the program ends. They are
// there before the first job; before that it returns the zero value.
func (s *Settings[T]) Get() T {
	if v := s.current.Load(); v != nil {
		return *v
	}
	return *new(T)
}

// Configurable is what Plugin.Settings holds: the address of a Settings.
type Configurable interface {
	// describe returns the schema of the settings.
	describe() (json.RawMessage, error)
	// configure takes settings that match the schema.
	configure(settings json.RawMessage) error
}

func (s *Settings[T]) describe() (json.RawMessage, error) {
	properties, err := schema.Derive(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	object := struct {
		Type       string                     `json:"type"`
		Properties map[string]json.RawMessage `json:"properties,omitempty"`
		Required   []string                   `json:"required,omitempty"`
		Additional bool                       `json:"additionalProperties"`
	}{Type: "object", Properties: make(map[string]json.RawMessage, len(properties))}
	for _, p := range properties {
		if object.Properties[p.Name], err = titled(p); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		if !p.Optional {
			object.Required = append(object.Required, p.Name)
		}
	}
	return json.Marshal(object)
}

// titled is the schema of a property with its title and description.
func titled(p schema.Property) (json.RawMessage, error) {
	if p.Title == "" && p.Description == "" {
		return p.Schema, nil
	}
	var keywords map[string]any
	if err := json.Unmarshal(p.Schema, &keywords); err != nil {
		return nil, err
	}
	if p.Title != "" {
		keywords["title"] = p.Title
	}
	if p.Description != "" {
		keywords["description"] = p.Description
	}
	return json.Marshal(keywords)
}

func (s *Settings[T]) configure(settings json.RawMessage) error {
	into := new(T)
	if err := json.Unmarshal(settings, into); err != nil {
		if message, ok := misfit(err); ok {
			return errors.New(message)
		}
		return err
	}
	if v, ok := any(into).(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	s.current.Store(into)
	return nil
}

// configure checks settings, fills in their defaults and hands them over. It
// returns what is wrong with them.
func (h *Handler) configure(settings json.RawMessage) []ogc.Fault {
	if len(settings) == 0 {
		settings = json.RawMessage(`{}`)
	}
	v, err := schema.Decode(settings)
	if err != nil {
		return []ogc.Fault{{Message: err.Error()}}
	}
	compiled, err := schema.Compile(h.info.SettingsSchema)
	if err != nil {
		return []ogc.Fault{{Message: "cannot be checked: " + err.Error()}}
	}
	v = compiled.Fill(v)
	var found []ogc.Fault
	for _, f := range compiled.Validate(v) {
		found = append(found, ogc.Fault{Pointer: f.Pointer, Message: f.Message})
	}
	if len(found) > 0 {
		return found
	}
	text, err := json.Marshal(withPlainIntegers(v))
	if err == nil {
		err = h.settings.configure(text)
	}
	if err == nil {
		return nil
	}
	return settingFaults(err)
}

// settingFaults says where in the settings an error is.
func settingFaults(err error) []ogc.Fault {
	found := faults(err)
	if len(found) == 0 {
		return []ogc.Fault{{Message: err.Error()}}
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for i, f := range found {
		found[i] = ogc.Fault{Pointer: "/" + escape.Replace(f.Input) + f.Pointer, Message: f.Message}
	}
	return found
}

// invalidSettings is the problem of settings with faults.
func invalidSettings(faults []ogc.Fault) wire.Problem {
	p := invalidInputs(faults)
	p.Title = "the settings are not valid"
	return *p
}
