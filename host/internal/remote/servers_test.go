package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// patience bounds every wait of these tests; only a hang is longer.
const patience = time.Minute

// client makes a client that may talk to this machine, unless change forbids it.
func client(t testing.TB, change ...func(*Policy)) *Client {
	t.Helper()
	p := Policy{Private: true}
	for _, f := range change {
		f(&p)
	}
	c, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve runs a web server on this machine.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// raw runs a server that handles connections itself and returns its URL.
func raw(t testing.TB, address string, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				handle(conn)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return "http://" + l.Addr().String()
}

// answer reads the header of a request and writes text.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		readHeader(conn)
		_, _ = conn.Write([]byte(text))
	}
}

func readHeader(conn net.Conn) {
	var got []byte
	buffer := make([]byte, 4096)
	for !bytes.Contains(got, []byte("\r\n\r\n")) {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		got = append(got, buffer[:n]...)
	}
}

// names is a resolver whose answers are given: the addresses of a name, which
// each look-up of it takes in turns.
func names(t testing.TB, table map[string][]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	asked := make(map[string]int)
	go func() {
		defer close(done)
		packet := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(nameAnswer(packet[:n], table, asked), from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// nameAnswer answers a question for an IPv4 address (RFC 1035, section 4).
func nameAnswer(question []byte, table map[string][]string, asked map[string]int) []byte {
	var labels []string
	at := 12
	for question[at] != 0 {
		n := int(question[at])
		labels = append(labels, string(question[at+1:at+1+n]))
		at += 1 + n
	}
	name, kind := strings.ToLower(strings.Join(labels, ".")), binary.BigEndian.Uint16(question[at+1:])
	reply := append([]byte{}, question[:at+5]...)
	binary.BigEndian.PutUint16(reply[2:], 0x8180) // an answer, recursion available
	clear(reply[6:12])
	addresses := table[name]
	if len(addresses) == 0 {
		reply[3] |= 3 // no such name
		return reply
	}
	if kind != 1 {
		return reply
	}
	addr := netip.MustParseAddr(addresses[asked[name]%len(addresses)]).As4()
	asked[name]++
	binary.BigEndian.PutUint16(reply[6:], 1)
	reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // the name above, an address, not to be kept
	return append(reply, addr[:]...)
}

// fetch gets a URL.
func fetch(t testing.TB, c *Client, href string) (string, job.Fetched, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var b bytes.Buffer
	got, err := c.Fetch(ctx, job.Reference{Href: href, Method: "GET"}, &b)
	return b.String(), got, err
}

// fails checks that an error is of a kind, and tells clients nothing of the inside.
func fails(t testing.TB, err error, kind job.RemoteKind) {
	t.Helper()
	e, ok := errors.AsType[*job.RemoteError](err)
	if !ok {
		t.Fatalf("error %v, want one that is %s", err, kind)
	}
	if e.Kind != kind {
		t.Errorf("error %v is %s, want %s", err, e.Kind, kind)
	}
	for _, inside := range []string{"127.0.0", "dial", "lookup", "tcp", "EOF", "context"} {
		if strings.Contains(e.Detail, inside) {
			t.Errorf("clients are told %q", e.Detail)
		}
	}
}
