package sdk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/sdk"
	"geomill/sdk/ogc"
	"geomill/sdk/sdktest"
	"geomill/sdk/wire"

	"github.com/google/go-cmp/cmp"
)

type allInputs struct {
	Name   string            `json:"name"`
	Count  int               `json:"count,omitempty"`
	Many   []uint8           `json:"many,omitempty"`
	Ints   []int             `json:"ints,omitempty"`
	Nested struct{ N int64 } `json:"nested,omitzero"`
	Raw    json.RawMessage   `json:"raw,omitempty"`
	When   *time.Time        `json:"when"`
	Mode   string            `json:"mode" jsonschema:"enum=fast,enum=exact,default=fast"`
	*SharedInputs
}

type SharedInputs struct {
	Tags map[string]string `json:"tags,omitempty"`
}

func TestTypedInputsArriveAsGoValues(t *testing.T) {
	t.Parallel()
	var got allInputs
	p := sdk.New(sdk.Info{ID: "p"}, func(_ *sdk.Job, in allInputs) (struct{ Done bool }, error) {
		got = in
		return struct{ Done bool }{true}, nil
	})
	r := sdktest.Run(t, p, json.RawMessage(`{"name":"a","count":3.0,"many":"AQI=","ints":[1e3,2],"nested":{"N":9007199254740993},
		"raw":{"b":[1, 2]},"when":"2026-01-31T12:00:00Z","tags":{"k":"v"}}`))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	when := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	want := allInputs{Name: "a", Count: 3, Many: []byte{1, 2}, Ints: []int{1000, 2}, Raw: json.RawMessage(`{"b":[1,2]}`),
		When: &when, Mode: "fast", SharedInputs: &SharedInputs{Tags: map[string]string{"k": "v"}}}
	want.Nested.N = 9007199254740993
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("inputs (-want +got):\n%s", d)
	}
}

func TestTypedInputsThatDoNotFitAreAllReported(t *testing.T) {
	t.Parallel()
	type in struct {
		Small int8      `json:"small"`
		List  []uint16  `json:"list"`
		Text  string    `json:"text"`
		File  *sdk.File `json:"file"`
	}
	p := sdk.New(sdk.Info{ID: "p"}, func(*sdk.Job, in) (struct{ Done bool }, error) {
		return struct{ Done bool }{}, errors.New("was called")
	})
	r := sdktest.Run(t, p, map[string]any{"small": 300, "list": []int{1, -1}, "text": "a"})
	var problem *wire.Problem
	if !errors.As(r.Err, &problem) || problem.Kind != wire.InvalidInput {
		t.Fatalf("error %v", r.Err)
	}
	want := []ogc.Fault{
		{Input: "small", Message: "does not fit: number 300 is no int8"},
		{Input: "list", Message: "does not fit: number -1 is no uint16"},
	}
	if d := cmp.Diff(want, problem.Faults); d != "" {
		t.Errorf("faults (-want +got):\n%s", d)
	}
}

func TestTypedOutputsAreSentAsDescribed(t *testing.T) {
	t.Parallel()
	type out struct {
		Text  string         `json:"text"`
		Empty string         `json:"empty,omitempty"`
		Zero  time.Time      `json:"zero,omitzero"`
		None  *int           `json:"none"`
		List  []int          `json:"list"`
		Map   map[string]int `json:"map"`
		Image []byte         `json:"image" jsonschema:"contentMediaType=image/png"`
		Skip  int            `json:"-"`
	}
	p := sdk.New(sdk.Info{ID: "p"}, func(*sdk.Job, struct{}) (out, error) {
		return out{Text: "<a>", Image: []byte{0xff, 0}}, nil
	})
	r := sdktest.Run(t, p, nil)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	got := map[string]string{}
	for id, v := range r.Outputs {
		content, err := v.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		got[id] = v.MediaType() + " " + string(text)
	}
	const j = "application/json "
	want := map[string]string{"text": j + `"\u003ca\u003e"`, "list": j + "[]", "map": j + "{}", "image": "image/png \xff\x00"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("outputs (-want +got):\n%s", d)
	}
	r = sdktest.Run(t, p, nil, sdktest.Outputs("list", "text"))
	if d := cmp.Diff([]string{"list", "text"}, slices.Sorted(maps.Keys(r.Outputs))); d != "" {
		t.Errorf("wanted outputs (-want +got):\n%s", d)
	}
}

type fileInputs struct {
	Text  sdk.File  `json:"text" jsonschema:"contentMediaType=text/csv"`
	Image *sdk.File `json:"image" jsonschema:"contentMediaType=image/png"`
}

type fileOutputs struct {
	Made    sdk.File  `json:"made" jsonschema:"contentMediaType=text/csv"`
	Same    sdk.File  `json:"same" jsonschema:"contentMediaType=text/csv"`
	Linked  *sdk.File `json:"linked"`
	Outside sdk.File  `json:"outside"`
	Missing sdk.File  `json:"missing,omitzero"`
}

func TestFilesCrossInBothDirections(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := sdk.New(sdk.Info{ID: "p"}, func(job *sdk.Job, in fileInputs) (out fileOutputs, err error) {
		dir, err := job.Dir()
		if err != nil {
			return out, err
		}
		text, err := os.ReadFile(in.Text.Path)
		if err != nil {
			return out, err
		}
		image, err := os.ReadFile(in.Image.Path)
		if err != nil {
			return out, err
		}
		if in.Text.MediaType != "text/csv" || in.Image.MediaType == "" {
			return out, errors.New("media types " + in.Text.MediaType + ", " + in.Image.MediaType)
		}
		made := filepath.Join(dir, "made")
		if err := os.WriteFile(made, append(text, image...), 0o600); err != nil {
			return out, err
		}
		linked := filepath.Join(dir, "linked")
		if err := os.Symlink(outside, linked); err != nil {
			return out, err
		}
		return fileOutputs{Made: sdk.File{Path: made}, Same: sdk.File{Path: made, MediaType: "text/plain"},
			Linked: &sdk.File{Path: linked}, Outside: sdk.File{Path: outside}}, nil
	})
	for _, size := range []int{1, 1 << 17} {
		text, image := strings.Repeat("é\"\n😀", size), bytes.Repeat([]byte{0, 0xff}, size)
		r := sdktest.Run(t, p, map[string]any{"text": text, "image": image})
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		want := map[string]string{
			"made": "text/csv " + text + string(image), "same": "text/plain " + text + string(image),
			"linked": "application/octet-stream outside", "outside": "application/octet-stream outside",
		}
		for id, v := range r.Outputs {
			var data []byte
			if err := v.Decode(&data); err != nil {
				t.Fatal(err)
			}
			if got := v.MediaType() + " " + string(data); got != want[id] {
				t.Errorf("%s is %.80q, want %.80q", id, got, want[id])
			}
			delete(want, id)
		}
		if len(want) > 0 {
			t.Errorf("outputs left out: %v", slices.Sorted(maps.Keys(want)))
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a file that is not the job's was taken away: %v", err)
	}
}

func TestDescriptionComesFromTypesAndInfo(t *testing.T) {
	t.Parallel()
	p := sdk.New(sdk.Info{ID: "p", Title: "P", Keywords: []string{"k"}, Policy: sdk.Policy{Isolation: sdk.PerJob, RetryAttempts: 2},
		Translations: map[string]sdk.Translation{"fr": {Inputs: map[string]sdk.Translation{"text": {Title: "Texte"}}}}},
		func(*sdk.Job, fileInputs) (fileOutputs, error) { return fileOutputs{}, nil })
	h, err := sdk.NewHandler(sdk.Plugin{Name: "plugin", Version: "1.2.3"}, p)
	if err != nil {
		t.Fatal(err)
	}
	got := h.Processes()[0]
	d := got.Description
	if d.Version != "1.2.3" || len(d.JobControlOptions) != 3 || d.Mutable == nil || *d.Mutable || got.Policy.RetryAttempts != 2 {
		t.Errorf("process %+v", got)
	}
	if d.Translations["fr"].Inputs["text"].Title != "Texte" {
		t.Errorf("translations %v", d.Translations)
	}
	if s := string(d.Inputs["text"].Schema); s != `{"contentMediaType":"text/csv","type":"string"}` || d.Inputs["text"].Min() != 1 {
		t.Errorf("text: %s", s)
	}
	if s := string(d.Inputs["image"].Schema); s != `{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"}` || d.Inputs["image"].Min() != 0 {
		t.Errorf("image: %s", s)
	}
}
