package wire_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"geomill/sdk/wire"
)

// copyFiles copies each input file to an output of the same id.
func copyFiles(_ context.Context, st wire.Start, _ wire.Events) (wire.Values, error) {
	outputs := make(wire.Values, 0, len(st.Inputs))
	for _, v := range st.Inputs {
		path := filepath.Join(st.Dir, "out", v.ID)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		in, err := os.Open(v.File)
		if err != nil {
			return nil, err
		}
		out, err := os.Create(path)
		if err == nil {
			_, err = io.Copy(out, in)
			err = errors.Join(err, out.Close())
		}
		if err = errors.Join(err, in.Close()); err != nil {
			return nil, err
		}
		outputs = append(outputs, wire.Named{ID: v.ID, Value: wire.Value{File: path, MediaType: v.MediaType}})
	}
	return outputs, nil
}

// heap returns the most memory its process ever took for its heap, in bytes.
func heap(context.Context, wire.Start, wire.Events) (wire.Values, error) {
	return wire.ValuesOf(map[string]wire.Value{"heap": {JSON: json.RawMessage(strconv.FormatUint(heapPeak(), 10))}}), nil
}

func heapPeak() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapSys
}

// 100 MB each way cost neither end memory (promise 4 of the design). It is not
// parallel, so that the heap measured is its own.
func TestBulkCrossesAsFilesWithoutMemory(t *testing.T) {
	const size, bound = 100 << 20, 32 << 20
	conn, _ := child(t)
	session := open(t, conn)
	dir := t.TempDir()
	input := filepath.Join(dir, "in", "big")
	if err := os.Mkdir(filepath.Dir(input), 0o700); err != nil {
		t.Fatal(err)
	}
	writePattern(t, input, size)
	pluginBefore, hostBefore := pluginHeap(t, session), heapPeak()
	st := wire.Start{JobID: "1", ProcessID: "copy", Dir: dir, Inputs: wire.ValuesOf(map[string]wire.Value{"big": {File: input, MediaType: "image/tiff"}})}
	out, err := session.Run(t.Context(), st, 0, discard{})
	if err != nil {
		t.Fatal(err)
	}
	if grown := int64(heapPeak() - hostBefore); grown > bound {
		t.Errorf("the heap of the host end grew by %d bytes", grown)
	}
	if grown := int64(pluginHeap(t, session) - pluginBefore); grown > bound {
		t.Errorf("the heap of the plugin end grew by %d bytes", grown)
	}
	got := out.Get("big")
	if got.Size != size || got.MediaType != "image/tiff" || got.File != filepath.Join(dir, "out", "big") {
		t.Errorf("got %+v", got)
	}
	if sum(t, got.File) != sum(t, input) {
		t.Error("the file that came back is another one")
	}
}

func pluginHeap(t *testing.T, s *wire.Session) uint64 {
	t.Helper()
	out, err := s.Run(t.Context(), wire.Start{JobID: "heap", ProcessID: "heap"}, 0, discard{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(string(out.Get("heap").JSON), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func writePattern(t *testing.T, path string, size int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for written := 0; written < size; written += len(chunk) {
		if _, err := f.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func sum(t *testing.T, path string) [32]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil))
}

func TestLargeValuesCrossAsFiles(t *testing.T) {
	t.Parallel()
	large := json.RawMessage(`"` + strings.Repeat("a", wire.InlineMaxBytes) + `"`)
	bytesIn := bytes.Repeat([]byte{7}, wire.InlineMaxBytes+1)
	starts := make(chan wire.Start, 1)
	session := newSession(t, map[string]runFunc{"p": func(_ context.Context, st wire.Start, _ wire.Events) (wire.Values, error) {
		starts <- st
		return wire.ValuesOf(map[string]wire.Value{"../out/x y": {JSON: large}, ".._out_x_y": {JSON: large}, "b": {Data: bytesIn}, "s": {JSON: json.RawMessage(`1`)}}), nil
	}})
	dir := filepath.Join(t.TempDir(), "job", "1") // not there yet
	inputs := wire.ValuesOf(map[string]wire.Value{"a/b": {JSON: large}, "b": {Data: bytesIn}, "s": {JSON: json.RawMessage(`1`)}})
	out, err := session.Run(t.Context(), wire.Start{JobID: "1", ProcessID: "p", Dir: dir, Inputs: inputs}, 0, discard{})
	if err != nil {
		t.Fatal(err)
	}
	in := (<-starts).Inputs
	checkFile(t, in.Get("a/b"), filepath.Join(dir, "in", "a_b"), large, "")
	checkFile(t, in.Get("b"), filepath.Join(dir, "in", "b"), bytesIn, "application/octet-stream")
	checkFile(t, out.Get("b"), filepath.Join(dir, "out", "b"), bytesIn, "application/octet-stream")
	if out.Get("../out/x y").File == out.Get(".._out_x_y").File {
		t.Error("two outputs share a file")
	}
	for _, id := range []string{"../out/x y", ".._out_x_y"} {
		checkFile(t, out.Get(id), out.Get(id).File, large, "")
		if filepath.Dir(out.Get(id).File) != filepath.Join(dir, "out") {
			t.Errorf("%s is in %s", id, out.Get(id).File)
		}
	}
	if string(in.Get("s").JSON) != "1" || string(out.Get("s").JSON) != "1" {
		t.Errorf("small values: %v, %v", in.Get("s"), out.Get("s"))
	}
}

func checkFile(t *testing.T, v wire.Value, path string, content []byte, mediaType string) {
	t.Helper()
	if v.File != path || v.Size != int64(len(content)) || v.MediaType != mediaType || v.JSON != nil || v.Data != nil {
		t.Errorf("got %s, %d bytes, %q", v.File, v.Size, v.MediaType)
	}
	got, err := os.ReadFile(v.File)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("content of %s differs (%v)", v.File, err)
	}
	info, err := os.Stat(filepath.Dir(v.File))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory of %s: %v, %v", v.File, info, err)
	}
}

// Many values that would each fit inline do not make an endless message.
func TestManyMiddlingValuesCross(t *testing.T) {
	t.Parallel()
	session := newSession(t, map[string]runFunc{"echo": echo})
	var inputs wire.Values
	for i := range 100 {
		inputs = append(inputs, wire.Named{ID: strconv.Itoa(i), Value: wire.Value{Data: bytes.Repeat([]byte{byte(i)}, 200<<10), MediaType: "image/png"}})
	}
	out, err := session.Run(t.Context(), wire.Start{JobID: "1", ProcessID: "echo", Dir: t.TempDir(), Inputs: inputs}, 0, discard{})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range inputs {
		got := out.Get(in.ID).Data
		if file := out.Get(in.ID).File; file != "" {
			if got, err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, in.Data) {
			t.Errorf("value %s differs", in.ID)
		}
	}
}

func TestInlineLimitOfTheHostHolds(t *testing.T) {
	t.Parallel()
	_, conn := serve(t, &handler{run: map[string]runFunc{"p": returns(wire.Value{JSON: json.RawMessage(`"0123456789"`)})}})
	if _, err := wire.NewClient(conn).Configure(t.Context(), nil, wire.Limits{InlineMaxBytes: 10}); err != nil {
		t.Fatal(err)
	}
	out, err := open(t, conn).Run(t.Context(), wire.Start{JobID: "1", ProcessID: "p", Dir: t.TempDir()}, 0, discard{})
	if err != nil || out.Get("v").File == "" {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestInputThatCannotCrossFailsTheRun(t *testing.T) {
	t.Parallel()
	session := newSession(t, map[string]runFunc{"echo": echo})
	outside := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	large := wire.Value{Data: make([]byte, wire.InlineMaxBytes+1)}
	tests := map[string]wire.Start{
		"file outside":     {Dir: t.TempDir(), Inputs: wire.ValuesOf(map[string]wire.Value{"a": {File: outside}})},
		"no directory":     {Inputs: wire.ValuesOf(map[string]wire.Value{"a": large})},
		"empty value":      {Inputs: wire.ValuesOf(map[string]wire.Value{"a": {}})},
		"id not UTF-8":     {Inputs: wire.ValuesOf(map[string]wire.Value{"\xff": {Data: []byte{}}})},
		"job id not UTF-8": {ProcessID: "\xff"},
	}
	for name, st := range tests {
		st.JobID = name
		if _, err := session.Run(t.Context(), st, 0, discard{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := session.Run(t.Context(), wire.Start{JobID: "1", ProcessID: "echo"}, 0, discard{}); err != nil {
		t.Errorf("the session suffered: %v", err)
	}
}
