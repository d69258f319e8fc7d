package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Reader reads a backup that anybody may have written: what it returns before
// Next has returned io.EOF is not to be trusted.
type Reader struct {
	tar      *tar.Reader
	zip      *zstd.Decoder
	digest   hash.Hash
	manifest Manifest
	summary  Summary // counted so far
	part     *Part   // being read
	failed   error   // what every further call returns
}

// Part is one part of a backup, to be read until the next is asked for.
type Part struct {
	Name    string
	Size    int64
	content io.Reader
}

// Read fails with ErrDamaged where the part is not what was written.
func (p *Part) Read(b []byte) (int, error) {
	n, err := p.content.Read(b)
	if err != nil && err != io.EOF {
		err = damaged("read %s: %w", p.Name, err)
	}
	return n, err
}

// NewReader begins to read a backup. Close the reader after use.
func NewReader(r io.Reader) (*Reader, error) {
	zip, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, damaged("%w", err)
	}
	a := &Reader{tar: tar.NewReader(onlyReader{zip}), zip: zip, digest: sha256.New()}
	if err := a.begin(); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// onlyReader hides that more than reading may be possible.
type onlyReader struct{ io.Reader }

// Close releases what the reader holds.
func (a *Reader) Close() { a.zip.Close() }

// Manifest returns what the backup says of itself.
func (a *Reader) Manifest() Manifest { return a.manifest }

// Summary returns what has been read, all of it once Next has returned io.EOF.
func (a *Reader) Summary() Summary { return a.summary }

func (a *Reader) begin() error {
	p, err := a.header()
	if err == io.EOF || err == nil && p.Name != manifestName {
		return errors.New("this is no backup of Geomill")
	}
	if err != nil {
		return fmt.Errorf("this is no backup of Geomill, or %w", err)
	}
	if err := readStatement(p, &a.manifest); err != nil {
		return err
	}
	if a.manifest.Format != Format {
		return fmt.Errorf("the backup has format %d, made by geomill %.40q; this geomill reads format %d", a.manifest.Format, a.manifest.Program, Format)
	}
	return nil
}

// Next returns the next part, and io.EOF once all have been read and found to
// be what was written.
func (a *Reader) Next() (*Part, error) {
	if a.failed != nil {
		return nil, a.failed
	}
	p, err := a.next()
	if err != nil {
		a.failed = err
		return nil, err
	}
	a.part = p
	return p, nil
}

func (a *Reader) next() (*Part, error) {
	if a.part != nil {
		if _, err := io.Copy(io.Discard, a.part); err != nil {
			return nil, err
		}
	}
	sum := hex.EncodeToString(a.digest.Sum(nil))
	p, err := a.header()
	if err == io.EOF {
		return nil, damaged("its end is missing")
	}
	if err != nil {
		return nil, err
	}
	if p.Name == endName {
		return nil, a.end(p, sum)
	}
	a.summary.Parts++
	a.summary.Bytes += p.Size
	return p, nil
}

// header reads up to the content of the next part. It returns a bare io.EOF at
// the end of the tar file.
func (a *Reader) header() (*Part, error) {
	h, err := a.tar.Next()
	if err == io.EOF {
		return nil, err
	}
	if err != nil {
		return nil, damaged("%w", err)
	}
	if h.Typeflag != tar.TypeReg {
		return nil, damaged("%.80q is not a regular file", h.Name)
	}
	for key := range h.PAXRecords {
		if key != "path" && key != "size" { // others change what is read: sparse files
			return nil, damaged("%.80q has an attribute %.40q", h.Name, key)
		}
	}
	if err := checkName(h.Name); err != nil {
		return nil, damaged("%w", err)
	}
	include(a.digest, h.Name, h.Size)
	return &Part{Name: h.Name, Size: h.Size, content: io.TeeReader(a.tar, a.digest)}, nil
}

// end compares the last part with what was read. It returns io.EOF when all is
// well.
func (a *Reader) end(p *Part, sum string) error {
	var said Summary
	if err := readStatement(p, &said); err != nil {
		return err
	}
	a.summary.SHA256, a.summary.Jobs = sum, said.Jobs
	if said != a.summary {
		return damaged("its checksum does not fit")
	}
	if _, err := a.tar.Next(); err != io.EOF {
		return damaged("it goes on after its end")
	}
	// What checks the last bytes of the compression comes after them.
	if n, err := io.Copy(io.Discard, a.zip); err != nil {
		return damaged("%w", err)
	} else if n > 0 {
		return damaged("it goes on after its end")
	}
	return io.EOF
}

func readStatement(p *Part, v any) error {
	if p.Size > maxStatement {
		return damaged("%s has %d bytes", p.Name, p.Size)
	}
	text, err := io.ReadAll(p)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(v); err != nil {
		return damaged("%s: %w", p.Name, err)
	}
	return nil
}

// Verify reads a backup to its end and says whether it is whole.
func Verify(r io.Reader) (Summary, error) {
	a, err := NewReader(r)
	if err != nil {
		return Summary{}, err
	}
	defer a.Close()
	for {
		_, err := a.Next()
		if err == io.EOF {
			return a.Summary(), nil
		}
		if err != nil {
			return Summary{}, err
		}
	}
}
