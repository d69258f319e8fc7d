package host

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// endless serves replies without an end, of which a client may take in nothing for
// the time of unread. It tells how each ended, and returns the address.
func endless(t *testing.T, unread time.Duration) (address string, ended <-chan error) {
	t.Helper()
	l, err := listen("127.0.0.1:0", unread)
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan error, 1)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for text := []byte(strings.Repeat("x", 64<<10)); err == nil; {
			_, err = w.Write(text)
		}
		ends <- err
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return l.Addr().String(), ends
}

func ask(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestAClientThatReadsNothingEndsItsRequest(t *testing.T) {
	t.Parallel()
	address, ended := endless(t, 500*time.Millisecond)
	conn := ask(t, address)
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil { // it reads a little, and then no more
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the reply still waits for its reader")
	}
}

func TestAClientThatReadsSlowlyKeepsItsRequest(t *testing.T) {
	t.Parallel()
	const unread = 5 * time.Second // longer than a busy machine keeps the client from reading
	address, ended := endless(t, unread)
	conn := ask(t, address)
	ctx, cancel := context.WithTimeout(t.Context(), unread+unread/2)
	defer cancel()
	pace := time.NewTicker(unread / 500)
	defer pace.Stop()
	for ctx.Err() == nil {
		<-pace.C
		if _, err := io.CopyN(io.Discard, conn, 256<<10); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("the reply was broken off: %v", err)
	default:
	}
}
