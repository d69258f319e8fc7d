package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const collection = `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"zone":"Z"},"geometry":null}]}`

// server answers like the real one; final is the status that jobs end with.
func server(t *testing.T, final string) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, code int, body string) {
		w.WriteHeader(code)
		if _, err := io.WriteString(w, body); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("POST /processes/buffer/execution", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Prefer") != "respond-async" {
			t.Error("buffer is not asynchronous")
		}
		w.Header().Set("Location", "/jobs/1")
		answer(w, http.StatusCreated, `{"status":"accepted"}`)
	})
	polls := make(chan string, 2)
	polls <- `{"status":"running","progress":40,"message":"half-way"}`
	polls <- final
	mux.HandleFunc("GET /jobs/1", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, <-polls) })
	mux.HandleFunc("GET /jobs/1/results", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, `{"result":{"value":`+collection+`}}`)
	})
	mux.HandleFunc("POST /processes/overlay/execution", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Inputs map[string]json.RawMessage }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Inputs) != 3 {
			t.Errorf("inputs %v, %v", body.Inputs, err)
		}
		answer(w, http.StatusOK, `{"result":{"value":`+collection+`},"count":7,"area":2.5e12}`)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func settings(t *testing.T, url string) config {
	t.Helper()
	data := t.TempDir()
	for _, name := range []string{"countries", "zones"} {
		if err := os.WriteFile(filepath.Join(data, name+".geojson"), []byte(collection), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config{url: url, data: data, out: filepath.Join(t.TempDir(), "new", "out"), timeout: time.Minute}
}

func TestReportNamesProgressCountsAreasAndFiles(t *testing.T) {
	t.Parallel()
	c := settings(t, server(t, `{"status":"successful","progress":100}`).URL)
	var report bytes.Buffer
	if err := run(context.Background(), c, &report); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"40 %  running: half-way", "1 features in, 1 out", "in   7 countries   2.50 million km²", filepath.Join(c.out, "coast.geojson")} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("no %q in\n%s", want, &report)
		}
	}
	for _, name := range []string{"coast", "coastal-waters", "land-by-zone"} {
		text, err := os.ReadFile(filepath.Join(c.out, name+".geojson"))
		if err != nil || string(text) != collection {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

func TestFailuresAreReported(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, final, want string }{
		{"a failed job", `{"status":"failed","exception":{"title":"the process failed","detail":"out of ink"}}`, "out of ink"},
		{"a dismissed job", `{"status":"dismissed","message":"not today"}`, "not today"},
		{"an answer that is none", `<html>`, "answered 200"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := run(context.Background(), settings(t, server(t, test.final).URL), io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want something about %q", err, test.want)
			}
		})
	}
}
