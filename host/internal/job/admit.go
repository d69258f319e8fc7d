package job

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"geomill/sdk/schema"
)

// maxChecked is the largest text by reference that is decoded to be checked, in
// bytes.
const maxChecked = 128 << 20

// admit makes a checked value of what was fetched (spec 4.3).
func (in *intake) admit(ctx context.Context, p *pending) error {
	if e, ok := errors.AsType[*RemoteError](p.err); ok {
		in.log.Info("reference not fetched", "process", in.process.ID, "input", p.id, "host", p.host(), "error", p.err)
		before := len(in.faults)
		in.refuse(p, misfit{"/href", e.Detail})
		for i := range in.faults[before:] {
			in.faults[before+i].Type = TypeReference // which another time may be none
		}
		return nil
	}
	sent, ok := agree(p.declared, p.got.MediaType)
	if !ok {
		in.refuse(p, misfit{"/type", "is " + p.declared + ", but the server sent " + p.got.MediaType})
		return nil
	}
	f, media, ok := p.check.read(sent)
	if !ok {
		in.refuse(p, misfit{"/href", "leads to " + sent + ", for which this input has no use; it takes " + p.check.kinds()})
		return nil
	}
	switch f.form {
	case asBytes:
		in.admitBytes(p, f, media)
		return nil
	case asText:
		return in.admitText(ctx, p, f)
	}
	if p.content.File == "" {
		p.content = Value{JSON: bytes.TrimSpace(p.content.Data)}
	}
	return in.admitJSON(ctx, p)
}

// refuse has the faults of a reference told, unless the object with it is a
// value too.
func (in *intake) refuse(p *pending, wrong ...misfit) {
	if p.bare == nil {
		for _, w := range wrong {
			in.fault(p.id, p.pointer+w.at, w.message)
		}
		return
	}
	if p.content.File != "" {
		_ = os.Remove(p.content.File) // it goes with the job's directory at the latest
	}
	p.value = Value{JSON: p.bare}
}

// admitBytes takes bytes of a media type, as base64 by value is taken.
func (in *intake) admitBytes(p *pending, f format, media string) {
	if why := f.lengthFault((p.content.Len() + 2) / 3 * 4); why != "" {
		in.refuse(p, misfit{"/href", "leads to content that " + why})
		return
	}
	if media == "" || essence(media) == "application/json" {
		media = octets // the other would make it a JSON value
	}
	p.value = p.content
	p.value.MediaType = media
}

// admitText takes characters as the JSON string that they would be by value.
func (in *intake) admitText(ctx context.Context, p *pending, f format) error {
	from, err := p.content.Open()
	if err != nil {
		return fmt.Errorf("read fetched input: %w", err)
	}
	defer from.Close()
	l := landing{name: p.file + "+text"}
	err = quote(&l, from)
	quoted, e := l.close()
	switch {
	case errors.Is(err, errNotText):
		in.refuse(p, misfit{"/href", "leads to text that is not UTF-8"})
		return e
	case err != nil || e != nil:
		return fmt.Errorf("quote fetched input: %w", errors.Join(err, e))
	}
	if p.content.File != "" {
		if err := os.Remove(p.content.File); err != nil {
			return fmt.Errorf("remove fetched input: %w", err)
		}
	}
	if p.content = quoted; quoted.Data != nil {
		p.content = Value{JSON: quoted.Data}
	}
	check := p.check
	if f.schema != nil {
		check.schema = f.schema
	}
	return in.validate(ctx, p, check)
}

// admitJSON takes JSON text.
func (in *intake) admitJSON(ctx context.Context, p *pending) error {
	r, err := p.content.Open()
	if err != nil {
		return fmt.Errorf("read fetched input: %w", err)
	}
	defer r.Close()
	err = in.checkJSON(r)
	if _, disk := errors.AsType[*fs.PathError](err); disk {
		return fmt.Errorf("read fetched input: %w", err)
	}
	if err != nil {
		in.refuse(p, misfit{"/href", "leads to what is not valid JSON: " + err.Error()})
		return nil
	}
	return in.validate(ctx, p, p.check)
}

// validate checks content that is valid JSON against the schema. It is decoded
// only where the schema asks for more than a type.
func (in *intake) validate(ctx context.Context, p *pending, check inputCheck) error {
	first, err := firstByte(p.content)
	if err != nil {
		return err
	}
	var faults []schema.Fault
	if number := first == '-' || first >= '0' && first <= '9'; number || !check.schema.AcceptsAny(first) {
		if faults, err = in.decode(ctx, p.content, check); err != nil {
			return err
		}
	}
	if len(faults) == 0 {
		p.value = p.content
		return nil
	}
	var wrong []misfit
	for _, f := range faults {
		at := ""
		if f.Pointer != "" {
			at = "at " + f.Pointer + " "
		}
		wrong = append(wrong, misfit{"/href", "leads to a value that does not fit: " + at + f.Message})
	}
	in.refuse(p, wrong...)
	return nil
}

// decode checks content in memory. What is large takes turns.
func (in *intake) decode(ctx context.Context, v Value, check inputCheck) ([]schema.Fault, error) {
	if v.Len() > maxChecked {
		return []schema.Fault{{Message: fmt.Sprintf("has more than %d bytes, which is too much to be checked", maxChecked)}}, nil
	}
	if v.Len() > largeInput {
		select {
		case in.turn <- struct{}{}:
			defer func() { debug.FreeOSMemory(); <-in.turn }()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	text := []byte(v.JSON)
	if v.File != "" {
		var err error
		if text, err = os.ReadFile(v.File); err != nil {
			return nil, fmt.Errorf("read fetched input: %w", err)
		}
	}
	return check.validate(bytes.TrimSpace(text)), nil
}

// firstByte returns the first byte of JSON text that is not white space.
func firstByte(v Value) (byte, error) {
	r, err := v.Open()
	if err != nil {
		return 0, fmt.Errorf("read fetched input: %w", err)
	}
	defer r.Close()
	b := bufio.NewReader(r)
	for {
		c, err := b.ReadByte()
		if err != nil {
			return 0, fmt.Errorf("read fetched input: %w", err)
		}
		if c > ' ' {
			return c, nil
		}
	}
}

// settle gives the value of a whole input its final place.
func (in *intake) settle(p *pending) (Value, error) {
	if p.value.File == "" {
		return in.spill(p.id, p.value)
	}
	name := filepath.Join(in.dir, p.id)
	if err := os.Rename(p.value.File, name); err != nil {
		return Value{}, fmt.Errorf("keep fetched input: %w", err)
	}
	p.value.File = name
	return p.value, nil
}

// join is an array of occurrences some of which are by reference.
type join struct {
	id   string
	text []byte // without those
	refs []*pending
}

// join writes the whole array. It is never in memory when it is large.
func (in *intake) join(j join) (Value, error) {
	l := landing{name: filepath.Join(in.dir, j.id)}
	err := j.write(&l)
	v, e := l.close()
	if err = errors.Join(err, e); err != nil {
		return Value{}, fmt.Errorf("put together input %s: %w", j.id, err)
	}
	if v.Data != nil {
		return Value{JSON: v.Data}, nil
	}
	return v, nil
}

func (j join) write(w io.Writer) error {
	from := 0
	for _, p := range j.refs {
		if _, err := w.Write(j.text[from:p.place]); err != nil {
			return err
		}
		from = p.place
		if err := p.writeTo(w); err != nil {
			return err
		}
	}
	_, err := w.Write(j.text[from:])
	return err
}

// writeTo writes the value as JSON, bytes as base64, and removes its file.
func (p *pending) writeTo(w io.Writer) (err error) {
	r, err := p.value.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if p.value.MediaType == "" {
		_, err = io.Copy(w, r)
	} else {
		err = encode64(w, r)
	}
	if err == nil && p.value.File != "" {
		err = os.Remove(p.value.File)
	}
	return err
}

func encode64(w io.Writer, r io.Reader) error {
	if _, err := io.WriteString(w, `"`); err != nil {
		return err
	}
	e := base64.NewEncoder(base64.StdEncoding, w)
	_, err := io.Copy(e, r)
	if err = errors.Join(err, e.Close()); err != nil {
		return err
	}
	_, err = io.WriteString(w, `"`)
	return err
}
