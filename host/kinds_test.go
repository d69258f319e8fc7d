package host_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const kinds = "/processes/kinds/execution"

// startKinds runs the built server with the plugin that has values of every kind.
func startKinds(t *testing.T) *web {
	t.Helper()
	dir := t.TempDir()
	plugins := filepath.Join(dir, "plugins")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(plugins, "kinds"), "./testdata/kinds").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return newWeb(t, startServer(t, dir, nil).url)
}

// TestValuesOfEveryKindOfTheSDK sends values as clients write them, which is not
// always as processes get them.
func TestValuesOfEveryKindOfTheSDK(t *testing.T) {
	t.Parallel()
	c := startKinds(t)
	c.must(t, 200, "GET", "/api", "")
	c.must(t, 200, "GET", "/processes/kinds", "")
	const point = `{"type":"Point","coordinates":[1,2]}`
	for name, row := range map[string]struct{ give, want string }{
		"box":               {`"box":{"bbox":[1,2,3,4]}`, `"box":{"bbox":[1,2,3,4],"crs":"http://www.opengis.net/def/crs/OGC/1.3/CRS84"}`},
		"box as an array":   {`"box":[1,2,3,4]`, `"box":{"bbox":[1,2,3,4],"crs":"http://www.opengis.net/def/crs/OGC/1.3/CRS84"}`},
		"geometry":          {`"shape":` + point, `"shape":{"value":` + point + `}`},
		"geometry by value": {`"shape":{"value":` + point + `,"mediaType":"application/geo+json"}`, `"shape":{"value":` + point + `}`},
		"feature":           {`"one":{"type":"Feature","geometry":null,"properties":{}}`, `"one":{"value":{"type":"Feature","geometry":null,"properties":{}}}`},
		"day":               {`"day":"2026-01-31"`, `"day":"2026-01-31"`},
		"measure":           {`"distance":{"measurement":1,"uom":"m"}`, `"distance":{"value":{"measurement":1,"uom":"m"}}`},
		"reference":         {`"link":{"href":"http://192.0.2.1/none"}`, `"link":{"value":{"href":"http://192.0.2.1/none"}}`},
		"one occurrence":    {`"numbers":7`, `"numbers":[7]`},
		"occurrences":       {`"numbers":[7,8]`, `"numbers":[7,8]`},
		"text":              {`"table":{"value":"a,b","mediaType":"text/csv"}`, `"table":{"value":"a,b","mediaType":"text/csv"}`},
		"large text":        {`"table":{"value":"` + strings.Repeat("a", 300<<10) + `","mediaType":"text/csv"}`, `"table":{"value":"` + strings.Repeat("a", 300<<10) + `","mediaType":"text/csv"}`},
		"bytes":             {`"table":{"value":"AQI=","mediaType":"image/png"}`, `"table":{"value":"AQI=","mediaType":"image/png","encoding":"base64"}`},
		"a JSON format":     {`"table":{"value":` + point + `,"mediaType":"application/geo+json"}`, `"table":{"value":` + point + `,"mediaType":"application/geo+json"}`},
	} {
		r := c.must(t, 200, "POST", kinds, `{"inputs":{`+row.give+`},"response":"document"}`)
		got, want := map[string]any{}, map[string]any{}
		if err := json.Unmarshal(r.body, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte("{"+row.want+"}"), &want); err != nil {
			t.Fatal(err)
		}
		for id, value := range want {
			a, _ := json.Marshal(got[id])
			b, _ := json.Marshal(value)
			if string(a) != string(b) {
				t.Errorf("%s: %.300s, want %.300s", name, a, b)
			}
		}
	}
	for _, wrong := range []string{
		`"box":[1,2,3]`, `"shape":{"type":"Point"}`, `"day":"31.1.2026"`, `"distance":1`, `"link":{"rel":"x"}`, `"numbers":[1,2,3,4]`,
	} {
		c.must(t, 400, "POST", kinds, `{"inputs":{`+wrong+`}}`)
	}
	if r := c.must(t, 200, "POST", kinds, `{"inputs":{"table":{"value":"a","mediaType":"text/csv"}},"outputs":{"table":{"format":{"mediaType":"text/csv"}},"wanted":{}},"response":"document"}`); !strings.Contains(string(r.body), `"wanted":"text/csv"`) {
		t.Errorf("the process is not told which format is wanted: %s", r.body)
	}
}
