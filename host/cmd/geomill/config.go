package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"geomill/host"

	"github.com/goccy/go-yaml"
)

// callbackSecret is the variable of a setting that is no flag: anyone on the
// machine can read the flags of a process.
const callbackSecret = "GEOMILL_CALLBACK_SECRET"

// settings are the flags that stand above the configuration file. Each is also
// an environment variable; nil when neither was given.
type settings struct {
	Config string `help:"Configuration file (YAML). Its keys are the names of these flags." env:"GEOMILL_CONFIG" placeholder:"FILE"`

	Listen         *string  `help:"Address to serve on (127.0.0.1:5000)." env:"GEOMILL_LISTEN" placeholder:"ADDR"`
	Plugins        *string  `help:"Directory of plugins (./plugins)." env:"GEOMILL_PLUGINS" placeholder:"DIR"`
	Data           *string  `help:"Directory of jobs and outputs (./data)." env:"GEOMILL_DATA" placeholder:"DIR"`
	BaseURL        *string  `help:"Public URL of the landing page." env:"GEOMILL_BASE_URL" placeholder:"URL"`
	TrustedProxies []string `help:"Address or network whose Forwarded and X-Forwarded headers are believed." env:"GEOMILL_TRUSTED_PROXIES" placeholder:"CIDR"`
	CORSOrigins    []string `help:"Origin whose pages may use the API; none turns it off (*)." env:"GEOMILL_CORS_ORIGINS" placeholder:"ORIGIN"`
	KVPExecute     *bool    `help:"Let processes be executed by GET with query parameters." env:"GEOMILL_KVP_EXECUTE"`
	ForgetRemoved  *bool    `help:"Answer 404 rather than 410 for removed jobs." env:"GEOMILL_FORGET_REMOVED"`

	Tombstone *time.Duration `help:"Time for which removed jobs are answered with 410, then with 404 (24h)." env:"GEOMILL_TOMBSTONE" placeholder:"DURATION"`

	LogFormat  *string        `help:"text or json." env:"GEOMILL_LOG_FORMAT" placeholder:"FORMAT"`
	LogLevel   *string        `help:"debug, info, warn or error." env:"GEOMILL_LOG_LEVEL" placeholder:"LEVEL"`
	MaxBody    *int64         `help:"Largest request body in bytes (134217728)." env:"GEOMILL_MAX_BODY" placeholder:"BYTES"`
	Slots      *int           `help:"Queued jobs that run at once (two a processor)." env:"GEOMILL_SLOTS" placeholder:"N"`
	QueueLimit *int           `help:"Accepted jobs that may wait (100000)." env:"GEOMILL_QUEUE_LIMIT" placeholder:"N"`
	SyncSlots  *int           `help:"Sync executions at once (256)." env:"GEOMILL_SYNC_SLOTS" placeholder:"N"`
	RecordSync *bool          `help:"Keep a record of every sync execution." env:"GEOMILL_RECORD_SYNC"`
	Timeout    *time.Duration `help:"Time an attempt may take (1h)." env:"GEOMILL_TIMEOUT" placeholder:"DURATION"`
	MaxTimeout *time.Duration `help:"Longest time that a request may ask for (what its process has)." env:"GEOMILL_MAX_TIMEOUT" placeholder:"DURATION"`
	ShowStderr *bool          `help:"Show clients what a plugin wrote before it crashed (yes)." negatable:"" env:"GEOMILL_SHOW_STDERR"`
	LogMax     *int64         `name:"log-max-bytes" help:"Most that the log of a job takes in bytes (1048576)." env:"GEOMILL_LOG_MAX_BYTES" placeholder:"BYTES"`
	Grace      *time.Duration `help:"Time between asking work to stop and stopping it (5s)." env:"GEOMILL_GRACE" placeholder:"DURATION"`
	Drain      *time.Duration `help:"Time requests and jobs have after a signal (10s)." env:"GEOMILL_DRAIN" placeholder:"DURATION"`
	PluginEnv  []string       `help:"Environment variable for plugins, NAME or NAME=VALUE." env:"GEOMILL_PLUGIN_ENV" placeholder:"NAME"`
	Sandbox    *string        `help:"How plugins are confined: on (as far as this machine can), strict (or not started) or off (on)." env:"GEOMILL_SANDBOX" placeholder:"MODE"`
	PluginUIDs *string        `name:"plugin-uids" help:"Users that plugins run as, each as one of its own, if the host runs as root (none)." env:"GEOMILL_PLUGIN_UIDS" placeholder:"FIRST-LAST"`
	Compat     []string       `help:"Compatibility switch: cite10 or pygeoapi." env:"GEOMILL_COMPAT" placeholder:"SWITCH"`

	QueueLimitPerCaller *int           `help:"Accepted jobs of one caller that may wait (half of all)." env:"GEOMILL_QUEUE_LIMIT_PER_CALLER" placeholder:"N"`
	QueueTimeout        *time.Duration `help:"Time an accepted job may wait for its start; 0 is for ever (0s)." env:"GEOMILL_QUEUE_TIMEOUT" placeholder:"DURATION"`
	CallerHeader        *string        `help:"Header by which trusted proxies tell who sends a request." env:"GEOMILL_CALLER_HEADER" placeholder:"NAME"`

	ReferenceSchemes  []string       `help:"URL scheme of inputs by reference (http,https)." env:"GEOMILL_REFERENCE_SCHEMES" placeholder:"SCHEME"`
	ReferenceAllow    []string       `help:"Server that inputs may be fetched from: *, a name, *.suffix, an address or CIDR range, each with :port (any public one)." env:"GEOMILL_REFERENCE_ALLOW" placeholder:"HOST"`
	ReferenceDeny     []string       `help:"Server that inputs may not be fetched from, as above." env:"GEOMILL_REFERENCE_DENY" placeholder:"HOST"`
	ReferencePrivate  *bool          `help:"Fetch inputs from, and call subscribers on, this machine and private networks too." env:"GEOMILL_REFERENCE_PRIVATE"`
	ReferenceMaxBytes *int64         `help:"Largest size in bytes of all references of a request (1073741824)." env:"GEOMILL_REFERENCE_MAX_BYTES" placeholder:"BYTES"`
	ReferenceTimeout  *time.Duration `help:"Time to fetch all references of a request (1m)." env:"GEOMILL_REFERENCE_TIMEOUT" placeholder:"DURATION"`
	CallbackTries     *int           `help:"Tries of a callback before it is given up (5)." env:"GEOMILL_CALLBACK_TRIES" placeholder:"N"`

	Trust     *host.TrustPolicy `help:"Contents of plugins that may run: any, tofu, pinned or signed (any)." env:"GEOMILL_TRUST" placeholder:"POLICY"`
	TrustKeys []string          `help:"Public minisign key, or a file of them, whose signatures count." env:"GEOMILL_TRUST_KEYS" placeholder:"KEY"`

	MaxListeners *int `help:"Clients that may listen to events at once (10000)." env:"GEOMILL_MAX_LISTENERS" placeholder:"N"`

	RetainAge   *time.Duration `help:"Time that finished jobs are kept; 0 for ever (720h)." env:"GEOMILL_RETAIN_AGE" placeholder:"DURATION"`
	RetainCount *int           `help:"Finished jobs that are kept, the last to end; 0 sets no limit (0)." env:"GEOMILL_RETAIN_COUNT" placeholder:"N"`
	RetainBytes *int64         `help:"Bytes of finished jobs that are kept; 0 sets no limit (0)." env:"GEOMILL_RETAIN_BYTES" placeholder:"BYTES"`
	DiskQuota   *int64         `help:"Bytes that all jobs may take in the data directory; 0 sets no limit (0)." env:"GEOMILL_DISK_QUOTA" placeholder:"BYTES"`
	MinFree     *int64         `help:"Free bytes on the disk below which new jobs are refused (134217728)." env:"GEOMILL_MIN_FREE" placeholder:"BYTES"`
}

// load puts the configuration together: flag over environment over file over
// default. (Flags and environment are one by the time it is called.)
func (s settings) load() (host.Config, error) {
	c := host.Default()
	if s.Config != "" {
		if err := readFile(s.Config, &c); err != nil {
			return c, err
		}
	}
	s.above(&c)
	if secret, ok := os.LookupEnv(callbackSecret); ok {
		c.CallbackSecret = host.Secret(secret)
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

// ownProgram is this program: it serves manifests, as the version that it is.
const ownProgram = "/proc/self/exe"

// serving is load for a host that starts plugins.
func (s settings) serving() (host.Config, error) {
	c, err := s.load()
	c.Program = ownProgram
	return c, err
}

// above puts into c what flags and variables say.
func (s settings) above(c *host.Config) {
	set(&c.Listen, s.Listen)
	set(&c.Plugins, s.Plugins)
	set(&c.Data, s.Data)
	set(&c.BaseURL, s.BaseURL)
	if s.TrustedProxies != nil {
		c.TrustedProxies = s.TrustedProxies
	}
	if s.CORSOrigins != nil {
		c.CORSOrigins = s.CORSOrigins
	}
	set(&c.KVPExecute, s.KVPExecute)
	set(&c.ForgetRemoved, s.ForgetRemoved)
	set(&c.LogFormat, s.LogFormat)
	set(&c.LogLevel, s.LogLevel)
	set(&c.MaxBody, s.MaxBody)
	set(&c.Slots, s.Slots)
	set(&c.QueueLimit, s.QueueLimit)
	set(&c.QueueLimitPerCaller, s.QueueLimitPerCaller)
	set(&c.QueueTimeout, s.QueueTimeout)
	set(&c.CallerHeader, s.CallerHeader)
	set(&c.SyncSlots, s.SyncSlots)
	set(&c.RecordSync, s.RecordSync)
	set(&c.Timeout, s.Timeout)
	set(&c.MaxTimeout, s.MaxTimeout)
	set(&c.ShowStderr, s.ShowStderr)
	set(&c.LogMaxBytes, s.LogMax)
	set(&c.Sandbox, s.Sandbox)
	set(&c.PluginUIDs, s.PluginUIDs)
	set(&c.Grace, s.Grace)
	set(&c.Drain, s.Drain)
	set(&c.Tombstone, s.Tombstone)
	set(&c.ReferencePrivate, s.ReferencePrivate)
	set(&c.ReferenceMaxBytes, s.ReferenceMaxBytes)
	set(&c.ReferenceTimeout, s.ReferenceTimeout)
	set(&c.CallbackTries, s.CallbackTries)
	set(&c.MaxListeners, s.MaxListeners)
	set(&c.RetainAge, s.RetainAge)
	set(&c.RetainCount, s.RetainCount)
	set(&c.RetainBytes, s.RetainBytes)
	set(&c.DiskQuota, s.DiskQuota)
	set(&c.MinFree, s.MinFree)
	set(&c.Trust, s.Trust)
	setList(&c.PluginEnv, s.PluginEnv)
	setList(&c.TrustKeys, s.TrustKeys)
	setList(&c.Compat, s.Compat)
	setList(&c.ReferenceSchemes, s.ReferenceSchemes)
	setList(&c.ReferenceAllow, s.ReferenceAllow)
	setList(&c.ReferenceDeny, s.ReferenceDeny)
}

// readFile puts the keys of a configuration file into c.
func readFile(name string, c *host.Config) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	var content any
	if err := yaml.Unmarshal(text, &content); err == nil && content == nil {
		return nil // decoding nothing would empty c
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(c); err != nil {
		// Without the excerpt that the error would print: the line number is in it.
		return fmt.Errorf("configuration file %s: %s", name, yaml.FormatError(err, false, false))
	}
	return nil
}

func set[T any](field *T, given *T) {
	if given != nil {
		*field = *given
	}
}

func setList(field *[]string, given []string) {
	if given != nil {
		*field = given
	}
}
