package host

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// Config is everything that can be set. Start from Default.
type Config struct {
	// Listen is the TCP address to serve on; port 0 takes a free one.
	Listen string `yaml:"listen"`
	// Plugins is the directory whose executables are offered.
	Plugins string `yaml:"plugins"`
	// Data is the directory of jobs, outputs and caches.
	Data string `yaml:"data"`
	// BaseURL is the public URL of the landing page, when it is not the
	// address a client used; without a trailing slash.
	BaseURL string `yaml:"base-url"`

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
	// SyncSlots is how many sync executions run at once.
	SyncSlots int `yaml:"sync-slots"`
	// RecordSync keeps a record of every sync execution.
	RecordSync bool `yaml:"record-sync"`
	// Timeout is how long an attempt may take unless its process says so.
	Timeout time.Duration `yaml:"timeout"`
	// Grace is the time between asking work to stop and stopping it.
	Grace time.Duration `yaml:"grace"`
	// Drain is how long requests and jobs may go on after a signal.
	Drain time.Duration `yaml:"drain"`
	// PluginEnv lists environment variables, NAME or NAME=VALUE, that
	// plugins get besides the fixed few; NAME takes the host's value.
	PluginEnv []string `yaml:"plugin-env"`
	// Compat lists compatibility switches, see CompatCITE10 and CompatPygeoapi.
	Compat []string `yaml:"compat"`
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
		LogFormat:   "text",
		LogLevel:    "info",
		MaxBody:     128 << 20,
		QueueLimit:  100_000,
		SyncSlots:   256,
		Timeout:     time.Hour,
		Grace:       5 * time.Second,
		Drain:       10 * time.Second,
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
	if c.LogFormat != "text" && c.LogFormat != "json" {
		fault("log-format", "%q is not text or json", c.LogFormat)
	}
	if _, err := level(c.LogLevel); err != nil {
		fault("log-level", "%q is not debug, info, warn or error", c.LogLevel)
	}
	if c.MaxBody < 1 {
		fault("max-body", "%d is not a number of bytes from 1", c.MaxBody)
	}
	for _, n := range []struct {
		key   string
		value int
	}{{"queue-limit", c.QueueLimit}, {"sync-slots", c.SyncSlots}} {
		if n.value < 1 {
			fault(n.key, "%d is not a number from 1", n.value)
		}
	}
	for _, s := range c.Compat {
		if s != CompatCITE10 && s != CompatPygeoapi {
			fault("compat", "no switch %q; there are %s and %s", s, CompatCITE10, CompatPygeoapi)
		}
	}
	for _, v := range c.PluginEnv {
		if name, _, _ := strings.Cut(v, "="); name == "" {
			fault("plugin-env", "%q has no name", v)
		}
	}
	if c.Slots < 0 {
		fault("slots", "%d is negative", c.Slots)
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"timeout", c.Timeout}, {"grace", c.Grace}, {"drain", c.Drain}} {
		if d.value <= 0 {
			fault(d.key, "%s is not a duration above zero", d.value)
		}
	}
	return errors.Join(faults...)
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
