package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
)

func TestContentIsFetchedAsAskedFor(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", `Image/TIFF; Application=geotiff`)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), body)
		seen <- r
	})
	c := client(t)
	var b bytes.Buffer
	got, err := c.Fetch(t.Context(), job.Reference{
		Href: s.URL + "/a%20b?c=d#e", Method: "POST", Header: map[string]string{"Accept": "image/tiff", "Content-Type": "text/plain"}, Body: []byte("hello"),
	}, &b)
	if err != nil || b.String() != "POST /a%20b?c=d hello" || got.MediaType != "image/tiff; application=geotiff" {
		t.Errorf("%q, %+v, %v", &b, got, err)
	}
	r := <-seen
	for name, want := range map[string]string{"Accept": "image/tiff", "Content-Type": "text/plain", "User-Agent": "Geomill", "Accept-Encoding": "identity", "Cookie": "", "Authorization": "", "Referer": ""} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestMediaTypesAreReadCarefully(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"": "", "application/json": "application/json", "TEXT/HTML; Charset=UTF-8": "text/html; charset=UTF-8", "nonsense": "", "a/b; c": "", ";;;": "",
		"a/b\x7f": "", "a/b; c=\"d\\\"e\"": `a/b; c="d\"e"`, "a/" + strings.Repeat("b", 300): "", "/": "", "a/b, c/d": "",
	} {
		if got := mediaType(header); got != want {
			t.Errorf("%q is read as %q, want %q", header, got, want)
		}
	}
}

func TestAnswersWithoutContentAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.WriteHeader(status)
		if status != 204 && status != 304 {
			fmt.Fprint(w, "secret")
		}
	})
	c := client(t)
	for _, status := range []int{201, 202, 204, 206, 300, 304, 400, 401, 403, 404, 418, 500, 503} {
		content, _, err := fetch(t, c, fmt.Sprintf("%s/%d", s.URL, status))
		fails(t, err, job.RemoteBadAnswer)
		if content != "" || !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("%d: %q, %v", status, content, err)
		}
	}
}

func TestBrokenAnswersAreRefused(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, text := range map[string]string{
		"nothing":                "",
		"no HTTP":                "SSH-2.0-OpenSSH_9\r\n",
		"short":                  ok + "Content-Length: 100\r\n\r\nabc",
		"chunk cut off":          ok + "Transfer-Encoding: chunked\r\n\r\n10\r\nabc",
		"wrong chunk":            ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc",
		"two lengths":            ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"negative length":        ok + "Content-Length: -1\r\n\r\nab",
		"huge header":            ok + "X: " + strings.Repeat("a", 2*maxHeader) + "\r\n\r\n",
		"many headers":           ok + strings.Repeat("X: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 2*maxHeader/30) + "\r\n",
		"endless hints":          strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", 10_000) + ok + "\r\n",
		"unknown encoding":       ok + "Content-Encoding: br\r\nContent-Length: 1\r\n\r\na",
		"two encodings":          ok + "Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\na",
		"gzip that is not":       ok + "Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n12345678901234567890",
		"gzip that is too short": ok + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\n\x1f",
		"a switch of protocols":  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content, _, err := fetch(t, client(t), raw(t, "127.0.0.1:0", answer(text)))
			if name == "no HTTP" || name == "nothing" {
				content = "" // of no interest
			}
			fails(t, err, job.RemoteBadAnswer)
			if strings.Contains(content, "SSH") {
				t.Errorf("content %q", content)
			}
		})
	}
}

func TestLongerAnswerThanDeclaredIsCutToItsLength(t *testing.T) {
	t.Parallel()
	content, _, err := fetch(t, client(t), raw(t, "127.0.0.1:0", answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")))
	if err != nil || content != "abc" {
		t.Errorf("%q, %v", content, err)
	}
}

// endless writes until the other side has enough.
func endless(w http.ResponseWriter, block []byte) {
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func TestAnswersBeyondTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 64<<10)
	var bomb bytes.Buffer
	z, _ := gzip.NewWriterLevel(&bomb, gzip.BestCompression)
	for range 64 {
		_, _ = z.Write(zeros)
	}
	_ = z.Close()
	var empty bytes.Buffer
	_ = gzip.NewWriter(&empty).Close()
	for name, h := range map[string]http.HandlerFunc{
		"endless": func(w http.ResponseWriter, r *http.Request) { endless(w, zeros) },
		"declared": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1048577")
			endless(w, zeros)
		},
		"a bomb": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		},
		"endless empty archives": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			endless(w, bytes.Repeat(empty.Bytes(), 1000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, h)
			content, _, err := fetch(t, client(t, func(p *Policy) { p.MaxBytes = 1 << 20 }), s.URL)
			fails(t, err, job.RemoteTooLarge)
			if len(content) > 1<<20 {
				t.Errorf("%d bytes of content", len(content))
			}
		})
	}
}

func TestAnAnswerOfExactlyTheLimitIsTaken(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, 100_000)) })
	content, _, err := fetch(t, client(t, func(p *Policy) { p.MaxBytes = 100_000 }), s.URL)
	if err != nil || len(content) != 100_000 {
		t.Errorf("%d bytes, %v", len(content), err)
	}
}

func TestCompressedContentIsDecompressed(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "GZIP")
		w.Header().Set("Content-Type", "text/plain")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, "hello")
		_ = z.Close()
	})
	content, _, err := fetch(t, client(t), s.URL)
	if err != nil || content != "hello" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestSlowServersAreGivenUp(t *testing.T) {
	t.Parallel()
	hang := func(r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(patience):
		}
	}
	drip := func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = w.Write([]byte("a"))
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
	short := func(p *Policy) { p.Timeout = 300 * time.Millisecond }
	impatient := func(p *Policy) { p.StallTimeout = 100 * time.Millisecond }
	for name, c := range map[string]struct {
		policy func(*Policy)
		h      http.HandlerFunc
	}{
		"no answer":           {short, func(w http.ResponseWriter, r *http.Request) { hang(r) }},
		"no answer, stalled":  {impatient, func(w http.ResponseWriter, r *http.Request) { hang(r) }},
		"stops in the middle": {impatient, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, 10_000)); hang(r) }},
		"drips":               {short, drip},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.h)
			_, _, err := fetch(t, client(t, c.policy), s.URL)
			fails(t, err, job.RemoteTooSlow)
		})
	}
	t.Run("a header that drips", func(t *testing.T) {
		t.Parallel()
		u := raw(t, "127.0.0.1:0", func(conn net.Conn) {
			for {
				if _, err := conn.Write([]byte("H")); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
		_, _, err := fetch(t, client(t, short), u)
		if err == nil {
			t.Error("no error")
		}
	})
}

func TestAFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	gone := errors.New("the client has gone")
	for name, h := range map[string]func(http.ResponseWriter){
		"before the answer": func(http.ResponseWriter) {},
		"in the middle":     func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, 100_000)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			left := make(chan struct{})
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(left)
				h(w)
				cancel(gone)
				<-r.Context().Done()
			})
			_, err := client(t).Fetch(ctx, job.Reference{Href: s.URL, Method: "GET"}, io.Discard)
			if !errors.Is(err, gone) {
				t.Errorf("error %v", err)
			}
			select {
			case <-left:
			case <-time.After(patience):
				t.Error("the server was not left")
			}
		})
	}
}

func TestAnErrorOfTheWriterIsReturnedAsItIs(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	full := errors.New("disk full")
	r, w := io.Pipe()
	r.CloseWithError(full)
	_, err := client(t).Fetch(t.Context(), job.Reference{Href: s.URL, Method: "GET"}, w)
	if err != full {
		t.Errorf("error %v", err)
	}
}

func TestServersThatCannotBeReached(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = nil
	t.Cleanup(secure.Close)
	c := client(t, func(p *Policy) { p.Resolver = names(t, nil) })
	for name, u := range map[string]string{"nobody listens": closed.URL, "no such name": "http://nothing.test/", "no certificate": secure.URL} {
		_, _, err := fetch(t, c, u)
		fails(t, err, job.RemoteUnreachable)
		if want := "certificate"; name == "no certificate" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMemoryStaysFlatWhileALargeContentIsFetched(t *testing.T) {
	const size = 200 << 20
	block := make([]byte, 1<<20)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for range size / len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	c := client(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var n counter
	_, err := c.Fetch(t.Context(), job.Reference{Href: s.URL, Method: "GET"}, &n)
	runtime.ReadMemStats(&after)
	if err != nil || n != size {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes of memory for %d bytes of content", grown, size)
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
