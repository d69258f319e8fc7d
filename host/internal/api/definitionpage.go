package api

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

var (
	//go:embed definition.html
	pageText string
	//go:embed definition.css
	pageStyle string

	// The page is one file: its style is in it, and the browser is told to take
	// no other, and nothing from elsewhere.
	page       = template.Must(template.New("definition").Parse(strings.Replace(pageText, "STYLE", pageStyle, 1)))
	pagePolicy = "default-src 'none'; style-src 'sha256-" + hash(pageStyle) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// definitionPage answers GET /api with a page for people (1.0
// /req/oas30/oas-definition-2, /req/html/content).
func (a *API) definitionPage(w http.ResponseWriter, r *http.Request) error {
	base := a.base(r)
	view := pageView{Title: a.config.Title, Description: a.config.Description, Base: base}
	for _, p := range a.service.Processes() {
		view.Processes = append(view.Processes, pageOf(p, base))
	}
	parameters := a.parameterDocs(nil)
	for _, rt := range a.routes {
		view.Operations = append(view.Operations, operationView(rt, parameters))
	}
	var b bytes.Buffer
	if err := page.Execute(&b, view); err != nil {
		return fmt.Errorf("write definition page: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", mediaHTML+"; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	_, err := w.Write(b.Bytes())
	return err
}

// pageView is what the page shows.
type pageView struct {
	Title, Description, Base string
	Processes                []pageProcess
	Operations               []pageOperation
}

type pageProcess struct {
	ID, Title, Description, Version string
	Inputs, Outputs                 []pageValue
	Command                         string // that executes the example; empty when there is none
}

type pageValue struct {
	ID, Title, Description, Occurs, Schema string
}

type pageOperation struct {
	Method, Path, Summary string
	Parameters            []pageParameter
	Statuses              []pageStatus
}

type pageParameter struct{ Name, In, Description string }

type pageStatus struct {
	Code    int
	Meaning string
}

func pageOf(p *job.Process, base string) pageProcess {
	d := p.Description("", false)
	v := pageProcess{ID: p.ID, Title: cmp.Or(d.Title, p.ID), Description: d.Description, Version: d.Version}
	for _, id := range slices.Sorted(maps.Keys(d.Inputs)) {
		in := d.Inputs[id]
		v.Inputs = append(v.Inputs, pageValue{id, in.Title, in.Description, occurs(in.Min(), in.Max()), indented(in.Schema)})
	}
	for _, id := range slices.Sorted(maps.Keys(d.Outputs)) {
		out := d.Outputs[id]
		v.Outputs = append(v.Outputs, pageValue{ID: id, Title: out.Title, Description: out.Description, Schema: indented(out.Schema)})
	}
	if example, ok := exampleOf(p); ok {
		if text, err := json.Marshal(example); err == nil {
			v.Command = "curl -H " + shellQuote("Content-Type: "+mediaJSON) + " -d " + shellQuote(string(text)) +
				" " + shellQuote(base+"/processes/"+p.ID+"/execution")
		}
	}
	return v
}

// occurs says how often an input is given.
func occurs(least int, most ogc.Occurs) string {
	switch {
	case least == 1 && most == 1:
		return "required"
	case least == 0 && most == 1:
		return "optional"
	case most == ogc.Unbounded:
		return "at least " + strconv.Itoa(least)
	}
	return strconv.Itoa(least) + " to " + most.String()
}

func indented(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

// shellQuote makes s one word of a shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// operationView describes a route by what the OpenAPI document says of it.
func operationView(rt route, parameters object) pageOperation {
	path, names := openPath(rt.path)
	v := pageOperation{Method: rt.method, Path: path, Summary: rt.doc.summary}
	for _, name := range append(names, rt.doc.params...) {
		p, _ := parameters[name].(object)
		text := func(member string) string { s, _ := p[member].(string); return s }
		v.Parameters = append(v.Parameters, pageParameter{text("name"), text("in"), text("description")})
	}
	for _, rp := range rt.doc.replies {
		v.Statuses = append(v.Statuses, pageStatus{rp.status, rp.summary})
	}
	for _, status := range rt.doc.errors {
		v.Statuses = append(v.Statuses, pageStatus{status, http.StatusText(status)})
	}
	return v
}
