package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"geomill/sdk/ogc"
	"geomill/sdk/schema/decode"
	"geomill/sdk/schema/derive"
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
	properties, err := derive.Properties(reflect.TypeFor[T]())
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
func titled(p derive.Property) (json.RawMessage, error) {
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

// configure hands settings over, with their defaults, and returns what is wrong
// with them as far as Go's types tell; a host has checked them by their schema.
func (h *Handler) configure(settings json.RawMessage) []ogc.Fault {
	if len(settings) == 0 {
		settings = json.RawMessage(`{}`)
	}
	v, err := decode.JSON(settings)
	if err != nil {
		return []ogc.Fault{{Message: err.Error()}}
	}
	var declared shape
	if err := json.Unmarshal(h.info.SettingsSchema, &declared); err != nil {
		return []ogc.Fault{{Message: "cannot be filled in: " + err.Error()}}
	}
	if faults := declared.fill("", v); len(faults) > 0 {
		return faults
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

// shape is what the derived schema of a value says of its members.
type shape struct {
	Default    json.RawMessage  `json:"default"`
	Properties map[string]shape `json:"properties"`
	Required   []string         `json:"required"`
	Additional json.RawMessage  `json:"additionalProperties"`
	Items      *shape           `json:"items"`
}

// UnmarshalJSON takes the boolean schemas of what may be anything, too, and a list
// of schemas, of which nothing is filled in.
func (s *shape) UnmarshalJSON(text []byte) error {
	*s = shape{}
	if text[0] != '{' {
		return nil
	}
	type keywords shape
	return json.Unmarshal(text, (*keywords)(s))
}

// fill gives members that are missing their defaults, and returns those that are
// missing without one, or that there are not. at is the pointer to v.
func (s shape) fill(at string, v any) []ogc.Fault {
	var found []ogc.Fault
	switch v := v.(type) {
	case map[string]any:
		for name, member := range s.Properties {
			if _, given := v[name]; !given && member.Default != nil {
				v[name], _ = decode.JSON(member.Default) // derived, hence JSON
			}
		}
		for _, name := range s.Required {
			if _, given := v[name]; !given {
				found = append(found, ogc.Fault{Pointer: at + pointer(name), Message: "is required"})
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			member, known := s.Properties[name]
			if !known && string(s.Additional) == "false" {
				found = append(found, ogc.Fault{Pointer: at + pointer(name), Message: "is not a known member"})
			}
			if !known {
				_ = json.Unmarshal(s.Additional, &member) // derived, hence JSON, unless there is none
			}
			found = append(found, member.fill(at+pointer(name), v[name])...)
		}
	case []any:
		for i := range v {
			if s.Items != nil {
				found = append(found, s.Items.fill(fmt.Sprintf("%s/%d", at, i), v[i])...)
			}
		}
	}
	return found
}

// pointer is the JSON pointer to a member.
func pointer(name string) string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// settingFaults says where in the settings an error is.
func settingFaults(err error) []ogc.Fault {
	found := faults(err)
	if len(found) == 0 {
		return []ogc.Fault{{Message: err.Error()}}
	}
	for i, f := range found {
		found[i] = ogc.Fault{Pointer: pointer(f.Input) + f.Pointer, Message: f.Message}
	}
	return found
}

// invalidSettings is the problem of settings with faults.
func invalidSettings(faults []ogc.Fault) wire.Problem {
	p := invalidInputs(faults)
	p.Title = "the settings are not valid"
	return *p
}
