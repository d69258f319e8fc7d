package host_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"geomill/sdk/ogc"
)

// received is a callback as a subscriber receives it.
type received struct {
	path, body string
	header     http.Header
}

// subscriber is a server that is called back.
type subscriber struct {
	*httptest.Server
	mu    sync.Mutex
	calls []received
	stuck chan struct{} // while open, no call is answered
}

func newSubscriber(t testing.TB) *subscriber {
	s := &subscriber{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.calls = append(s.calls, received{r.URL.Path, string(body), r.Header})
		stuck := s.stuck
		s.mu.Unlock()
		if stuck != nil {
			select {
			case <-stuck:
			case <-r.Context().Done():
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *subscriber) member() string {
	return `"subscriber":{"successUri":"` + s.URL + `/success?token=t","inProgressUri":"` + s.URL + `/progress","failedUri":"` + s.URL + `/failed"}`
}

// on returns the calls to a path that name a job.
func (s *subscriber) on(path, job string) []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []received
	for _, c := range s.calls {
		if c.path == path && strings.Contains(c.header.Get("Link"), job) {
			found = append(found, c)
		}
	}
	return found
}

func (s *subscriber) await(t testing.TB, path, job string) received {
	t.Helper()
	var found []received
	eventually(t, func() error {
		if found = s.on(path, job); len(found) == 0 {
			return fmt.Errorf("no call of %s for %s", path, job)
		}
		return nil
	})
	return found[0]
}

// callbacks waits until no callback of a job is pending and returns them.
func (c *web) callbacks(t testing.TB, path string) []ogc.Callback {
	t.Helper()
	var document ogc.StatusInfo
	eventually(t, func() error {
		document = ogc.StatusInfo{}
		if err := json.Unmarshal(c.must(t, 200, "GET", path, "").body, &document); err != nil {
			return err
		}
		for _, k := range document.Callbacks {
			if k.Status == "pending" {
				return fmt.Errorf("still pending: %+v", k)
			}
		}
		if len(document.Callbacks) == 0 {
			return errors.New("no callbacks")
		}
		return nil
	})
	return document.Callbacks
}

// TestSubscribersAreCalledBack is the class callback, on the built server.
func TestSubscribersAreCalledBack(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), []byte("0123456789abcdef01234567")
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte("callback-secret: whsec_"+base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, []string{"hello-world", "sleep"}, "--config", config, "--reference-private", "--log-level", "debug")
	c, v := newWeb(t, s.url), newSubscriber(t)
	submit := func(process, inputs string) string {
		return c.must(t, 201, "POST", process, `{"inputs":`+inputs+`,`+v.member()+`}`, "Prefer", "respond-async").job()
	}

	path := submit(hello, `{"name":"a"}`)
	got := v.await(t, "/success", path)
	if want := c.must(t, 200, "GET", path+"/results", ""); got.body != string(want.body) || !strings.Contains(got.body, "Hello a!") {
		t.Errorf("the subscriber got %s, results are %v", got.body, want)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(got.header.Get("webhook-id") + "." + got.header.Get("webhook-timestamp") + "." + got.body))
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Link": "<" + s.url + path + `>; rel="monitor"`,
		"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	} {
		if have := got.header.Get(name); have != want {
			t.Errorf("%s: %s, want %s", name, have, want)
		}
	}
	if agent := got.header.Get("User-Agent"); !strings.HasPrefix(agent, "Geomill/") {
		t.Errorf("agent %s", agent)
	}
	for _, k := range c.callbacks(t, path) {
		if k.Status != "delivered" || k.Attempts != 1 || k.HTTPStatus != 204 || k.LastAttempt == nil || strings.Contains(k.URI, "token") {
			t.Errorf("logged %+v", k)
		}
	}

	path = submit(sleep, `{"seconds":0,"fail":"no bed"}`)
	checkEnd(t, v.await(t, "/failed", path), "failed", "no bed")

	path = submit(sleep, `{"seconds":600}`)
	running := v.await(t, "/progress", path)
	if !strings.Contains(running.body, `"status":"running"`) {
		t.Errorf("progress: %s", running.body)
	}
	c.must(t, 200, "DELETE", path, "")
	checkEnd(t, v.await(t, "/failed", path), "dismissed", "")

	r := c.must(t, 200, "POST", hello, `{"inputs":{"name":"sync"},`+v.member()+`}`)
	if link := r.Header.Get("Link"); !strings.Contains(link, `rel="monitor"`) {
		t.Errorf("the reply to a sync execution has Link %q", link)
	} else if got := v.await(t, "/success", link); !strings.Contains(got.body, "Hello sync!") {
		t.Errorf("the subscriber got %s", got.body)
	}

	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if log := s.log.String(); strings.Contains(log, base64.StdEncoding.EncodeToString(key)) || strings.Contains(log, "token=t") {
		t.Error("the log holds a secret")
	}
}

func checkEnd(t testing.TB, got received, status, detail string) {
	t.Helper()
	var document ogc.StatusInfo
	if err := json.Unmarshal([]byte(got.body), &document); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	if string(document.Status) != status || detail != "" && (document.Exception == nil || !strings.Contains(document.Exception.Detail, detail)) {
		t.Errorf("the subscriber got %s", got.body)
	}
}

// TestAKilledHostLosesNoCallback kills the server between the ends of jobs and
// the answers of their subscriber.
func TestAKilledHostLosesNoCallback(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := newSubscriber(t)
	stuck := make(chan struct{})
	v.stuck = stuck
	s := startServer(t, dir, []string{"hello-world"}, "--reference-private")
	c := newWeb(t, s.url)
	var paths []string
	for n := range 30 {
		body := fmt.Sprintf(`{"inputs":{"name":"n%d"},"subscriber":{"successUri":"%s/success"}}`, n, v.URL)
		paths = append(paths, c.must(t, 201, "POST", hello, body, "Prefer", "respond-async").job())
	}
	for _, path := range paths {
		c.await(t, path, "successful")
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.wait(t)
	v.mu.Lock()
	v.stuck = nil
	v.mu.Unlock()
	close(stuck)

	s = startServer(t, dir, []string{"hello-world"}, "--reference-private")
	c = newWeb(t, s.url)
	for n, path := range paths {
		if log := c.callbacks(t, path); len(log) != 1 || log[0].Status != "delivered" {
			t.Errorf("%s: logged %+v", path, log)
		}
		ids := map[string]bool{}
		for _, got := range v.on("/success", path) {
			ids[got.header.Get("Webhook-Id")] = true
			if !strings.Contains(got.body, fmt.Sprintf("Hello n%d!", n)) {
				t.Errorf("%s: the subscriber got %s", path, got.body)
			}
		}
		if len(ids) != 1 {
			t.Errorf("%s: calls under the ids %v, want one", path, ids)
		}
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

// TestPrivateAddressesAreNotCalledBack names this machine in several ways.
func TestPrivateAddressesAreNotCalledBack(t *testing.T) {
	t.Parallel()
	v := newSubscriber(t)
	s := startServer(t, t.TempDir(), []string{"hello-world"}, "--callback-tries", "1")
	c := newWeb(t, s.url)
	port := v.Listener.Addr().String()[len("127.0.0.1"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "10.0.0.1", "169.254.169.254", "[fe80::1]", "100.64.0.1"} {
		body := `{"inputs":{"name":"x"},"subscriber":{"successUri":"http://` + host + port + `/success"}}`
		path := c.must(t, 201, "POST", hello, body, "Prefer", "respond-async").job()
		if log := c.callbacks(t, c.await(t, path, "successful").path()); len(log) != 1 || log[0].Status != "failed" || !strings.HasPrefix(log[0].Error, "the URI leads to ") {
			t.Errorf("%s: logged %+v", host, log)
		}
	}
	if n := len(v.on("/success", "")); n > 0 {
		t.Errorf("%d calls", n)
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
}

func (s status) path() string { return "/jobs/" + s.JobID }
