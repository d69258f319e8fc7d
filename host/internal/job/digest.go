package job

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
)

// digest names what an order asks of a process: the process, the values of its
// inputs, the outputs and their media types. Orders of one digest have equal
// results if the process is deterministic and its plugin the same; how these are
// shown is not part of it, nor whether all outputs are named or none. Inputs that
// are files count by their bytes, others that are JSON by their value: see
// appendCanonical.
func (o Order) digest(p *Process) (string, error) {
	d := digester{Hash: sha256.New()}
	d.text(p.ID)
	d.number(len(o.Inputs))
	for _, id := range slices.Sorted(maps.Keys(o.Inputs)) {
		d.text(id)
		if err := d.value(o.Inputs[id]); err != nil {
			return "", fmt.Errorf("hash input %s: %w", id, err)
		}
	}
	wanted := o.wanted()
	if wanted == nil {
		wanted = make(map[string]string, len(p.Outputs))
		for id := range p.Outputs {
			wanted[id] = ""
		}
	}
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		d.text(id)
		d.text(wanted[id])
	}
	return hex.EncodeToString(d.Sum(nil)), nil
}

// digester writes parts to a hash such that no two sequences of parts are alike.
type digester struct{ hash.Hash }

func (d digester) number(n int) {
	_, _ = d.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) // a hash never fails
}

func (d digester) text(s string) {
	d.number(len(s))
	_, _ = io.WriteString(d, s)
}

func (d digester) value(v Value) error {
	d.text(v.MediaType)
	switch {
	case v.File != "":
		return d.file(v)
	case v.Data != nil:
		d.text("data")
		d.text(string(v.Data))
	default:
		d.text("json")
		d.text(string(appendCanonical(nil, v.JSON)))
	}
	return nil
}

// file hashes a file in bounded memory.
func (d digester) file(v Value) error {
	d.text("file")
	d.number(int(v.Size))
	f, err := v.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(d, f)
	if err == nil && n != v.Size {
		err = fmt.Errorf("it has %d bytes rather than %d", n, v.Size)
	}
	return err
}
