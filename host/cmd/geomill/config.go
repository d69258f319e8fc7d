package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"geomill/host"

	"github.com/goccy/go-yaml"
)

// settings are the flags that stand above the configuration file. Each is also
// an environment variable; nil when neither was given.
type settings struct {
	Config string `help:"Configuration file (YAML). Its keys are the names of these flags." env:"GEOMILL_CONFIG" placeholder:"FILE"`

	Listen     *string        `help:"Address to serve on (127.0.0.1:5000)." env:"GEOMILL_LISTEN" placeholder:"ADDR"`
	Plugins    *string        `help:"Directory of plugins (./plugins)." env:"GEOMILL_PLUGINS" placeholder:"DIR"`
	Data       *string        `help:"Directory of jobs and outputs (./data)." env:"GEOMILL_DATA" placeholder:"DIR"`
	BaseURL    *string        `help:"Public URL of the landing page." env:"GEOMILL_BASE_URL" placeholder:"URL"`
	LogFormat  *string        `help:"text or json." env:"GEOMILL_LOG_FORMAT" placeholder:"FORMAT"`
	LogLevel   *string        `help:"debug, info, warn or error." env:"GEOMILL_LOG_LEVEL" placeholder:"LEVEL"`
	MaxBody    *int64         `help:"Largest request body in bytes (134217728)." env:"GEOMILL_MAX_BODY" placeholder:"BYTES"`
	Slots      *int           `help:"Queued jobs that run at once (two a processor)." env:"GEOMILL_SLOTS" placeholder:"N"`
	QueueLimit *int           `help:"Accepted jobs that may wait (100000)." env:"GEOMILL_QUEUE_LIMIT" placeholder:"N"`
	SyncSlots  *int           `help:"Sync executions at once (256)." env:"GEOMILL_SYNC_SLOTS" placeholder:"N"`
	RecordSync *bool          `help:"Keep a record of every sync execution." env:"GEOMILL_RECORD_SYNC"`
	Timeout    *time.Duration `help:"Time an attempt may take (1h)." env:"GEOMILL_TIMEOUT" placeholder:"DURATION"`
	Grace      *time.Duration `help:"Time between asking work to stop and stopping it (5s)." env:"GEOMILL_GRACE" placeholder:"DURATION"`
	Drain      *time.Duration `help:"Time requests and jobs have after a signal (10s)." env:"GEOMILL_DRAIN" placeholder:"DURATION"`
	PluginEnv  []string       `help:"Environment variable for plugins, NAME or NAME=VALUE." env:"GEOMILL_PLUGIN_ENV" placeholder:"NAME"`
	Compat     []string       `help:"Compatibility switch: cite10 or pygeoapi." env:"GEOMILL_COMPAT" placeholder:"SWITCH"`
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
	set(&c.Listen, s.Listen)
	set(&c.Plugins, s.Plugins)
	set(&c.Data, s.Data)
	set(&c.BaseURL, s.BaseURL)
	set(&c.LogFormat, s.LogFormat)
	set(&c.LogLevel, s.LogLevel)
	set(&c.MaxBody, s.MaxBody)
	set(&c.Slots, s.Slots)
	set(&c.QueueLimit, s.QueueLimit)
	set(&c.SyncSlots, s.SyncSlots)
	set(&c.RecordSync, s.RecordSync)
	set(&c.Timeout, s.Timeout)
	set(&c.Grace, s.Grace)
	set(&c.Drain, s.Drain)
	if s.PluginEnv != nil {
		c.PluginEnv = s.PluginEnv
	}
	if s.Compat != nil {
		c.Compat = s.Compat
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
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
