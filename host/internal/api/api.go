package api

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
)

// Catalog is what the api needs to know of processes; *job.Service has it.
type Catalog interface {
	Processes() []*job.Process
	Process(id string) (*job.Process, error)
	// Await waits for a process, or with an empty id for all, while the host
	// starts; see job.Catalog.
	Await(ctx context.Context, id string) error
}

// Jobs is what the api needs to know of jobs; *job.Service has it.
type Jobs interface {
	Submit(ctx context.Context, r job.Request) (*job.Execution, error)
	Validate(ctx context.Context, r job.Request) (job.Plan, error)
	Job(ctx context.Context, id string) (job.Job, error)
	Jobs(ctx context.Context, f job.Filter, c job.Cursor, limit int) (job.Page, error)
	Results(ctx context.Context, id string) (*job.Results, error)
	Log(ctx context.Context, id string, q job.LogQuery) (*job.Log, error)
	Deliveries(ctx context.Context, id string) ([]job.Delivery, error)
	Dismiss(ctx context.Context, id string) (job.Job, error)
	Listen(ctx context.Context, id string, from *job.Place) (job.Listener, error)
	ListenAll(ctx context.Context, f job.Filter, from *job.Place) (job.Listener, error)
}

// Service is both; *job.Service implements it.
type Service interface {
	Catalog
	Jobs
}

// The defaults of Config.
const (
	DefaultMaxBody        = 128 << 20 // bytes
	DefaultSpoolThreshold = 256 << 10 // bytes
	DefaultInlineLimit    = 1 << 20   // bytes
	DefaultPageLimit      = 10
	DefaultMaxPageLimit   = 10000
)

// Config says what an API serves. Only Service and SpoolDir are required.
type Config struct {
	Service Service
	// BaseURL is the address of the landing page as clients see it, such as
	// https://example.org/ogc. When empty, each request tells it: by its Host,
	// or by the forwarded headers of a trusted proxy.
	BaseURL string
	// TrustedProxies are the peers whose Forwarded and X-Forwarded headers
	// are believed.
	TrustedProxies []netip.Prefix
	// CallerHeader is a header by which trusted proxies tell who sends a
	// request, for turns in the queue and limits of callers. Without it, it is
	// who has an address.
	CallerHeader string
	// CORSOrigins are the origins whose pages may use the API; AnyOrigin is
	// all of them. Empty: none.
	CORSOrigins        []string
	Title, Description string

	// MaxBody is the largest execute request, in bytes.
	MaxBody int64
	// SpoolDir is an existing directory for bodies above SpoolThreshold
	// bytes. They have no name there for longer than it takes to open them.
	SpoolDir       string
	SpoolThreshold int64
	// Scanners is how many spooled bodies are parsed at a time; by default
	// one for each processor.
	Scanners int
	// InlineLimit is the size in bytes above which an output of a recorded
	// job appears as a link in a results document, when the client did not
	// say which it wants. A negative limit means never.
	InlineLimit int64

	// KVPExecute lets processes be executed by GET (2.0 class kvp-execute).
	KVPExecute bool
	// ForgetRemoved answers 404, as for jobs that never were, rather than 410
	// for jobs that were removed (spec 5.4).
	ForgetRemoved bool

	// CursorKey signs the places in lists that links of pages carry, so that
	// those of other servers are not taken for ours. It should outlive a
	// restart; without one, a random key is made.
	CursorKey []byte

	PageLimit    int // entries of a list when the client names no limit
	MaxPageLimit int // larger limits are lowered to it

	MaxListeners int // streams of events at once

	// CITE10 leaves out the Link headers of synchronous replies, which the
	// conformance suite of version 1.0 misreads.
	CITE10 bool

	// Pygeoapi answers as that server does where clients written for it rely
	// on it: the shape of documents, the codes of errors, and the Location of
	// synchronous executions, whose service must then record them.
	Pygeoapi bool

	Logger    *slog.Logger
	RequestID func() string    // makes an id for a request that brings none
	Now       func() time.Time // the clock that job durations are judged by
}

// check fills in the defaults and reports what is wrong.
func (c *Config) check() error {
	var errs []error
	if c.Service == nil {
		errs = append(errs, errors.New("service is missing"))
	}
	if c.SpoolDir == "" {
		errs = append(errs, errors.New("spool directory is missing"))
	}
	if c.BaseURL != "" {
		u, err := url.Parse(c.BaseURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.EscapedPath() != u.Path {
			errs = append(errs, fmt.Errorf("base URL %q is not an absolute http or https URL", c.BaseURL))
		}
		c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	}
	if err := CheckCORSOrigins(c.CORSOrigins); err != nil {
		errs = append(errs, fmt.Errorf("CORS origins: %w", err))
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"largest body", c.MaxBody},
		{"spool threshold", c.SpoolThreshold},
		{"number of scanners", int64(c.Scanners)},
		{"page limit", int64(c.PageLimit)},
		{"largest page limit", int64(c.MaxPageLimit)},
		{"largest number of listeners", int64(c.MaxListeners)},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", n.name))
		}
	}
	c.fill()
	if c.PageLimit > c.MaxPageLimit {
		errs = append(errs, fmt.Errorf("page limit %d is above its largest value %d", c.PageLimit, c.MaxPageLimit))
	}
	return errors.Join(errs...)
}

func (c *Config) fill() {
	orElse(&c.Title, "Geomill")
	orElse(&c.Description, "Processes that run in plugins, offered through OGC API - Processes.")
	orElse(&c.MaxBody, DefaultMaxBody)
	orElse(&c.SpoolThreshold, DefaultSpoolThreshold)
	orElse(&c.Scanners, runtime.GOMAXPROCS(0))
	orElse(&c.InlineLimit, DefaultInlineLimit)
	orElse(&c.PageLimit, DefaultPageLimit)
	orElse(&c.MaxPageLimit, DefaultMaxPageLimit)
	orElse(&c.MaxListeners, DefaultMaxListeners)
	orElse(&c.Logger, slog.New(slog.DiscardHandler))
	if len(c.CursorKey) == 0 {
		c.CursorKey = make([]byte, 32)
		_, _ = cryptorand.Read(c.CursorKey) // never fails
	}
	if c.RequestID == nil {
		c.RequestID = randomID
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

func orElse[T comparable](p *T, fallback T) {
	var zero T
	if *p == zero {
		*p = fallback
	}
}

// randomID returns 16 hexadecimal digits. Request ids need not be secret.
func randomID() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], rand.Uint64())
	return hex.EncodeToString(b[:])
}

// API serves OGC API - Processes. It is safe for concurrent use.
type API struct {
	config  Config
	service Service
	routes  []route
	router  *httprouter.Router
	// wrongHost answers requests whose Host is none.
	wrongHost http.Handler
	slots     chan struct{} // one for each spooled body being parsed
	address   addresses
	cors      *cors
	listeners atomic.Int64  // streams of events
	patience  time.Duration // see writePatience

	definitions definitions
}

// New checks the configuration and returns an API. It starts nothing.
func New(c Config) (*API, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configure api: %w", err)
	}
	a := &API{config: c, service: c.Service, slots: make(chan struct{}, c.Scanners), address: newAddresses(&c), patience: writePatience}
	a.cors, _ = newCORS(c.CORSOrigins) // checked with the rest
	a.routes = a.table()
	a.router = a.newRouter()
	return a, nil
}

// ServeHTTP answers one request. One trailing slash makes no difference, nor does
// the path prefix of the public URL.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.config.BaseURL == "" && r.Host != "" && !validHost(r.Host) {
		a.wrongHost.ServeHTTP(w, r) // it would come back in every link
		return
	}
	path, ok := a.address.resource(r)
	if !ok {
		a.router.NotFound.ServeHTTP(w, r)
		return
	}
	if path != r.URL.Path {
		u := *r.URL
		u.Path, u.RawPath = path, ""
		r2 := *r
		r2.URL = &u
		r = &r2
	}
	a.router.ServeHTTP(w, r)
}

// base returns the absolute URL of the landing page, without a trailing slash.
func (a *API) base(r *http.Request) string { return a.address.of(r) }
