package host

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"geomill/host/internal/api"
	"geomill/host/internal/callback"
	"geomill/host/internal/job"
	"geomill/host/internal/plugin/sandbox"
	"geomill/host/internal/plugin/trust"
	"geomill/host/internal/remote"
	"geomill/host/internal/store"
)

// Config is everything that can be set. Start from Default.
type Config struct {
	// Listen is the TCP address to serve on; port 0 takes a free one.
	Listen string `yaml:"listen"`
	// Plugins is the directory whose executables are offered.
	Plugins string `yaml:"plugins"`
	// Program is the path of the program geomill, which serves manifests of command
	// line tools; empty: nobody does.
	Program string `yaml:"-"`
	// Data is the directory of jobs, outputs and caches.
	Data string `yaml:"data"`
	// BaseURL is the public URL of the landing page, when it is not the
	// address a client used; without a trailing slash.
	BaseURL string `yaml:"base-url"`
	// TrustedProxies are the addresses and networks (CIDR) of peers whose
	// Forwarded and X-Forwarded headers are believed.
	TrustedProxies []string `yaml:"trusted-proxies"`
	// CORSOrigins are the origins whose pages may use the API; "*" is all,
	// "none", or an empty list, is none.
	CORSOrigins []string `yaml:"cors-origins"`
	// KVPExecute lets processes be executed by GET with query parameters.
	KVPExecute bool `yaml:"kvp-execute"`
	// ForgetRemoved answers 404 rather than 410 for jobs that were removed.
	ForgetRemoved bool `yaml:"forget-removed"`
	// Tombstone is how long a removed job is remembered, in whole seconds:
	// until then it is answered with 410, and then with 404.
	Tombstone time.Duration `yaml:"tombstone"`

	Title       string `yaml:"title"`
	Description string `yaml:"description"`

	LogFormat string `yaml:"log-format"` // text or json
	LogLevel  string `yaml:"log-level"`  // debug, info, warn or error

	// MaxBody is the largest request body, in bytes.
	MaxBody int64 `yaml:"max-body"`
	// Slots is how many queued jobs run at once; 0 means two a processor.
	Slots int `yaml:"slots"`
	// QueueLimit is how many accepted jobs may wait.
	QueueLimit int `yaml:"queue-limit"`
	// QueueLimitPerCaller is how many of them one caller may have; 0 means half
	// of QueueLimit.
	QueueLimitPerCaller int `yaml:"queue-limit-per-caller"`
	// QueueTimeout is how long an accepted job may wait for its start, from when
	// it is due, unless its process says so; 0 means for ever.
	QueueTimeout time.Duration `yaml:"queue-timeout"`
	// CallerHeader is a header by which TrustedProxies tell who sends a
	// request. Without it, callers are told apart by their addresses.
	CallerHeader string `yaml:"caller-header"`
	// SyncSlots is how many sync executions run at once.
	SyncSlots int `yaml:"sync-slots"`
	// RecordSync keeps a record of every sync execution.
	RecordSync bool `yaml:"record-sync"`
	// Timeout is how long an attempt may take unless its process says so.
	Timeout time.Duration `yaml:"timeout"`
	// MaxTimeout is the longest time that a request may ask for (Prefer:
	// timeout=SECONDS) where its process says nothing else. 0, or less than the
	// process has anyway, lets requests only shorten it.
	MaxTimeout time.Duration `yaml:"max-timeout"`
	// ShowStderr lets clients read, in the exception of a job, what its plugin
	// wrote last before it crashed. Jobs of other clients may have run in it.
	ShowStderr bool `yaml:"show-stderr"`
	// LogMaxBytes is the most that the log of a job takes, in bytes.
	LogMaxBytes int64 `yaml:"log-max-bytes"`
	// Grace is the time between asking work to stop and stopping it.
	Grace time.Duration `yaml:"grace"`
	// Drain is how long requests and jobs may go on after a signal.
	Drain time.Duration `yaml:"drain"`
	// PluginEnv lists environment variables, NAME or NAME=VALUE, that
	// plugins get besides the fixed few; NAME takes the host's value.
	PluginEnv []string `yaml:"plugin-env"`
	// Sandbox is how plugins are confined, unless PluginConfig says otherwise: on
	// (by what this machine offers), strict (a plugin that cannot be confined in
	// every way is refused) or off.
	Sandbox string `yaml:"sandbox"`
	// PluginUIDs are the users that plugins run as, FIRST-LAST, each plugin as one of
	// its own; only root can have it so. Empty: plugins run as the host's user.
	PluginUIDs string `yaml:"plugin-uids"`
	// MaxListeners is how many clients may listen to events at once.
	MaxListeners int `yaml:"max-listeners"`
	// Compat lists compatibility switches, see CompatCITE10 and CompatPygeoapi.
	Compat []string `yaml:"compat"`

	// ReferenceSchemes are the URL schemes of inputs by reference: http, https.
	ReferenceSchemes []string `yaml:"reference-schemes"`
	// ReferenceAllow and ReferenceDeny list servers from which inputs may come:
	// *, a host name, *.suffix, an address or a CIDR range, each with :port if
	// it is for one port only. No ReferenceAllow allows all; ReferenceDeny
	// stands above it.
	ReferenceAllow []string `yaml:"reference-allow"`
	ReferenceDeny  []string `yaml:"reference-deny"`
	// ReferencePrivate allows servers of this machine and of private networks.
	// Callbacks go by these keys too.
	ReferencePrivate bool `yaml:"reference-private"`
	// ReferenceMaxBytes is the size of all references of one request together.
	ReferenceMaxBytes int64 `yaml:"reference-max-bytes"`
	// ReferenceTimeout is the time to fetch all references of one request.
	ReferenceTimeout time.Duration `yaml:"reference-timeout"`
	// CallbackSecret is the key that callbacks are signed with: 24 to 64
	// bytes in base64, with or without "whsec_" before it. Without it they are
	// not signed.
	CallbackSecret Secret `yaml:"callback-secret"`
	// CallbackTries is how often a callback is tried before it is given up.
	CallbackTries int `yaml:"callback-tries"`

	// RetainAge is how long finished jobs are kept; 0 keeps them for ever.
	RetainAge time.Duration `yaml:"retain-age"`
	// RetainCount and RetainBytes bound all finished jobs together: those that
	// ended first go first. 0 sets no bound.
	RetainCount int   `yaml:"retain-count"`
	RetainBytes int64 `yaml:"retain-bytes"`
	// DiskQuota is how many bytes all jobs, finished or not, may take in the
	// data directory. Beyond it those that ended first are removed, and without
	// any left new jobs refused. 0 sets no bound.
	DiskQuota int64 `yaml:"disk-quota"`
	// MinFree is the free disk space, in bytes, below which new jobs and
	// outputs are refused.
	MinFree int64 `yaml:"min-free"`

	// PluginConfig is what the operator decides about single plugins, by name in
	// the plugins directory, and about all others, by AllPlugins.
	PluginConfig map[string]PluginConfig `yaml:"plugin-config"`

	// Trust says which contents of plugins may run, where PluginConfig does not.
	Trust TrustPolicy `yaml:"trust"`
	// TrustKeys are public minisign keys, or files that hold some, whose
	// signatures count where trust is signed.
	TrustKeys []string `yaml:"trust-keys"`

	// Processes is what the operator decides about single processes, by id,
	// and about all others, by AllProcesses.
	Processes map[string]ProcessConfig `yaml:"processes"`
}

// CompatCITE10 leaves out what the conformance suite of version 1.0 misreads:
// the Link headers of synchronous replies.
const CompatCITE10 = "cite10"

// CompatPygeoapi answers as pygeoapi does where clients written for it rely on
// it: the shape of documents, the codes of errors, and a record and a Location
// for every synchronous execution.
const CompatPygeoapi = "pygeoapi"

// Default is the configuration of a host that was told nothing.
func Default() Config {
	return Config{
		Listen:      "127.0.0.1:5000",
		Plugins:     "./plugins",
		Data:        "./data",
		Title:       "Geomill",
		Description: "Processes served by OGC API - Processes",
		CORSOrigins: []string{api.AnyOrigin},
		Tombstone:   store.DefaultTombstoneTTL,
		LogFormat:   "text",
		LogLevel:    "info",
		MaxBody:     128 << 20,
		QueueLimit:  100_000,
		SyncSlots:   256,
		Timeout:     time.Hour,
		ShowStderr:  true,
		LogMaxBytes: 1 << 20,
		Sandbox:     string(sandbox.On),
		Grace:       5 * time.Second,
		Drain:       10 * time.Second,

		ReferenceSchemes:  []string{"http", "https"},
		ReferenceMaxBytes: remote.DefaultMaxBytes,
		ReferenceTimeout:  remote.DefaultTimeout,
		CallbackTries:     5,

		MaxListeners: api.DefaultMaxListeners,

		Trust: trust.Any,

		RetainAge: 30 * 24 * time.Hour,
		MinFree:   store.DefaultMinFree,
	}
}

// Validate reports every fault, by the name of its key.
func (c Config) Validate() error {
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		fault("listen", "%q is not host:port", c.Listen)
	}
	if c.Plugins == "" {
		fault("plugins", "must name a directory")
	}
	if c.Data == "" {
		fault("data", "must name a directory")
	}
	if c.BaseURL != "" {
		u, err := url.Parse(c.BaseURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			fault("base-url", "%q is not an absolute http or https URL without query", c.BaseURL)
		}
	}
	if _, err := c.proxies(); err != nil {
		fault("trusted-proxies", "%v", err)
	}
	if err := api.CheckCORSOrigins(c.origins()); err != nil {
		fault("cors-origins", "%v", err)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		fault("log-format", "%q is not text or json", c.LogFormat)
	}
	if _, err := level(c.LogLevel); err != nil {
		fault("log-level", "%q is not debug, info, warn or error", c.LogLevel)
	}
	if err := c.references().Validate(); err != nil {
		for line := range strings.Lines(err.Error()) { // each begins with the name of a list
			faults = append(faults, errors.New("reference-"+strings.TrimSpace(line)))
		}
	}
	for _, s := range c.Compat {
		if s != CompatCITE10 && s != CompatPygeoapi {
			fault("compat", "no switch %q; there are %s and %s", s, CompatCITE10, CompatPygeoapi)
		}
	}
	if c.CallbackSecret != "" {
		if _, err := callback.ParseSecret(string(c.CallbackSecret)); err != nil {
			fault("callback-secret", "%v", err)
		}
	}
	c.validateNumbers(fault)
	c.validateQueue(fault)
	c.validateProcesses(fault)
	c.validatePlugins(fault)
	c.validateTrust(fault)
	return errors.Join(faults...)
}

// validateNumbers reports the sizes, counts and times that are out of range.
func (c Config) validateNumbers(fault func(key, format string, args ...any)) {
	for _, n := range []struct {
		key   string
		value int64
	}{{"max-body", c.MaxBody}, {"reference-max-bytes", c.ReferenceMaxBytes}, {"min-free", c.MinFree}} {
		if n.value < 1 {
			fault(n.key, "%d is not a number of bytes from 1", n.value)
		}
	}
	for _, n := range []struct {
		key   string
		value int
	}{{"queue-limit", c.QueueLimit}, {"sync-slots", c.SyncSlots}, {"callback-tries", c.CallbackTries}, {"max-listeners", c.MaxListeners}} {
		if n.value < 1 {
			fault(n.key, "%d is not a number from 1", n.value)
		}
	}
	if c.LogMaxBytes < job.MinLogBytes {
		fault("log-max-bytes", "%d is not a number of bytes from %d", c.LogMaxBytes, job.MinLogBytes)
	}
	if c.Slots < 0 {
		fault("slots", "%d is negative", c.Slots)
	}
	if c.MaxTimeout < 0 {
		fault("max-timeout", "%s is negative", c.MaxTimeout)
	}
	if c.Tombstone < time.Second {
		fault("tombstone", "%s is not a duration from 1s", c.Tombstone)
	}
	c.limits().validate(func(key, format string, args ...any) { fault("retain-"+key, format, args...) })
	if c.DiskQuota < 0 {
		fault("disk-quota", "%d is negative", c.DiskQuota)
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"timeout", c.Timeout}, {"grace", c.Grace}, {"drain", c.Drain}, {"reference-timeout", c.ReferenceTimeout}} {
		if d.value <= 0 {
			fault(d.key, "%s is not a duration above zero", d.value)
		}
	}
}

// references is the policy for the servers that inputs come from.
func (c Config) references() remote.Policy {
	return remote.Policy{
		Schemes: c.ReferenceSchemes, Allow: c.ReferenceAllow, Deny: c.ReferenceDeny, Private: c.ReferencePrivate,
		MaxBytes: max(c.ReferenceMaxBytes, 0), Timeout: max(c.ReferenceTimeout, 0),
	}
}

// pluginEnv gives each variable of PluginEnv its value. A bare name that the
// host does not have is left out.
func (c Config) pluginEnv(lookup func(string) (string, bool)) []string {
	var env []string
	for _, v := range c.PluginEnv {
		if strings.Contains(v, "=") {
			env = append(env, v)
		} else if value, ok := lookup(v); ok {
			env = append(env, v+"="+value)
		}
	}
	return env
}
