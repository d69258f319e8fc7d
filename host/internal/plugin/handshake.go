package plugin

import (
	"bytes"
	"io"
	"regexp"
	"sync"
)

// handshakeBytes is the longest first line that is looked at.
const handshakeBytes = 8 << 10

// handshakeLine is core version, application version, network, address,
// protocol and perhaps more, as go-plugin prints it.
var handshakeLine = regexp.MustCompile(`^\d+\|\d+\|[a-z]+\|[^|]+(\|.*)?$`)

// handshake cuts the first line out of a plugin's standard output. As a reader
// it yields that line and ends.
type handshake struct {
	mu    sync.Mutex
	line  []byte
	whole bool          // no more is added to line
	ready chan struct{} // closed when whole
	read  int           // bytes handed out
}

func newHandshake() *handshake { return &handshake{ready: make(chan struct{})} }

// feed takes the next part of the output and returns what is not of the
// first line.
func (h *handshake) feed(p []byte) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.whole {
		return p
	}
	rest := p[len(p):]
	i := bytes.IndexByte(p, '\n')
	if i >= 0 {
		p, rest = p[:i], p[i+1:]
	}
	if room := handshakeBytes - len(h.line); len(p) > room {
		p, i = p[:room], 0
	}
	h.line = append(h.line, p...)
	if i >= 0 {
		h.finish()
	}
	return rest
}

// end says that the output has ended.
func (h *handshake) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.whole {
		h.finish()
	}
}

func (h *handshake) finish() {
	h.whole = true
	close(h.ready)
}

// wrong returns the start of a first line that is no handshake, or "".
func (h *handshake) wrong() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := bytes.TrimSpace(h.line)
	if len(line) == 0 || handshakeLine.Match(line) {
		return ""
	}
	return string(line[:min(len(line), 120)])
}

// Read waits for the line.
func (h *handshake) Read(p []byte) (int, error) {
	<-h.ready
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.read == len(h.line) {
		return 0, io.EOF
	}
	n := copy(p, h.line[h.read:])
	h.read += n
	return n, nil
}

// Close does nothing: whoever feeds the handshake ends it.
func (h *handshake) Close() error { return nil }
