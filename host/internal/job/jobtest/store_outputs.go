package jobtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func content(t testing.TB, v job.Value) string {
	t.Helper()
	r, err := v.Open()
	if err != nil {
		t.Fatalf("open value: %v", err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read value: %v", err)
	}
	if int64(len(b)) != v.Len() {
		t.Errorf("a value of %d bytes says its length is %d", len(b), v.Len())
	}
	return string(b)
}

func output(t testing.TB, s job.Store, id, name string) job.Value {
	t.Helper()
	v, err := s.Output(within(t), id, name)
	if err != nil {
		t.Fatalf("Output(%s): %v", name, err)
	}
	return v
}

func storeOutputs(t *testing.T, s job.Store) {
	j := create(t, s, NewJob("p"))
	_, err := s.Output(within(t), j.ID, "json")
	fails(t, "Output before the end", err, job.ErrNotAvailable)
	outputs := map[string]job.Value{
		"json": {JSON: json.RawMessage(`{ "a" : "<>" }`)},
		"data": {Data: []byte{0, 255}, MediaType: "image/png"},
		"none": {Data: []byte{}, MediaType: "text/plain"},
		"geo":  {JSON: json.RawMessage(`[]`), MediaType: "application/geo+json"},
	}
	j = update(t, s, as(j, ogc.Successful), outputs)
	want := map[string]job.OutputInfo{
		"json": {MediaType: "application/json", Size: 14}, "data": {MediaType: "image/png", Size: 2},
		"none": {MediaType: "text/plain"}, "geo": {MediaType: "application/geo+json", Size: 2},
	}
	same(t, "outputs of the returned job", j.Outputs, want)
	same(t, "outputs of the stored job", get(t, s, j.ID).Outputs, want)
	for name, v := range outputs {
		same(t, name, output(t, s, j.ID, name), v)
	}
	_, err = s.Output(within(t), j.ID, "other")
	fails(t, "Output that is not there", err, job.ErrNotAvailable)
}

func tempFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func storeFileOutput(t *testing.T, s job.Store) {
	j := create(t, s, NewJob("p"))
	path := tempFile(t, "a,b\n")
	j = update(t, s, as(j, ogc.Successful), map[string]job.Value{"o": {File: path, Size: 4, MediaType: "text/csv"}})
	same(t, "outputs", j.Outputs, map[string]job.OutputInfo{"o": {MediaType: "text/csv", Size: 4}})
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // as with the directory of the job
		t.Fatal(err)
	}
	v := output(t, s, j.ID, "o")
	if got := content(t, v); got != "a,b\n" || v.MediaType != "text/csv" {
		t.Errorf("the output is %q of type %s", got, v.MediaType)
	}
	if err := s.Delete(within(t), j.ID, j.Revision); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	if v.File == "" {
		return
	}
	if _, err := os.Stat(v.File); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file outlived its job (%v)", err)
	}
}

func storeLargeOutputs(t *testing.T, s job.Store) {
	j := create(t, s, NewJob("p"))
	outputs := map[string]job.Value{"large": {JSON: json.RawMessage(`"` + string(bytes.Repeat([]byte("x"), 3<<20)) + `"`)}}
	for n := range 30 {
		outputs[fmt.Sprint(n)] = job.Value{Data: bytes.Repeat([]byte{byte(n)}, 60<<10), MediaType: "application/octet-stream"}
	}
	update(t, s, as(j, ogc.Successful), outputs)
	for name, want := range outputs {
		got := output(t, s, j.ID, name)
		if content(t, got) != content(t, want) || got.Type() != want.Type() {
			t.Errorf("output %s is not what was stored", name)
		}
	}
}

func storeFailedOutputs(t *testing.T, s job.Store) {
	old := create(t, s, NewJob("p"))
	now := update(t, s, as(old, ogc.Running), nil)
	outputs := map[string]job.Value{"o": {JSON: json.RawMessage(`1`)}, "f": {File: tempFile(t, "x"), Size: 1}}
	_, err := s.Update(within(t), as(old, ogc.Successful), outputs)
	fails(t, "Update from an old revision", err, job.ErrConflict)
	for name := range outputs {
		_, err := s.Output(within(t), old.ID, name)
		fails(t, "Output after a failed update", err, job.ErrNotAvailable)
	}
	missing := map[string]job.Value{"f": {File: filepath.Join(t.TempDir(), "missing")}}
	if _, err := s.Update(within(t), as(now, ogc.Successful), missing); err == nil {
		t.Error("Update with a missing file succeeded")
	}
	same(t, "stored job", get(t, s, old.ID), now)
}

func storeOutputsStay(t *testing.T, s job.Store) {
	j := create(t, s, NewJob("p"))
	j = update(t, s, as(j, ogc.Successful), map[string]job.Value{"o": {JSON: json.RawMessage(`1`)}})
	want := j.Outputs
	j.Outputs, j.Message = nil, "later"
	same(t, "outputs", update(t, s, j, nil).Outputs, want)
	same(t, "output", output(t, s, j.ID, "o"), job.Value{JSON: json.RawMessage(`1`)})
}

func storeOutputsReplaced(t *testing.T, s job.Store) {
	j := create(t, s, NewJob("p"))
	j = update(t, s, as(j, ogc.Running), map[string]job.Value{
		"a": {JSON: json.RawMessage(`1`)}, "f": {File: tempFile(t, "old"), Size: 3},
	})
	j = update(t, s, as(j, ogc.Successful), map[string]job.Value{"f": {File: tempFile(t, "new!"), Size: 4}})
	_, err := s.Output(within(t), j.ID, "a")
	fails(t, "Output that was not among the last", err, job.ErrNotAvailable)
	if got := content(t, output(t, s, j.ID, "f")); got != "new!" {
		t.Errorf("the output is %q, want the last", got)
	}
}
