package manifest

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// explain says where a manifest is not what it must be, and what to do.
func explain(err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return fmt.Errorf("the manifest cannot be read: %w", err)
	}
	position := at.GetToken().Position
	return fmt.Errorf("line %d, column %d: %s", position.Line, position.Column, complaint(at))
}

var quoted = regexp.MustCompile(`"([^"]*)"`)

func complaint(err yaml.Error) string {
	var (
		unknown *yaml.UnknownFieldError
		twice   *yaml.DuplicateKeyError
		kind    *yaml.TypeError
		node    *yaml.UnexpectedNodeTypeError
		large   *yaml.OverflowError
	)
	named := ""
	if found := quoted.FindStringSubmatch(err.GetMessage()); found != nil {
		named = found[1]
	}
	switch {
	case errors.As(err, &unknown):
		if like := nearest(named); like != "" {
			return fmt.Sprintf("there is no key %q here: did you mean %s?", named, like)
		}
		return fmt.Sprintf("there is no key %q here: remove it, or indent it to where it belongs", named)
	case errors.As(err, &twice), strings.Contains(err.GetMessage(), "already defined"):
		return fmt.Sprintf("the key %q is there twice: rename or remove one of the two", named)
	case errors.As(err, &large):
		return fmt.Sprintf("%s is too large a number: write a smaller one", err.GetToken().Value)
	case errors.As(err, &kind):
		return misplaced(err.GetToken().Value, called(kind.DstType))
	case errors.As(err, &node):
		return fmt.Sprintf("%s stands where %s belongs: write one", nodes[node.Actual], nodes[node.Expected])
	case strings.Contains(err.GetMessage(), `character '\t'`), strings.Contains(err.GetMessage(), "character '	'"):
		return "a tab is no indentation in YAML: use spaces"
	}
	return fmt.Sprintf("this is not YAML (%s): look at the indentation, quotes and brackets there", err.GetMessage())
}

// misplaced says that a value is not of its kind.
func misplaced(value, belongs string) string {
	switch value = strings.TrimSpace(value); value {
	case "[", "-":
		value = nodes[ast.SequenceType]
	case "{", ":":
		value = nodes[ast.MappingType]
	default:
		value = strconv.Quote(value)
	}
	return fmt.Sprintf("%s stands where %s belongs: write one", value, belongs)
}

// nodes is what people call the kinds of values in YAML.
var nodes = map[ast.NodeType]string{
	ast.SequenceType: "a list", ast.MappingType: "a mapping (key: value)", ast.MappingValueType: "a mapping (key: value)",
	ast.StringType: "a text", ast.LiteralType: "a text", ast.IntegerType: "a number", ast.FloatType: "a number",
	ast.BoolType: "true or false", ast.NullType: "nothing",
}

// called is what people call a value of a type.
func called(t reflect.Type) string {
	if t == nil {
		return "another value"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return called(t.Elem())
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping (key: value)"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	}
	return "a text"
}

// nearest returns the key of a manifest that a word is most likely meant to be,
// or "".
func nearest(word string) string {
	best, least := "", 3 // mistakes
	for _, key := range keys() {
		if n := distance(strings.ToLower(word), strings.ToLower(key)); n < least && n < len(key)/2+1 {
			best, least = key, n
		}
	}
	return best
}

// keys lists the keys that a manifest can have anywhere.
func keys() []string {
	var all []string
	for _, t := range []reflect.Type{reflect.TypeFor[document](), reflect.TypeFor[process](), reflect.TypeFor[parameter](),
		reflect.TypeFor[output](), reflect.TypeFor[argument](), reflect.TypeFor[reason](), reflect.TypeFor[policy]()} {
		for i := range t.NumField() {
			if key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); key != "" {
				all = append(all, key)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// distance is how many letters have to be changed, added or taken away to make
// one word of another.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
