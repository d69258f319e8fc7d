package remote

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"geomill/host/internal/job"
)

// Policy says which servers may be talked to, and for how long. The zero value
// is the default: any public server, by http or https.
type Policy struct {
	// Schemes are those of URLs: http and https, or one of them.
	Schemes []string
	// Allow and Deny list servers: *, a host name, *.suffix for the names
	// below it, an address, or a range of addresses in CIDR notation; each
	// with :port if it is for that port only. Without Allow all servers are
	// allowed; Deny stands above it. A range or address of Allow that has
	// no public address in it allows what Private would.
	Allow, Deny []string
	// Private allows addresses of this machine and of private networks. Link-local
	// ones, where clouds have their metadata, have to be in Allow.
	Private bool

	MaxBytes     int64         // of one answer, also when decompressed; default 1 GiB
	Timeout      time.Duration // of one exchange, to the end of the answer; default 60 s
	StallTimeout time.Duration // without a byte of the answer; default 30 s
	MaxRedirects int           // default 5; negative: none
	MaxExchanges int           // at once, with all servers; default 64

	// Resolver looks up names; nil is the system's.
	Resolver *net.Resolver
}

// The defaults of a Policy.
const (
	DefaultMaxBytes = 1 << 30
	DefaultTimeout  = time.Minute

	defaultStall     = 30 * time.Second
	defaultRedirects = 5
	defaultExchanges = 64
)

// maxURL is the longest URL that is followed, in bytes.
const maxURL = 8 << 10

// rules is a Policy's say on who may be talked to.
type rules struct {
	schemes     []string
	allow, deny []rule
	private     bool
}

// compile reads the rules of a policy and fills in its defaults. The error
// lists everything that is wrong with it.
func (p *Policy) compile() (rules, error) {
	r := rules{schemes: p.Schemes, private: p.Private}
	var faults []error
	if len(r.schemes) == 0 {
		r.schemes = []string{"http", "https"}
	}
	for _, s := range r.schemes {
		if s != "http" && s != "https" {
			faults = append(faults, fmt.Errorf("schemes: %q is not http or https", s))
		}
	}
	parse := func(list string, texts []string) (parsed []rule) {
		for _, text := range texts {
			one, err := parseRule(text)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", list, err))
			}
			parsed = append(parsed, one)
		}
		return parsed
	}
	r.allow, r.deny = parse("allow", p.Allow), parse("deny", p.Deny)
	setDefault(&p.MaxBytes, DefaultMaxBytes)
	setDefault(&p.Timeout, DefaultTimeout)
	setDefault(&p.StallTimeout, defaultStall)
	setDefault(&p.MaxRedirects, defaultRedirects)
	setDefault(&p.MaxExchanges, defaultExchanges)
	if p.MaxBytes < 0 || p.Timeout < 0 || p.StallTimeout < 0 || p.MaxExchanges < 0 {
		faults = append(faults, errors.New("a limit is negative"))
	}
	return r, errors.Join(faults...)
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Validate lists what is wrong with the policy, a line for each fault.
func (p Policy) Validate() error {
	_, err := p.compile()
	return err
}

// url checks what can be told of a URL without asking anyone. The error is a
// *job.RemoteError.
func (r *rules) url(u *url.URL) error {
	switch {
	case u.Scheme == "":
		return refused("must be an absolute URL")
	case !slices.Contains(r.schemes, u.Scheme):
		return refused("has the scheme %.20q; this server follows %s only", u.Scheme, strings.Join(r.schemes, " and "))
	case u.Host == "" || u.Opaque != "":
		return refused("names no server")
	case u.User != nil:
		return refused("must not have a user name or password")
	case strings.ContainsRune(u.RawQuery, ' '): // net/url takes it, and it would end the request line
		return refused("has a blank in its query, where it is written %%20")
	}
	port := uint16(80)
	if u.Scheme == "https" {
		port = 443
	}
	if digits := u.Port(); digits != "" || strings.HasSuffix(u.Host, ":") {
		var err error
		if port, err = parsePort(digits); err != nil {
			return refused("%v", err)
		}
	}
	name, addr, err := parseHost(u.Hostname())
	if err != nil {
		return refused("%v", err)
	}
	named, err := r.host(name, port)
	if err == nil && addr.IsValid() {
		err = r.address(plain(addr), port, named)
	}
	return err
}

// host decides on a server by its name, which is empty when the URL has an
// address. named is false when only a rule for its address can allow it.
func (r *rules) host(name string, port uint16) (named bool, err error) {
	fits := func(one rule) bool { return one.fitsName(name, port) }
	switch {
	case slices.ContainsFunc(r.deny, fits):
		return false, errHost
	case len(r.allow) == 0, slices.ContainsFunc(r.allow, fits):
		return true, nil
	case slices.ContainsFunc(r.allow, func(one rule) bool { return one.net.IsValid() && one.onPort(port) }):
		return false, nil
	}
	return false, errHost
}

// address decides on a server by its plain address.
func (r *rules) address(a netip.Addr, port uint16, named bool) error {
	fits := func(one rule) bool { return one.fitsAddress(a, port) }
	listed, meant := false, false
	for _, one := range r.allow {
		if fits(one) {
			listed = true
			meant = meant || reserved(one.net)
		}
	}
	c := classOf(a)
	switch {
	case slices.ContainsFunc(r.deny, fits), !named && !listed:
		return errHost
	case c == public, c == private && r.private, meant:
		return nil
	}
	return errAddress
}

var (
	errHost    = refused("names a server that this one may not connect to")
	errAddress = refused("leads to an address that this server may not connect to")
)

func refused(format string, args ...any) *job.RemoteError {
	return &job.RemoteError{Kind: job.RemoteRefused, Detail: fmt.Sprintf(format, args...)}
}
