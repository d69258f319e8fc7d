package host_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// reused is what tests read of a status document with reused results.
type reused struct{ Status, ReusedFrom string }

func (c *web) reused(t testing.TB, path string) (r reused) {
	t.Helper()
	if err := json.Unmarshal(c.must(t, 200, "GET", path, "").body, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestResultsOfDeterministicProcessesAreReused has an operator declare processes
// to be deterministic, and looks at what is run and what is not.
func TestResultsOfDeterministicProcessesAreReused(t *testing.T) {
	t.Parallel()
	versions := buildVersions(t, "1.0.0", "2.0.0")
	dir := t.TempDir()
	at := filepath.Join(dir, "plugins", "versioned")
	config := filepath.Join(dir, "geomill.yaml")
	for _, err := range []error{
		os.Mkdir(filepath.Dir(at), 0o755),
		os.WriteFile(config, []byte("processes:\n  versioned: {deterministic: true}\n  echo: {deterministic: true}\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	place(t, filepath.Join(versions, "1.0.0"), at)
	s := startServer(t, dir, []string{"echo"}, "--config", config)
	c := newWeb(t, s.url)
	const body = `{"inputs":{"milliseconds":1}}`
	hit := func(want bool, header ...string) reply {
		t.Helper()
		r := c.must(t, 200, "POST", versioned, `{"inputs":{"milliseconds":10e-1} }`, header...)
		if got := r.Header.Get("Cache-Status") == "geomill; hit"; got != want || got != (r.Header.Get("Age") != "") {
			t.Errorf("hit %v, want %v: %v", got, want, r.Header)
		}
		return r
	}
	hit(false)
	hit(false) // the first left no record
	source := c.submit(t, "versioned", `{"milliseconds":1}`)
	c.await(t, source, "successful")
	if r := hit(true); !strings.Contains(string(r.body), "1.0.0") || strings.Contains(fmt.Sprint(r.Header), "/jobs/") {
		t.Errorf("%v, %v", r.Header, r)
	}
	hit(false, "Cache-Control", "no-cache")

	copied := c.must(t, 201, "POST", versioned, body, "Prefer", "respond-async")
	if j := c.reused(t, copied.job()); j.Status != "successful" || j.ReusedFrom != strings.TrimPrefix(source, "/jobs/") {
		t.Errorf("job %+v", j)
	}
	c.must(t, 200, "DELETE", source, "")
	c.must(t, 200, "GET", copied.job()+"/results", "")
	hit(false)
	c.await(t, c.submit(t, "versioned", `{"milliseconds":1}`), "successful")

	if err := s.end(t, syscall.SIGKILL); err == nil {
		t.Error("it ended in order")
	}
	s = startServer(t, dir, nil, "--config", config)
	c = newWeb(t, s.url)
	hit(true)
	place(t, filepath.Join(versions, "2.0.0"), at)
	eventually(t, func() error {
		r, err := c.send("POST", versioned, `{"inputs":{"milliseconds":2}}`)
		if err == nil && !strings.Contains(string(r.body), "2.0.0") {
			err = fmt.Errorf("%v", r)
		}
		return err
	})
	if r := hit(false); !strings.Contains(string(r.body), "2.0.0") {
		t.Errorf("%v", r)
	}
}

// TestLargeReusedOutputsOutliveTheirSource removes jobs that share a file in
// either order.
func TestLargeReusedOutputsOutliveTheirSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "geomill.yaml")
	if err := os.WriteFile(config, []byte("processes:\n  \"*\": {deterministic: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, []string{"echo"}, "--config", config)
	c := newWeb(t, s.url)
	body := `{"inputs":{"text":"` + strings.Repeat("x", 2<<20) + `"},"outputs":{"text":{}}}`
	source := c.must(t, 201, "POST", "/processes/echo/execution", body, "Prefer", "respond-async").job()
	c.await(t, source, "successful")
	copies := []string{source}
	for range 2 {
		r := c.must(t, 201, "POST", "/processes/echo/execution", body, "Prefer", "respond-async")
		if c.reused(t, r.job()).ReusedFrom == "" {
			t.Fatalf("not reused: %v", r)
		}
		copies = append(copies, r.job())
	}
	for i := range copies {
		for _, left := range copies[i:] {
			if r := c.must(t, 200, "GET", left+"/results/text", ""); len(r.body) < 2<<20 {
				t.Errorf("%s has %d bytes", left, len(r.body))
			}
		}
		c.must(t, 200, "DELETE", copies[i], "")
	}
	if left, err := os.ReadDir(filepath.Join(s.data(), "store", "results")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestValidationFindsTheFaultsOfAnExecution has a real process's description judge
// a request.
func TestValidationFindsTheFaultsOfAnExecution(t *testing.T) {
	t.Parallel()
	in := startInside(t, t.TempDir(), "buffer")
	c := newWeb(t, in.url)
	const validation = "/processes/buffer/validation"
	r := c.must(t, 200, "POST", validation, `{"inputs":{"features":{"type":"Point","coordinates":[1,2]},"distance":5}}`)
	if string(r.body) != `{"valid":true,"processID":"buffer","mode":"sync","outputs":{"result":{}}}`+"\n" {
		t.Errorf("%v", r)
	}
	r = c.must(t, 400, "POST", validation, `{"inputs":{"features":{"href":"file:///etc/passwd"},"distance":"far","more":1},"response":"x"}`)
	for _, fault := range []string{"/inputs/features/href", "/inputs/distance", "/inputs/more", "/response"} {
		if !strings.Contains(string(r.body), `"pointer":"`+fault+`"`) {
			t.Errorf("%s is not told: %v", fault, r)
		}
	}
	if jobs := c.must(t, 200, "GET", "/jobs", ""); strings.Contains(string(jobs.body), "jobID") {
		t.Errorf("%v", jobs)
	}
}
