package job

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"

	"geomill/sdk/ogc"
	"geomill/sdk/schema"
	"geomill/sdk/schema/decode"
)

const (
	// inlineMax is the largest input kept in memory and in the record;
	// larger ones become files of the job.
	inlineMax = 256 << 10
	// largeInput is the size from which inputs are checked one after
	// another, so that memory does not grow with the number of clients.
	largeInput = 1 << 20
	// maxValues is how many JSON values an input may have that has to be
	// decoded to be checked: each takes about a hundred bytes of memory.
	maxValues = 1_500_000
	// maxFaults is how many faults of one request are told one by one.
	maxFaults = 1000
)

// intake turns the inputs of one request into values, gathering every fault.
type intake struct {
	process *Process
	dir     string        // where inputs above inlineMax go
	turn    chan struct{} // held while a large input is in memory
	faults  []ogc.Fault
	more    int // faults beyond maxFaults

	fetching
	refs  []*pending // to be fetched; see resolve
	joins []join
}

// order makes the order of a request, but for inputs by reference.
func (in *intake) order(ctx context.Context, r Request) (Order, error) {
	values, err := in.check(ctx, r.Inputs)
	if err != nil {
		return Order{}, err
	}
	in.checkOutputs(r)
	subscriber := in.checkSubscriber(r.Subscriber)
	return Order{Inputs: values, Outputs: r.Outputs, Response: r.Response, Subscriber: subscriber, BaseURL: r.BaseURL}, nil
}

// invalid returns the faults as an *InvalidError, or nil if there are none.
func (in *intake) invalid() error {
	if in.more > 0 {
		in.faults = append(in.faults, ogc.Fault{Message: fmt.Sprintf("there are %d more faults", in.more)})
	}
	if len(in.faults) > 0 {
		return &InvalidError{Faults: in.faults}
	}
	return nil
}

// check reads every input against the process's description (spec 4.2, 4.3).
// Faults are gathered; the error is for what is not the client's doing.
func (in *intake) check(ctx context.Context, raw map[string]Raw) (map[string]Value, error) {
	values := make(map[string]Value, len(raw))
	known := 0
	for _, id := range in.process.order {
		r, given := raw[id]
		if given {
			known++
		}
		v, ok, err := in.input(ctx, id, r, given)
		if err != nil {
			return nil, err
		}
		if ok {
			values[id] = v
		}
	}
	if known == len(raw) {
		return values, nil
	}
	for _, id := range slices.Sorted(maps.Keys(raw)) {
		if _, ok := in.process.Inputs[id]; !ok {
			in.fault(id, "/inputs/"+escape(id), "is no input of the process, which has "+list(in.process.Inputs))
		}
	}
	return values, nil
}

func (in *intake) fault(id, pointer, message string) {
	if len(in.faults) == maxFaults {
		in.more++
		return
	}
	in.faults = append(in.faults, ogc.Fault{Input: id, Pointer: pointer, Message: message})
}

// input checks one input. ok is false when it has no value.
func (in *intake) input(ctx context.Context, id string, r Raw, given bool) (v Value, ok bool, err error) {
	check := in.process.inputs[id]
	if r.Len() > largeInput {
		select {
		case in.turn <- struct{}{}:
			defer func() { debug.FreeOSMemory(); <-in.turn }()
		case <-ctx.Done():
			return Value{}, false, context.Cause(ctx)
		}
		if v, ok, err := in.passOn(id, r, check); ok || err != nil {
			return v, ok, err
		}
	}
	text, err := r.Bytes()
	if err != nil {
		return Value{}, false, err
	}
	text = bytes.TrimSpace(text)
	if given && len(text) == 0 {
		in.fault(id, "/inputs/"+escape(id), "is empty")
		return Value{}, false, nil
	}
	if given && string(text) == "null" && len(check.schema.Validate(nil)) > 0 {
		given = false // an input that cannot be null is left out by null
	}
	if !given {
		if check.fallback != nil {
			v, err = in.spill(id, *check.fallback)
			return v, err == nil, err
		}
		if in.process.Inputs[id].Min() > 0 {
			in.fault(id, "/inputs/"+escape(id), "is required")
		}
		return Value{}, false, nil
	}
	before := len(in.faults) + in.more
	if in.process.isArray(id) {
		v = in.occurrences(id, text, check)
	} else {
		v = in.occurrence(id, "/inputs/"+escape(id), text, check)
	}
	if len(in.faults)+in.more > before {
		return Value{}, false, nil
	}
	v, err = in.spill(id, v)
	return v, err == nil, err
}

// isArray reports whether the input is given as an array of its occurrences.
func (p *Process) isArray(id string) bool { return p.Inputs[id].Max() != 1 }

// itemsOf returns the occurrences in a JSON text: the items of a list, or the one
// value that it is.
func itemsOf(text []byte) (items []json.RawMessage, isList bool, err error) {
	if text[0] != '[' {
		return []json.RawMessage{text}, false, nil
	}
	err = json.Unmarshal(text, &items) // into nothing: else it would be decoded into itself
	return items, true, err
}

// occurrences checks an input with maxOccurs above one. A single value stands
// for an array of itself.
func (in *intake) occurrences(id string, text []byte, check inputCheck) Value {
	d, pointer := in.process.Inputs[id], "/inputs/"+escape(id)
	items, isList, err := itemsOf(text)
	if err != nil {
		in.fault(id, pointer, "is not valid JSON")
		return Value{}
	}
	if len(items) < d.Min() || !d.Max().Allows(len(items)) {
		in.fault(id, pointer, fmt.Sprintf("has %d values; %d to %s are allowed", len(items), d.Min(), d.Max()))
		return Value{}
	}
	var b bytes.Buffer
	refs := len(in.refs)
	b.WriteByte('[')
	for i, item := range items {
		at := pointer
		if isList {
			at += "/" + strconv.Itoa(i)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		before := len(in.refs)
		v := in.occurrence(id, at, item, check)
		if len(in.refs) > before {
			in.refs[before].place = b.Len()
		}
		if v.Data != nil { // base64 was checked; in an array it stays a JSON string
			v.JSON, _ = json.Marshal(v.Data)
		}
		b.Write(v.JSON)
	}
	b.WriteByte(']')
	if len(in.refs) > refs {
		in.joins = append(in.joins, join{id: id, text: b.Bytes(), refs: in.refs[refs:len(in.refs):len(in.refs)]})
		return Value{}
	}
	return Value{JSON: b.Bytes()}
}

// occurrence checks one value: a literal, a qualified value, or a bare object
// that matches the schema as it stands. It has no value for a reference, which
// waits to be fetched.
func (in *intake) occurrence(id, pointer string, text []byte, check inputCheck) Value {
	var q qualifiedValue
	wrapped := false
	if text[0] == '{' {
		// Members of other types than these are the bare object's own.
		wrapped = json.Unmarshal(text, &q) == nil && q.Value != nil
	}
	if !wrapped && q.Href != nil && in.reference(id, pointer, text, q.Href, check) {
		return Value{}
	}
	if !wrapped {
		chosen, _ := check.choose(text, "")
		value, faults := chosen.fit(text)
		if len(faults) > 0 && in.notOffered(id, pointer, text) {
			return Value{}
		}
		in.addFaults(id, pointer, faults)
		return in.value(id, pointer, value, "", chosen, len(faults) == 0)
	}
	return in.qualified(id, pointer, text, q, check)
}

func (in *intake) addFaults(id, pointer string, faults []schema.Fault) {
	for _, f := range faults {
		in.fault(id, pointer+f.Pointer, f.Message)
	}
}

// value makes a Value of checked JSON text, decoding base64 where the schema
// says so.
func (in *intake) value(id, pointer string, text []byte, media string, check inputCheck, valid bool) Value {
	if !valid || !check.binary {
		v := Value{JSON: text}
		if check.named && text[0] == '"' {
			v.MediaType = check.media
		}
		return v
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return Value{JSON: text} // a schema with other alternatives than a string
	}
	data, err := decodeBase64(s)
	if err != nil {
		in.fault(id, pointer, "is not base64")
		return Value{}
	}
	if media == "" {
		media = check.media
	}
	if media == "" {
		media = "application/octet-stream"
	}
	return Value{Data: data, MediaType: media}
}

func decodeBase64(s string) ([]byte, error) { return base64.StdEncoding.Strict().DecodeString(s) }

// validate checks text, which is valid JSON, against the schema. Where that
// asks for a type and no more, the first byte tells.
func (c inputCheck) validate(text []byte) []schema.Fault {
	if text[0] != '-' && (text[0] < '0' || text[0] > '9') && c.schema.AcceptsAny(text[0]) {
		return nil // numbers are looked at: some are too large for any reader
	}
	if len(text) > largeInput && tooMany(text, maxValues) {
		return []schema.Fault{{Message: fmt.Sprintf("has more than %d JSON values, which is too much to be checked", maxValues)}}
	}
	v, err := decode.JSON(text)
	if err != nil {
		return []schema.Fault{{Message: err.Error()}}
	}
	return c.schema.Validate(v)
}

// tooMany reports whether text, which is valid JSON, has more than limit values.
func tooMany(text []byte, limit int) bool {
	values := 1
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case ',', '[', '{':
			if values++; values > limit {
				return true
			}
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
	}
	return values > limit
}

// passOn takes over a large spooled input whose schema asks for a type and no
// more: its first byte decides, and it is copied without being decoded.
func (in *intake) passOn(id string, r Raw, check inputCheck) (Value, bool, error) {
	if r.Text != nil || in.process.isArray(id) {
		return Value{}, false, nil
	}
	if check.binary {
		return in.passBase64(id, r, check)
	}
	var first [1]byte
	if _, err := r.Section.ReadAt(first[:], 0); err != nil {
		return Value{}, false, fmt.Errorf("read spooled input: %w", err)
	}
	if first[0] == '{' || !check.schema.AcceptsAny(first[0]) {
		return Value{}, false, nil // an object may be a qualified value
	}
	name, err := in.file(id, io.NewSectionReader(r.Section, 0, r.Section.Size()))
	return Value{File: name, Size: r.Section.Size()}, err == nil, err
}

// spill moves a value above inlineMax into a file.
func (in *intake) spill(id string, v Value) (Value, error) {
	if v.Len() <= inlineMax {
		return v, nil
	}
	content := v.Data
	if content == nil {
		content = v.JSON
		if v.MediaType != "" { // a file of a media type holds the text itself
			content = unquoted(content)
		}
	}
	name, err := in.file(id, bytes.NewReader(content))
	return Value{File: name, Size: int64(len(content)), MediaType: v.MediaType}, err
}

func (in *intake) file(id string, from io.Reader) (name string, err error) {
	if err := os.MkdirAll(in.dir, 0o700); err != nil {
		return "", fmt.Errorf("make input directory: %w", err)
	}
	name = filepath.Join(in.dir, id) // idPattern keeps ids fit for a file name
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("create input file: %w", err)
	}
	_, err = io.Copy(f, from)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return "", fmt.Errorf("write input file: %w", err)
	}
	return name, nil
}
