package host_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// testBrokenWire sends what no HTTP client would.
func testBrokenWire(t *testing.T, url string) {
	post := "POST " + hello + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	fine := `{"inputs":{"name":"x"}}`
	for name, row := range map[string]struct {
		text   string
		status int // 0: no answer is wanted
	}{
		"truncated":                   {post + "Content-Length: 100\r\n\r\n" + fine, 400},
		"truncated, to be spooled":    {post + "Content-Length: 1000000\r\n\r\n" + fine, 400},
		"truncated chunk":             {post + "Transfer-Encoding: chunked\r\n\r\n40\r\n" + fine, 400},
		"bad chunk":                   {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + fine + "\r\n", 400},
		"chunks beyond the limit":     {post + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("100000\r\n"+strings.Repeat(" ", 1<<20)+"\r\n", 2) + "0\r\n\r\n", 413},
		"announced beyond the limit":  {post + "Content-Length: 99999999999\r\n\r\n", 413},
		"announced beyond all limits": {post + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
		"negative length":             {post + "Content-Length: -1\r\n\r\n" + fine, 400},
		"two lengths":                 {post + "Content-Length: 23\r\nContent-Length: 24\r\n\r\n" + fine, 400},
		"no host":                     {"GET / HTTP/1.1\r\n\r\n", 400},
		"odd host":                    {"GET /processes HTTP/1.1\r\nHost: a b<>\r\n\r\n", 400},
		"no HTTP":                     {"hello\r\n\r\n", 400},
		"absolute form":               {"GET http://elsewhere/processes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200},
		"star":                        {"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200},
		"no path":                     {"GET ?x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400},
		"raw bytes in the path":       {"GET /jobs/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404},
		"bad escape in the path":      {"GET /jobs/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400},
		"old HTTP":                    {"GET /processes HTTP/1.0\r\n\r\n", 200},
		"expectation":                 {post + "Expect: 100-continue\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n", 413},
		"nothing":                     {"", 0},
		"cut off in the header":       {post, 0},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(conn, row.text) // the server may close before it has read all
			_ = conn.(*net.TCPConn).CloseWrite()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if row.status == 0 {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != row.status {
				t.Errorf("%d %.300s, want %d", res.StatusCode, body, row.status)
			}
		})
	}
}
