package host_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// remains polls until exactly these jobs are listed, newest first.
func (c *web) remains(t *testing.T, paths ...string) {
	t.Helper()
	var want []string
	for _, p := range paths {
		want = append([]string{strings.TrimPrefix(p, "/jobs/")}, want...)
	}
	eventually(t, func() error {
		r, err := c.send("GET", "/jobs?limit=100", "")
		if err != nil {
			return err
		}
		var list struct{ Jobs []struct{ JobID string } }
		if err := json.Unmarshal(r.body, &list); err != nil {
			return err
		}
		var got []string
		for _, j := range list.Jobs {
			got = append(got, j.JobID)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("jobs %v, want %v", got, want)
		}
		return nil
	})
}

// ended runs a job of echo to its end.
func (c *web) ended(t *testing.T, text string) string {
	t.Helper()
	path := c.submit(t, "echo", `{"text":"`+text+`"}`)
	c.await(t, path, "successful")
	return path
}

// TestFinishedJobsSayWhenTheyExpireAndDo keeps them for a short while.
func TestFinishedJobsSayWhenTheyExpireAndDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "geomill.yaml")
	text := "retain-age: 100h\nprocesses: {echo: {retain: {age: 0s}}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, []string{"hello-world", "echo"}, "--config", config)
	c := newWeb(t, s.url)
	forever := c.ended(t, "x")
	path := c.submit(t, "hello-world", `{"name":"you"}`)
	c.await(t, path, "successful")
	var j struct{ Finished, Expires time.Time }
	r := c.must(t, 200, "GET", path, "")
	if err := json.Unmarshal(r.body, &j); err != nil || j.Finished.IsZero() || !j.Expires.Equal(j.Finished.Add(100*time.Hour)) {
		t.Errorf("%v, %v", r, err)
	}
	if r := c.must(t, 200, "GET", forever, ""); strings.Contains(string(r.body), "expires") {
		t.Errorf("a job that is kept for ever: %v", r)
	}
	if r := c.must(t, 200, "GET", "/jobs", ""); strings.Count(string(r.body), `"expires"`) != 1 {
		t.Errorf("list: %v", r)
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	s = startServer(t, dir, nil, "--config", config, "--retain-age", "1ns")
	c = newWeb(t, s.url)
	c.remains(t, forever)
	c.must(t, 410, "GET", path, "")
}

// TestTheQuotaRemovesWhatEndedFirstAndRefusesWhatDoesNotFit has room for a few
// outputs of a mebibyte, and for what a job needs while it runs.
func TestTheQuotaRemovesWhatEndedFirstAndRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	const quota = 9 << 19
	s := startServer(t, t.TempDir(), []string{"echo"}, "--disk-quota", fmt.Sprint(quota), "--slots", "1")
	c := newWeb(t, s.url)
	large := strings.Repeat("x", 1<<20)
	var paths []string
	for range 6 {
		paths = append(paths, c.ended(t, large))
	}
	eventually(t, func() error {
		r, err := c.send("GET", paths[0]+"/results", "")
		if err == nil && r.StatusCode != 410 {
			err = fmt.Errorf("the first job: %v", r)
		}
		return err
	})
	eventually(t, func() error { // files go after their record
		files, err := filepath.Glob(filepath.Join(s.data(), "store", "results", "*"))
		if err == nil && (len(files) == 0 || len(files) > quota>>20) {
			err = fmt.Errorf("outputs of %d jobs are left", len(files))
		}
		return err
	})
	c.must(t, 200, "GET", paths[len(paths)-1]+"/results", "")
	// Inputs that wait count too, and cannot be removed.
	blocker := c.submit(t, "echo", `{"text":"x","pause":600}`)
	c.await(t, blocker, "running")
	eventually(t, func() error {
		r, err := c.send("POST", echo, `{"inputs":{"text":"`+large+`"}}`, "Prefer", "respond-async")
		if err == nil && r.StatusCode != 507 {
			err = fmt.Errorf("beyond the quota: %v", r)
		}
		return err
	})
	c.must(t, 200, "POST", echo, `{"inputs":{"text":"y"}}`) // leaves nothing
	var list struct{ Jobs []struct{ JobID string } }
	r := c.must(t, 200, "GET", "/jobs?status=accepted,running&limit=100", "")
	if err := json.Unmarshal(r.body, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Jobs) > 50 {
		t.Errorf("%d jobs were accepted beyond the quota", len(list.Jobs))
	}
	for _, j := range list.Jobs {
		c.must(t, 200, "DELETE", "/jobs/"+j.JobID, "")
	}
	eventually(t, func() error {
		r, err := c.send("POST", echo, `{"inputs":{"text":"z"}}`, "Prefer", "respond-async")
		if err == nil && r.StatusCode != 201 {
			err = fmt.Errorf("within the quota: %v", r)
		}
		return err
	})
}

// TestADownloadOutlivesItsJob removes a job while its outputs are on their way:
// one that is one file, and one that is put together of two.
func TestADownloadOutlivesItsJob(t *testing.T) {
	t.Parallel()
	const size = 1 << 30
	dir := t.TempDir()
	at := filepath.Join(dir, "plugins", "sparse")
	if err := os.Mkdir(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "sparse")
	if out, err := exec.Command("go", "build", "-o", binary, "./testdata/sparse").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	place(t, binary, at)
	s := startServer(t, dir, nil)
	c := newWeb(t, s.url)
	for _, form := range []struct{ path, accept string }{{"/results/raster", "*/*"}, {"/results?f=json", "application/json"}} {
		path := c.must(t, 201, "POST", "/processes/sparse/execution", fmt.Sprintf(`{"inputs":{"bytes":%d}}`, size), "Prefer", "respond-async").job()
		c.await(t, path, "successful")
		req, err := http.NewRequest("GET", c.url+path+form.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", form.accept)
		req.Header.Set("Prefer", "return=representation")
		res, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %s, %v", form.path, res.Status, err)
		}
		c.must(t, 200, "DELETE", path, "")
		c.must(t, 410, "GET", path, "")
		n, err := io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if n += 1 << 20; err != nil || n < size || res.ContentLength != n {
			t.Errorf("%s: %d bytes, %v; want %d", form.path, n, err, res.ContentLength)
		}
		eventually(t, func() error {
			left, err := filepath.Glob(filepath.Join(s.data(), "store", "*", strings.TrimPrefix(path, "/jobs/")+"*"))
			if err == nil && len(left) > 0 {
				err = fmt.Errorf("left: %v", left)
			}
			return err
		})
	}
}

// TestADataDirectoryThatCannotBeWrittenIsSaidInOneLine starts on one that is
// mounted read-only.
func TestADataDirectoryThatCannotBeWrittenIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := mountSmall(t, dir)
	if err := syscall.Mount("", data, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(built(t), "geomill"), "serve", "--listen", "127.0.0.1:0", "--plugins", dir, "--data", data)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "read-only file system") {
		t.Errorf("%v, %q", err, out)
	}
}

// TestADataDirectoryThatGoesAwayBreaksNoRequestButThoseThatNeedIt takes it away
// from under the server.
func TestADataDirectoryThatGoesAwayBreaksNoRequestButThoseThatNeedIt(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir(), []string{"hello-world", "echo"})
	c := newWeb(t, s.url)
	large := strings.Repeat("x", 1<<20)
	c.ended(t, large)
	if err := os.RemoveAll(s.data()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.must(t, 200, "POST", hello, `{"inputs":{"name":"you"}}`)
		c.must(t, 200, "GET", "/processes", "")
		r, err := c.send("POST", echo, `{"inputs":{"text":"`+large+`"}}`, "Prefer", "respond-async")
		if err != nil || r.StatusCode != 500 && r.StatusCode != 201 {
			t.Errorf("%v, %v", r, err)
		}
	}
	_ = s.end(t, syscall.SIGTERM)
	if log := s.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		t.Error("the server panicked")
	}
}
