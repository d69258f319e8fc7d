package job

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// errEscaped says that a JSON string has an escape other than that of a slash.
var errEscaped = errors.New("the string has escapes")

// passBase64 takes over a large spooled input whose schema asks for base64 and no
// more: it is decoded into its file, without being held in memory. It reports
// false for what has to be looked at as a whole.
func (in *intake) passBase64(id string, r Raw, check inputCheck) (Value, bool, error) {
	if !check.schema.AcceptsAny('"') || len(check.alternatives) > 0 || r.Section.Size() < 2 {
		return Value{}, false, nil
	}
	var ends [2]byte
	for i, at := range []int64{0, r.Section.Size() - 1} {
		if _, err := r.Section.ReadAt(ends[i:i+1], at); err != nil {
			return Value{}, false, fmt.Errorf("read spooled input: %w", err)
		}
	}
	if ends != [2]byte{'"', '"'} {
		return Value{}, false, nil
	}
	plain := &unescaper{from: io.NewSectionReader(r.Section, 1, r.Section.Size()-2)}
	name, err := in.file(id, base64.NewDecoder(base64.StdEncoding.Strict(), plain))
	var corrupt base64.CorruptInputError
	if errors.Is(err, errEscaped) || errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Value{}, false, in.unfile(id) // the fault is named there, if it is one
	}
	if err != nil {
		return Value{}, false, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return Value{}, false, fmt.Errorf("write input file: %w", err)
	}
	media := check.media
	if media == "" {
		media = octets
	}
	return Value{File: name, Size: info.Size(), MediaType: media}, true, nil
}

// unfile removes the file of an input.
func (in *intake) unfile(id string) error {
	if err := os.Remove(filepath.Join(in.dir, id)); err != nil {
		return fmt.Errorf("remove input file: %w", err)
	}
	return nil
}

// unescaper reads what is inside a JSON string. Of escapes it knows that of the
// slash, which base64 has and some write so.
type unescaper struct {
	from  io.Reader
	slash bool // a backslash ended the last read
}

// Read implements io.Reader. It fails with errEscaped.
func (u *unescaper) Read(p []byte) (int, error) {
	for {
		n, err := u.from.Read(p)
		kept, ok := u.strip(p[:n])
		if !ok {
			return 0, errEscaped
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
}

// strip takes the backslashes before slashes out of p, and returns how much is
// left; false if another escape begins.
func (u *unescaper) strip(p []byte) (int, bool) {
	if !u.slash && bytes.IndexByte(p, '\\') < 0 {
		return len(p), true
	}
	kept := 0
	for _, c := range p {
		switch {
		case u.slash && c != '/':
			return 0, false
		case c == '\\':
			u.slash = true
			continue
		}
		u.slash = false
		p[kept] = c
		kept++
	}
	return kept, true
}
