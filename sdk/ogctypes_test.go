package sdk_test

import (
	"encoding/json"
	"errors"
	"os"
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

type ogcValues struct {
	Box      sdk.BBox              `json:"box"`
	Shape    sdk.Geometry          `json:"shape" jsonschema:"title=Shape"`
	One      sdk.Feature           `json:"one"`
	Many     sdk.FeatureCollection `json:"many"`
	Day      sdk.Date              `json:"day"`
	Since    *sdk.Date             `json:"since,omitempty"`
	Distance sdk.Measure           `json:"distance"`
	Link     sdk.Ref               `json:"link"`
	Numbers  []int                 `json:"numbers" jsonschema:"minimum=1" ogc:"minOccurs=2,maxOccurs=3"`
	Names    []string              `json:"names,omitempty" ogc:"maxOccurs=unbounded"`
	Mode     string                `json:"mode" jsonschema:"enum=fast,enum=exact"`
}

func sameValues() sdk.Process {
	return sdk.New(sdk.Info{ID: "same"}, func(_ *sdk.Job, in ogcValues) (ogcValues, error) { return in, nil })
}

const point = `{"type":"Point","coordinates":[1,2,3.0]}`

var validValues = map[string]string{
	"box":      `{"bbox":[1,2,3,4],"crs":"http://www.opengis.net/def/crs/OGC/1.3/CRS84"}`,
	"shape":    point,
	"one":      `{"bbox":[1,2,1,2],"geometry":null,"id":7,"properties":{"a":[1]},"type":"Feature","x-own":true}`,
	"many":     `{"features":[{"geometry":` + point + `,"properties":null,"type":"Feature"}],"type":"FeatureCollection","x-own":1}`,
	"day":      `"2026-01-31"`,
	"since":    `"2025-12-01"`,
	"distance": `{"measurement":1.5,"uom":"km"}`,
	"link":     `{"href":"https://data.example/a.tif","type":"image/tiff"}`,
	"numbers":  `[1,2]`,
	"names":    `["a","b"]`,
	"mode":     `"fast"`,
}

func given(change map[string]string) map[string]json.RawMessage {
	inputs := map[string]json.RawMessage{}
	for id, text := range validValues {
		inputs[id] = json.RawMessage(text)
	}
	for id, text := range change {
		if inputs[id] = json.RawMessage(text); text == "" {
			delete(inputs, id)
		}
	}
	return inputs
}

func TestOGCTypesGoThroughAProcessUnchanged(t *testing.T) {
	t.Parallel()
	r := sdktest.Run(t, sameValues(), given(nil))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	for id, want := range validValues {
		if got, err := r.Outputs[id].JSON(); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", id, got, err, want)
		}
	}
	if r = sdktest.Run(t, sameValues(), given(map[string]string{"names": "", "since": ""})); r.Err != nil || len(r.Outputs) != len(validValues)-2 {
		t.Errorf("%v, %v", r.Outputs, r.Err)
	}
}

func TestOGCTypesAreChecked(t *testing.T) {
	t.Parallel()
	for id, wrong := range map[string][]string{
		"box":      {`{"bbox":[1,2,3]}`, `{"bbox":["a",2,3,4]}`},
		"shape":    {`{"type":"Point"}`, `{"type":"Circle","coordinates":[1,2]}`, `1`},
		"one":      {point},
		"many":     {`{"type":"FeatureCollection"}`, `[]`},
		"day":      {`"yesterday"`, `"2026-01-31T00:00:00Z"`},
		"distance": {`1.5`, `{"measurement":1.5}`, `{"measurement":1.5,"uom":""}`},
		"link":     {`{"type":"image/tiff"}`},
		"numbers":  {`[1]`, `[1,2,3,4]`, `[1,0]`},
		"names":    {`[1]`},
		"mode":     {`"slow"`},
	} {
		for _, text := range wrong {
			r := sdktest.Run(t, sameValues(), given(map[string]string{id: text}))
			var p *wire.Problem
			if !errors.As(r.Err, &p) || p.Kind != wire.InvalidInput || p.Faults[0].Input != id {
				t.Errorf("%s: %s: %v", id, text, r.Err)
			}
		}
	}
}

func TestOGCTypesAreDescribed(t *testing.T) {
	t.Parallel()
	h, err := sdk.NewHandler(sdk.Plugin{Name: "p", Version: "1"}, sameValues())
	if err != nil {
		t.Fatal(err)
	}
	in := h.Processes()[0].Description.Inputs
	for id, want := range map[string]string{
		"shape":   "https://geojson.org/schema/Geometry.json",
		"box":     "ogc-bbox",
		"numbers": `{"type":"integer","minimum":1}`,
		"day":     `"format":"date"`,
	} {
		if !strings.Contains(string(in[id].Schema), want) {
			t.Errorf("%s: %s", id, in[id].Schema)
		}
	}
	if in["numbers"].Min() != 2 || in["numbers"].Max() != 3 || in["names"].Min() != 0 || in["names"].Max() != ogc.Unbounded {
		t.Errorf("occurrences %+v, %+v", in["numbers"], in["names"])
	}
	if !slices.Equal(in["link"].ValuePassing, []string{"byValue"}) || in["shape"].Title != "Shape" {
		t.Errorf("%+v, %+v", in["link"], in["shape"])
	}
}

func TestHelpersOfOGCTypes(t *testing.T) {
	t.Parallel()
	least, greatest := sdk.BBox{Box: []float64{1, 2, 3, 4, 5, 6}}.Corners()
	if !slices.Equal(least, []float64{1, 2, 3}) || !slices.Equal(greatest, []float64{4, 5, 6}) {
		t.Errorf("corners %v, %v", least, greatest)
	}
	if kind := sdk.Geometry(point).Type(); kind != "Point" {
		t.Errorf("type %s", kind)
	}
	text, err := json.Marshal(sdk.FeatureCollection{Features: []sdk.Feature{{}}})
	if err != nil || string(text) != `{"features":[{"geometry":null,"properties":null,"type":"Feature"}],"type":"FeatureCollection"}` {
		t.Errorf("%s, %v", text, err)
	}
	if text, err := json.Marshal(sdk.Date{Time: time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC)}); err != nil || string(text) != `"2026-02-03"` {
		t.Errorf("%s, %v", text, err)
	}
}

func TestWrongTagsOfOGCTypesAreTold(t *testing.T) {
	t.Parallel()
	type no struct {
		A int `json:"a" ogc:"maxOccurs=2"`
	}
	type few struct {
		A []int `json:"a" ogc:"maxOccurs=1"`
	}
	type word struct {
		A []int `json:"a" ogc:"most=2"`
	}
	type array struct {
		A []int `json:"a" jsonschema:"minItems=2" ogc:"maxOccurs=2"`
	}
	type files struct {
		A []sdk.File `json:"a"`
	}
	type formats struct {
		A []byte `json:"a" jsonschema:"contentMediaType=text/csv,contentMediaType=image/png"`
	}
	type out struct{ A int }
	for want, p := range map[string]sdk.Process{
		`tag ogc:"maxOccurs=2" is for slices, not for a int`:  sdk.New(sdk.Info{ID: "p"}, func(*sdk.Job, no) (out, error) { return out{}, nil }),
		`maxOccurs is at least 2, and no less than minOccurs`: sdk.New(sdk.Info{ID: "p"}, func(*sdk.Job, few) (out, error) { return out{}, nil }),
		`"most=2" is neither`:                                 sdk.New(sdk.Info{ID: "p"}, func(*sdk.Job, word) (out, error) { return out{}, nil }),
		`minItems is of an array, not of occurrences`:         sdk.New(sdk.Info{ID: "p"}, func(*sdk.Job, array) (out, error) { return out{}, nil }),
		`a File is an input or output itself`:                 sdk.New(sdk.Info{ID: "p"}, func(*sdk.Job, files) (out, error) { return out{}, nil }),
		`several media types are for a File`:                  sdk.New(sdk.Info{ID: "p"}, func(*sdk.Job, formats) (out, error) { return out{}, nil }),
	} {
		if _, err := sdk.NewHandler(sdk.Plugin{Name: "p", Version: "1"}, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

type formatValue struct {
	Table sdk.File `json:"table" jsonschema:"title=Table,contentMediaType=text/csv,contentMediaType=application/geo+json,contentMediaType=image/png"`
}

func TestAClientChoosesAmongFormats(t *testing.T) {
	t.Parallel()
	var wanted string
	p := sdk.New(sdk.Info{ID: "p"}, func(job *sdk.Job, in formatValue) (formatValue, error) {
		wanted = job.Format("table")
		return in, nil
	})
	for name, c := range map[string]struct{ give, media, content string }{
		"the first":   {`"a,b"`, "text/csv", "a,b"},
		"JSON":        {`{"type":"Point"}`, "application/geo+json", `{"type":"Point"}`},
		"named":       {`{"value":"a,b","mediaType":"text/csv"}`, "text/csv", "a,b"},
		"named bytes": {`{"value":"AQI=","mediaType":"image/png"}`, "image/png", "\x01\x02"},
		"named JSON":  {`{"value":{"a":1},"mediaType":"application/geo+json"}`, "application/geo+json", `{"a":1}`},
	} {
		r := sdktest.Run(t, p, map[string]any{"table": json.RawMessage(c.give)}, sdktest.Format("table", "image/png"))
		if r.Err != nil {
			t.Errorf("%s: %v", name, r.Err)
			continue
		}
		v := r.Outputs["table"]
		if content, err := os.ReadFile(v.Path()); err != nil || string(content) != c.content || v.MediaType() != c.media || wanted != "image/png" {
			t.Errorf("%s: %s %q, %v; wants %s", name, v.MediaType(), content, err, wanted)
		}
	}
	for _, wrong := range []string{`{"value":"AQI=","mediaType":"image/jpeg"}`, `{"value":"!","mediaType":"image/png"}`, `{"value":1,"mediaType":"text/csv"}`} {
		var problem *wire.Problem
		if r := sdktest.Run(t, p, map[string]any{"table": json.RawMessage(wrong)}); !errors.As(r.Err, &problem) || problem.Kind != wire.InvalidInput {
			t.Errorf("%s: %v", wrong, r.Err)
		}
	}
	h, err := sdk.NewHandler(sdk.Plugin{Name: "p", Version: "1"}, p)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"oneOf":[{"contentMediaType":"text/csv","type":"string"},{"contentMediaType":"application/geo+json","type":["object","array"]},` +
		`{"contentEncoding":"base64","contentMediaType":"image/png","type":"string"}]}`
	if d := cmp.Diff(want, string(h.Processes()[0].Description.Inputs["table"].Schema)); d != "" {
		t.Error(d)
	}
}
