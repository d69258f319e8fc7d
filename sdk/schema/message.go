package schema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// maxQuoted limits what of a schema or a value is repeated in a message, in
// bytes.
const maxQuoted = 200

// message says what is wrong with a value, to be read after its name.
func message(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return wrongType(k)
	case *kind.Enum:
		if len(k.Want) == 1 {
			return "must be " + text(k.Want[0])
		}
		return "must be one of " + list(k.Want)
	case *kind.Const:
		return "must be " + text(k.Want)
	case *kind.Format:
		return "must be " + format(k.Want)
	case *kind.Pattern:
		return "must match the pattern " + quote(k.Want)
	case *kind.ContentEncoding:
		return "must be encoded as " + quote(k.Want)
	case *kind.ContentMediaType:
		return "must hold " + quote(k.Want)
	case *kind.FalseSchema:
		return "is not allowed"
	case *kind.Not:
		return "has a form that is not allowed"
	case *kind.RefCycle:
		return "cannot be checked: its schema refers to itself without end"
	case *kind.InvalidJsonValue:
		return "is not a JSON value"
	}
	if m := wrongNumber(k); m != "" {
		return m
	}
	if m := wrongCount(k); m != "" {
		return m
	}
	return "does not match its schema"
}

func wrongNumber(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Minimum:
		return "must be at least " + decimal(k.Want)
	case *kind.Maximum:
		return "must be at most " + decimal(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be greater than " + decimal(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + decimal(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + decimal(k.Want)
	}
	return ""
}

func wrongCount(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.MinLength:
		if k.Got == 0 {
			return "must not be empty"
		}
		return fmt.Sprintf("must have at least %s, not %d", count(k.Want, "character"), k.Got)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %s, not %d", count(k.Want, "character"), k.Got)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %s, not %d", count(k.Want, "item"), k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %s, not %d", count(k.Want, "item"), k.Got)
	case *kind.AdditionalItems:
		return fmt.Sprintf("has %s too many", count(k.Count, "item"))
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %s, not %d", count(k.Want, "member"), k.Got)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %s, not %d", count(k.Want, "member"), k.Got)
	case *kind.UniqueItems:
		return fmt.Sprintf("must not repeat an item: /%d and /%d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "has no item of the form that it must contain"
	case *kind.MinContains:
		return fmt.Sprintf("must have at least %s of the form that it must contain, not %d", count(k.Want, "item"), len(k.Got))
	case *kind.MaxContains:
		return fmt.Sprintf("must have at most %s of the form that it may contain, not %d", count(k.Want, "item"), len(k.Got))
	}
	return ""
}

func wrongType(k *kind.Type) string {
	want := slices.Clone(k.Want)
	slices.Sort(want)
	want = slices.Compact(want)
	got := article(k.Got)
	if k.Got == "number" && slices.Contains(want, "integer") {
		got = "a number with a fraction"
	}
	for i, name := range want {
		want[i] = article(name)
	}
	return "must be " + strings.Join(want, " or ") + ", not " + got
}

func article(name string) string {
	switch name {
	case "null":
		return name
	case "array", "object", "integer":
		return "an " + name
	}
	return "a " + name
}

// format describes a format by an example where the name alone does not help.
func format(name string) string {
	switch name {
	case "date-time":
		return "a date and time such as 2026-01-31T12:00:00Z"
	case "date":
		return "a date such as 2026-01-31"
	case "time":
		return "a time with its offset such as 12:00:00Z"
	case "duration":
		return "a duration such as P1DT12H"
	case "uri", "iri":
		return "an absolute URI such as https://example.com/a"
	case "uuid":
		return "a UUID such as 123e4567-e89b-12d3-a456-426614174000"
	case "email":
		return "an email address"
	}
	return "in the format " + quote(name)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func decimal(r *big.Rat) string {
	if r.IsInt() {
		return clip(r.Num().String())
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func list(values []any) string {
	var b strings.Builder
	for i, v := range values {
		if b.Len() > maxQuoted {
			b.WriteString(", ...")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(text(v))
	}
	return b.String()
}

// text writes a value of a schema as JSON.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "a certain value"
	}
	return clip(string(b))
}

func quote(s string) string { return `"` + clip(s) + `"` }

func clip(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "..."
}
