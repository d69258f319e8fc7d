package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	"geomill/host/internal/job"
)

const (
	dialDeadline      = 10 * time.Second // for each connection, its name's look-up included
	handshakeDeadline = 10 * time.Second // for TLS
	slotPatience      = 5 * time.Second  // for one of MaxExchanges
	maxHeader         = 64 << 10         // bytes of an answer's header
	connsPerHost      = 16
	userAgent         = "Geomill"
)

// Causes of the end of an exchange.
var (
	errTimeout = &job.RemoteError{Kind: job.RemoteTooSlow, Detail: "leads to a server that took too long to answer"}
	errStalled = &job.RemoteError{Kind: job.RemoteTooSlow, Detail: "leads to a server that stopped in the middle of its answer"}
)

// Client talks to other servers under one Policy. It is safe for concurrent use.
type Client struct {
	policy Policy
	rules  rules
	http   *http.Client
	slots  chan struct{}
}

// New checks the policy. It starts nothing, and requests leave nothing open.
func New(p Policy) (*Client, error) {
	r, err := p.compile()
	if err != nil {
		return nil, fmt.Errorf("policy for other servers: %w", err)
	}
	c := &Client{policy: p, rules: r, slots: make(chan struct{}, p.MaxExchanges)}
	c.http = &http.Client{
		CheckRedirect: c.redirect,
		// Nothing comes from the environment, HTTP/2 is left out, and nothing
		// is decompressed but by Fetch, which counts what comes out.
		Transport: &http.Transport{
			DialContext:            c.dial,
			DisableCompression:     true,
			TLSHandshakeTimeout:    handshakeDeadline,
			ResponseHeaderTimeout:  p.StallTimeout,
			MaxResponseHeaderBytes: maxHeader,
			MaxConnsPerHost:        connsPerHost,
			DisableKeepAlives:      true, // each request has its address checked
		},
	}
	return c, nil
}

// Do makes one request under the policy and follows redirects, each of them
// checked. The answer's body ends with an error beyond MaxBytes, or when it
// comes too slowly; the caller closes it. The error is the cause of the
// request's context, job.ErrBusy, or a *job.RemoteError.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if err := c.rules.url(r.URL); err != nil {
		return nil, err
	}
	if err := c.slot(r.Context()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	overall := time.AfterFunc(c.policy.Timeout, func() { cancel(errTimeout) })
	x := &exchange{parent: r.Context(), ctx: ctx, left: c.policy.MaxBytes, patience: c.policy.StallTimeout}
	x.stall = time.AfterFunc(c.policy.StallTimeout, func() { cancel(errStalled) })
	x.stall.Stop()
	x.end = sync.OnceFunc(func() {
		overall.Stop()
		x.stall.Stop()
		cancel(nil)
		<-c.slots
	})
	clone := r.Clone(ctx)
	if clone.Header.Get("User-Agent") == "" {
		clone.Header.Set("User-Agent", userAgent)
	}
	res, err := c.http.Do(clone)
	if err != nil {
		err = x.explain(err)
		x.end()
		return nil, err
	}
	x.body, res.Body = res.Body, x
	return res, nil
}

// slot waits for its turn. Exchange.end gives it back.
func (c *Client) slot(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(min(slotPatience, c.policy.Timeout))
	defer timer.Stop()
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return job.ErrBusy
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// redirect checks each further hop.
func (c *Client) redirect(r *http.Request, via []*http.Request) error {
	if len(via) > c.policy.MaxRedirects {
		return &job.RemoteError{Kind: job.RemoteBadAnswer, Detail: "redirects too often"}
	}
	if r.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https" {
		return refused("redirects from https to http")
	}
	r.Header.Del("Referer") // the URL may have secrets in it
	if err := c.rules.url(r.URL); err != nil {
		return &job.RemoteError{Kind: job.RemoteRefused, Detail: "redirects to a place that this server may not connect to", Cause: err}
	}
	return nil
}

// dial connects to a server that the rules allow, by its name and by each
// address that is tried.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, digits, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil, err
	}
	name, _, err := parseHost(host)
	if err != nil {
		return nil, refused("%v", err)
	}
	named, err := c.rules.host(name, uint16(port))
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialDeadline, Resolver: c.policy.Resolver}
	d.Control = func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return refused("leads to no address of the Internet")
		}
		return c.rules.address(plain(to.Addr()), to.Port(), named)
	}
	return d.DialContext(ctx, network, addr)
}

// exchange is a request and the body of its answer.
type exchange struct {
	parent   context.Context // of the caller
	ctx      context.Context
	body     io.ReadCloser
	left     int64 // bytes that may still come
	patience time.Duration
	stall    *time.Timer // runs while a byte is waited for
	end      func()
}

// Read implements io.Reader.
func (x *exchange) Read(p []byte) (int, error) {
	x.stall.Reset(x.patience)
	n, err := x.body.Read(p)
	x.stall.Stop()
	if x.left -= int64(n); x.left < 0 {
		return 0, tooLarge()
	}
	if err != nil && err != io.EOF {
		err = x.explain(err)
	}
	return n, err
}

// Close implements io.Closer.
func (x *exchange) Close() error {
	err := x.body.Close()
	x.end()
	return err
}

func tooLarge() error {
	return &job.RemoteError{Kind: job.RemoteTooLarge, Detail: "leads to more bytes than this server takes"}
}

// explain says what a failure of the transport means.
func (x *exchange) explain(err error) error {
	if x.parent.Err() != nil {
		return context.Cause(x.parent)
	}
	if x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	if known, ok := errors.AsType[*job.RemoteError](err); ok {
		return known
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL, which may have secrets in it
	}
	e := &job.RemoteError{Kind: job.RemoteUnreachable, Cause: err, Detail: "leads to a server that cannot be reached"}
	dial, dialled := errors.AsType[*net.OpError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	timeout, _ := errors.AsType[net.Error](err)
	switch {
	case untrusted:
		e.Detail = "leads to a server without a valid certificate"
	case dialled && dial.Op == "dial":
	case timeout != nil && timeout.Timeout():
		e.Kind, e.Detail = job.RemoteTooSlow, errTimeout.Detail
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Kind, e.Detail = job.RemoteBadAnswer, "leads to an answer that ends too early"
	default:
		e.Kind, e.Detail = job.RemoteBadAnswer, "leads to a server that does not answer as HTTP demands"
	}
	return e
}
