package host

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"syscall"
	"time"

	"geomill/host/internal/callback"
	"geomill/host/internal/job"
)

const (
	connectDeadline = 5 * time.Second // for a connection to a subscriber
	maxReplyHeader  = 64 << 10        // bytes of header of its reply
)

// Secret is a setting that is not to be seen in logs.
type Secret string

// String hides the secret from fmt and slog.
func (Secret) String() string { return "(hidden)" }

// Version returns the version of the program, as the Go tools know it.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

// newCaller makes the part that calls subscribers back.
func newCaller(c Config, outbox job.Outbox, log *slog.Logger) (*callback.Caller, error) {
	config := callback.Config{
		Outbox: outbox, Do: subscriberClient(c.CallbackPrivate).Do, Explain: explainRefusal,
		Logger: log, UserAgent: "Geomill/" + Version(), Tries: c.CallbackTries,
	}
	if c.CallbackSecret != "" {
		var err error
		if config.Secret, err = callback.ParseSecret(string(c.CallbackSecret)); err != nil {
			return nil, fmt.Errorf("callback-secret: %w", err)
		}
	}
	return callback.New(config)
}

// errPrivate is the error of a request to an address that is not a public one.
var errPrivate = errors.New("is at an address that this server may not connect to")

func explainRefusal(err error) string {
	if errors.Is(err, errPrivate) {
		return "the receiver " + errPrivate.Error()
	}
	return ""
}

// subscriberClient connects to public addresses only, unless private ones are
// allowed, and follows no redirects. What a name means is judged when it is
// dialled, so that no answer of a name server can come between.
func subscriberClient(private bool) *http.Client {
	dialer := &net.Dialer{Timeout: connectDeadline}
	if !private {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			if at, err := netip.ParseAddrPort(address); err != nil || !public(at.Addr().Unmap()) {
				return errPrivate
			}
			return nil
		}
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: connectDeadline,
			MaxResponseHeaderBytes: maxReplyHeader, DisableKeepAlives: true, // each request has its address checked
		},
	}
}

// public reports whether an address is one of the Internet.
func public(a netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598
	this := netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 8)
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a) && !this.Contains(a)
}
