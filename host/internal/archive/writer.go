package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Writer writes a backup. It is whole only once Close has succeeded.
type Writer struct {
	tar     *tar.Writer
	zip     *zstd.Encoder
	digest  hash.Hash
	summary Summary
}

// NewWriter begins a backup.
func NewWriter(w io.Writer, program string, created time.Time) (*Writer, error) {
	zip, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowSize),
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithAllLitEntropyCompression(true)) // numbers seldom repeat
	if err != nil {
		return nil, fmt.Errorf("begin backup: %w", err)
	}
	a := &Writer{tar: tar.NewWriter(zip), zip: zip, digest: sha256.New()}
	if err := a.state(manifestName, Manifest{Format: Format, Program: program, Created: created.UTC()}); err != nil {
		return nil, fmt.Errorf("begin backup: %w", err)
	}
	return a, nil
}

// Add writes a part of exactly size bytes. After an error the backup cannot be
// made whole any more.
func (a *Writer) Add(name string, size int64, content io.Reader) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("add to backup: %w", err)
	}
	if err := a.put(name, size, content); err != nil {
		return fmt.Errorf("add %s to backup: %w", name, err)
	}
	a.summary.Parts++
	a.summary.Bytes += size
	return nil
}

// Close ends a whole backup, of so many jobs.
func (a *Writer) Close(jobs int) (Summary, error) {
	a.summary.Jobs = jobs
	a.summary.SHA256 = hex.EncodeToString(a.digest.Sum(nil))
	err := a.state(endName, a.summary)
	if err == nil {
		err = a.tar.Close()
	}
	if err == nil {
		err = a.zip.Close()
	}
	if err != nil {
		return Summary{}, fmt.Errorf("end backup: %w", err)
	}
	return a.summary, nil
}

// state writes a part about the backup itself.
func (a *Writer) state(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return a.put(name, int64(len(text)), bytes.NewReader(text))
}

func (a *Writer) put(name string, size int64, content io.Reader) error {
	err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600})
	if err != nil {
		return err
	}
	include(a.digest, name, size)
	n, err := io.Copy(io.MultiWriter(a.tar, a.digest), io.LimitReader(content, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func checkName(name string) error {
	if !fs.ValidPath(name) || name == "." || len(name) > maxName {
		return fmt.Errorf("%q is no name of a part", name)
	}
	return nil
}
