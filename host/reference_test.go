package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// elsewhere is a web server that inputs are fetched from. It tells on left when
// the fetch of /endless was broken off.
func elsewhere(t *testing.T) (url string, left chan struct{}) {
	t.Helper()
	left = make(chan struct{}, 1)
	mux := http.NewServeMux()
	give := func(path, media, content string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = io.WriteString(w, content)
		})
	}
	give("/text", "text/plain; charset=utf-8", "grüß\n\"dich\"")
	give("/numbers", "application/json", "[1, 2, 3]")
	give("/named", "application/geo+json", `{"name":"x"}`)
	give("/page", "text/html", "<html>")
	mux.Handle("/moved", http.RedirectHandler("/text", http.StatusFound))
	mux.Handle("/metadata", http.RedirectHandler("http://169.254.169.254/latest/meta-data/", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	block := bytes.Repeat([]byte("0123456789abcde\n"), 64<<10)
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for range largeReference / len(block) {
			_, _ = w.Write(block)
		}
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(block)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			left <- struct{}{}
		case <-time.After(patience):
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL, left
}

const largeReference = 128 << 20

func TestInputsByReference(t *testing.T) {
	t.Parallel()
	web, left := elsewhere(t)
	s := startServer(t, t.TempDir(), []string{"echo"}, "--reference-private", "--reference-max-bytes", fmt.Sprint(largeReference+1000))
	c := newWeb(t, s.url)
	t.Run("values", func(t *testing.T) { testReferencedValues(t, c, web) })
	t.Run("faults", func(t *testing.T) { testFaulty(t, c, faultyReferences(web)) })
	t.Run("large", func(t *testing.T) { testLargeReference(t, s, c, web) })
	t.Run("left", func(t *testing.T) { testLeavesFetch(t, s, c, web, left) })
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if strings.Contains(s.log.String(), "request failed") {
		t.Errorf("the log has a failure:\n%s", s.log.String())
	}
}

// testReferencedValues sends inputs by reference, among others by value.
func testReferencedValues(t *testing.T, c *web, web string) {
	body := fmt.Sprintf(`{"inputs":{"text":{"href":"%[1]s/moved","type":"text/plain"},"numbers":{"href":"%[1]s/numbers"},
		"mixed":{"href":"%[1]s/named"},"pause":{"value":0}},"response":"document"}`, web)
	same := func(t *testing.T, r reply) {
		t.Helper()
		var doc struct {
			Text    string
			Numbers []int
			Count   int
			Mixed   struct{ Value struct{ Name string } }
		}
		if err := json.Unmarshal(r.body, &doc); err != nil || doc.Text != "grüß\n\"dich\"" || len(doc.Numbers) != 3 || doc.Count != 4 || doc.Mixed.Value.Name != "x" {
			t.Errorf("%v: %v", r, err)
		}
	}
	same(t, c.must(t, 200, "POST", echo, body))
	path := c.must(t, 201, "POST", echo, body, "Prefer", "respond-async").job()
	c.await(t, path, "successful")
	same(t, c.must(t, 200, "GET", path+"/results", ""))
	c.must(t, 200, "DELETE", path, "")
}

func faultyReferences(web string) []faulty {
	var rows []faulty
	for _, href := range []string{
		web + "/none", web + "/loop", web + "/metadata", web + "/page", "file:///etc/passwd", "http://169.254.169.254/", "/relative",
		"http://user:pass@" + strings.TrimPrefix(web, "http://") + "/text", "http://0x7f.1/", "gopher://127.0.0.1:70/",
	} {
		for _, prefer := range [][]string{nil, {"Prefer", "respond-async"}} {
			rows = append(rows, faulty{href + strings.Join(prefer, " "), "POST", echo,
				fmt.Sprintf(`{"inputs":{"text":"x","numbers":{"href":%q}}}`, href), prefer, 400, "InvalidParameterValue", []string{"numbers /inputs/numbers/href"}})
		}
	}
	return append(rows, faulty{"several", "POST", echo, fmt.Sprintf(`{"inputs":{"text":{"href":"%[1]s/none"},"numbers":{"href":"%[1]s/named"},"mixed":{"href":"%[1]s/named","type":"application/xml"}}}`, web),
		nil, 400, "InvalidParameterValue", []string{"mixed /inputs/mixed/type"}},
		faulty{"several, fetched", "POST", echo, fmt.Sprintf(`{"inputs":{"text":{"href":"%[1]s/none"},"numbers":{"href":"%[1]s/named"},"mixed":{"href":"%[1]s/named"}}}`, web),
			nil, 400, "InvalidParameterValue", []string{"text /inputs/text/href", "numbers /inputs/numbers/href"}})
}

// testLargeReference takes 128 MiB through the server without its memory
// growing by as much.
func testLargeReference(t *testing.T, s *server, c *web, web string) {
	process := &process{cmd: s.cmd}
	before, _ := process.rss(t)
	path := c.submit(t, "echo", fmt.Sprintf(`{"text":{"href":"%s/large"}}`, web))
	c.await(t, path, "successful")
	res, err := c.http.Get(c.url + path + "/results/text")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if want := int64(largeReference + largeReference/16 + 2); err != nil || n != want { // each line's end is escaped
		t.Errorf("%d bytes came back, want %d, %v", n, want, err)
	}
	if _, most := process.rss(t); most > before+64 {
		t.Errorf("%.0f MiB of memory, %.0f before", most, before)
	} else {
		t.Logf("%.0f MiB of memory, %.0f before", most, before)
	}
	c.must(t, 200, "DELETE", path, "")
	r := c.must(t, 400, "POST", echo, fmt.Sprintf(`{"inputs":{"text":{"href":"%[1]s/large"},"mixed":{"href":"%[1]s/large"}}}`, web))
	if !strings.Contains(string(r.body), "together") && !strings.Contains(string(r.body), "more bytes") {
		t.Errorf("two large ones: %v", r)
	}
}

// testLeavesFetch leaves while an input is being fetched: the fetch ends, and
// nothing of it stays.
func testLeavesFetch(t *testing.T, s *server, c *web, web string, left chan struct{}) {
	c.http.CloseIdleConnections()
	before := openFiles(t, s.cmd.Process.Pid)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- leavable(ctx, c, echo, fmt.Sprintf(`{"inputs":{"text":{"href":"%s/endless"}}}`, web)) }()
	eventually(t, func() error {
		files, _ := filepath.Glob(filepath.Join(s.data(), "jobs", "*", "in", "text*"))
		if len(files) == 0 {
			return errors.New("nothing was fetched yet")
		}
		_, err := os.Stat(files[0])
		return err
	})
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the request ended with %v", err)
	}
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the fetch goes on")
	}
	s.settles(t, c, before)
}

// By default nothing of this machine is fetched.
func TestReferencesToPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	t.Cleanup(web.Close)
	s := startServer(t, t.TempDir(), []string{"echo"})
	c := newWeb(t, s.url)
	port := web.URL[strings.LastIndex(web.URL, ":"):]
	var rows []faulty
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "[::]", "169.254.169.254", "10.0.0.1"} {
		rows = append(rows, faulty{host, "POST", echo, fmt.Sprintf(`{"inputs":{"text":{"href":"http://%s%s/"}}}`, host, port), nil, 400, "InvalidParameterValue", []string{"text /inputs/text/href"}})
	}
	testFaulty(t, c, rows)
	if len(asked) > 0 {
		t.Errorf("the server asked %d times", len(asked))
	}
}
