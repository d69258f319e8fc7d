package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// bilingual is a service with a process in English and German, whose schemas say
// what version 1.0 cannot.
func bilingual(t testing.TB) *fakeService {
	t.Helper()
	min := 0
	p, err := job.NewProcess(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{
			ID: "greet", Version: "1.0.0", Title: "Greeting",
			Metadata:             []ogc.Metadata{{Role: "r", Title: "M", Lang: "en", Value: json.RawMessage(`{"a":1}`)}},
			AdditionalParameters: json.RawMessage(`{"parameters":[{"name":"p","value":[1]}]}`),
			Translations: map[string]ogc.Translation{"de": {
				Title: "Gruß", Inputs: map[string]ogc.Translation{"times": {Title: "Anzahl"}},
			}},
		},
		Inputs: map[string]ogc.Input{"times": {
			Title: "Times", MinOccurs: &min, ValuePassing: []string{"byValue"}, DataClasses: []string{"https://example.com/class"},
			Schema: json.RawMessage(`{"type":"integer","exclusiveMinimum":0,"$comment":"as declared"}`),
		}},
		Outputs: map[string]ogc.Output{"text": {Schema: json.RawMessage(`{"type":"string"}`)}},
	}, job.Policy{}, job.Plugin{})
	if err != nil {
		t.Fatal(err)
	}
	return &fakeService{processes: []*job.Process{p}}
}

func TestDescriptionsAreInTheLanguageOfTheReader(t *testing.T) {
	t.Parallel()
	a := newAPI(t, bilingual(t))
	for _, c := range []struct{ query, accept, lang, title, input string }{
		{"", "", "en", "Greeting", "Times"},
		{"", "de-CH, en;q=0.5", "de", "Gruß", "Anzahl"},
		{"", "fr", "en", "Greeting", "Times"},
		{"", "not;a=language", "en", "Greeting", "Times"},
		{"?lang=de", "en", "de", "Gruß", "Anzahl"},
		{"?lang=fr", "de", "de", "Gruß", "Anzahl"},
		{"?lang=qq-12", "de", "de", "Gruß", "Anzahl"},
	} {
		w := do(t, a, "GET", "/processes/greet"+c.query, "", "Accept-Language: "+c.accept)
		d := decode[ogc.Process](t, w)
		if d.Title != c.title || d.Inputs["times"].Title != c.input || w.Header().Get("Content-Language") != c.lang ||
			!slices.Contains(w.Header().Values("Vary"), "Accept-Language") || d.Translations != nil {
			t.Errorf("%s with %q: %v, title %q, input %q", c.query, c.accept, w.Header(), d.Title, d.Inputs["times"].Title)
		}
		w = do(t, a, "GET", "/processes"+c.query, "", "Accept-Language: "+c.accept)
		list := decode[ogc.ProcessList](t, w)
		if list.Processes[0].Title != c.title || w.Header().Get("Content-Language") != c.lang {
			t.Errorf("list, %s with %q: %v, title %q", c.query, c.accept, w.Header(), list.Processes[0].Title)
		}
	}
	for _, path := range []string{"/processes?lang=no+language", "/processes/greet?lang="} {
		w := do(t, a, "GET", path, "")
		wantProblem(t, w, http.StatusBadRequest, ogc.InvalidQueryParameterValue)
	}
	w := do(t, newAPI(t, hello(t)), "GET", "/processes/hello-world", "", "Accept-Language: de")
	if w.Header().Get("Content-Language") != "en" || slices.Contains(w.Header().Values("Vary"), "Accept-Language") {
		t.Errorf("one language: %v", w.Header())
	}
}

func TestTheProfileOfDescriptionsHasSchemasAsDeclared(t *testing.T) {
	t.Parallel()
	a := newAPI(t, bilingual(t))
	for query, want := range map[string]string{
		"":                                 `{"exclusiveMinimum":true,"minimum":0,"type":"integer"}`,
		"?profile=ogc-process-description": `{"type":"integer","exclusiveMinimum":0,"$comment":"as declared"}`,
		"?profile=x,https://www.opengis.net/def/profile/OGC/0/ogc-process-description": `{"type":"integer","exclusiveMinimum":0,"$comment":"as declared"}`,
		"?profile=ogc-results": `{"exclusiveMinimum":true,"minimum":0,"type":"integer"}`,
	} {
		w := do(t, a, "GET", "/processes/greet"+query, "")
		same(t, decode[ogc.Process](t, w).Inputs["times"].Schema, want)
	}
}

func TestDescriptionsPassOnWhatPluginsDeclare(t *testing.T) {
	t.Parallel()
	d := decode[ogc.Process](t, do(t, newAPI(t, bilingual(t)), "GET", "/processes/greet", ""))
	in := d.Inputs["times"]
	if len(in.ValuePassing) != 1 || len(in.DataClasses) != 1 || string(d.Metadata[0].Value) != `{"a":1}` || d.AdditionalParameters == nil {
		t.Errorf("%+v", d)
	}
	if len(d.JobControlOptions) != 2 || len(d.OutputTransmission) != 2 {
		t.Errorf("the host adds %v and %v", d.JobControlOptions, d.OutputTransmission)
	}
	for _, rel := range []string{"self", "up", "service", "profile", ogc.RelExecute, ogc.RelJobList} {
		if href(d.Links, rel) == "" {
			t.Errorf("no link %s", rel)
		}
	}
}
