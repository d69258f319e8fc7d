package api

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"testing"
)

// sink is a ResponseWriter that costs nothing.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

// rewound is a request body that can be read again.
type rewound struct{ *bytes.Reader }

func (rewound) Close() error { return nil }

// BenchmarkExecute measures what the api itself costs for a synchronous
// hello-world.
func BenchmarkExecute(b *testing.B) {
	a := newAPI(b, hello(b), func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		c.RequestID = nil
	})
	text := []byte(`{"inputs":{"name":"hi there2"}}`)
	src := bytes.NewReader(text)
	r, err := http.NewRequest("POST", "http://localhost"+helloExecution, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {mediaJSON}, "Accept": {"*/*"}}
	r.Body, r.ContentLength = rewound{src}, int64(len(text))
	w := &sink{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(text)
		clear(w.h)
		a.ServeHTTP(w, r)
	}
}
