package check

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"geomill/proto/processv1"
	"geomill/sdk/wire"
)

// examine checks the outputs of a job as a host does, and against their schemas.
func (r *run) examine() error {
	var values wire.Values
	for _, w := range r.outputs {
		if _, declared := r.process.description.Outputs[w.GetId()]; !declared {
			return fmt.Errorf("output %q is not in the description", w.GetId())
		}
		v, err := r.value(w)
		if err != nil {
			return fmt.Errorf("output %s: %w", w.GetId(), err)
		}
		values = append(values, wire.Named{ID: w.GetId(), Value: v})
	}
	_, err := r.process.handler.Outputs(Schema, r.process.id(), values)
	return err
}

func (r *run) value(w *processv1.Value) (wire.Value, error) {
	v := wire.Value{MediaType: w.GetMediaType()}
	switch k := w.GetKind().(type) {
	case *processv1.Value_Json:
		if !json.Valid(k.Json) {
			return v, fmt.Errorf("it is not valid JSON: %.60q", k.Json)
		}
		v.JSON = k.Json
	case *processv1.Value_Data:
		v.Data = k.Data
		if v.MediaType == "" {
			v.MediaType = "application/octet-stream"
		}
	case *processv1.Value_File:
		path, err := r.file(k.File)
		if err != nil {
			return v, fmt.Errorf("file %q: %w", k.File.GetPath(), err)
		}
		v.File, v.Size = path, int64(k.File.GetSize())
	default:
		return v, fmt.Errorf("it is neither JSON nor bytes nor a file")
	}
	return v, nil
}

// file checks a file as the contract asks.
func (r *run) file(f *processv1.File) (string, error) {
	if rel := f.GetPath(); !filepath.IsLocal(rel) || filepath.Clean(rel) != rel || rel == "." {
		return "", fmt.Errorf("the path is not clean, or not relative to the job directory")
	}
	at := r.dir
	for _, name := range strings.Split(f.GetPath(), "/") {
		at = filepath.Join(at, name)
		info, err := os.Lstat(at)
		if err != nil {
			return "", fmt.Errorf("it is not there")
		}
		if info.Mode()&os.ModeSymlink != 0 {
			return "", fmt.Errorf("%s is a symbolic link", name)
		}
		if at != filepath.Join(r.dir, f.GetPath()) {
			continue
		}
		if !info.Mode().IsRegular() {
			return "", fmt.Errorf("it is not a regular file")
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Nlink != 1 {
			return "", fmt.Errorf("it has %d names", s.Nlink)
		}
		if uint64(info.Size()) != f.GetSize() {
			return "", fmt.Errorf("it has %d bytes, not %d as announced", info.Size(), f.GetSize())
		}
	}
	return at, nil
}
