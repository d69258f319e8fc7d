package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"geomill/host/internal/plugin/settings"
	"geomill/sdk/wire"
)

// settle makes the settings of a plugin, by its name in the plugins directory,
// for the schema that it declares, and returns the options with them. The error
// says what is wrong and where the operator writes it, without secrets.
func (c *Config) settle(file string, declared json.RawMessage, o Options) (Options, error) {
	var err error
	o.settled, err = settings.Resolve(declared, o.Settings, settings.Source{Env: c.LookupEnv, UID: os.Geteuid()})
	if _, ok := errors.AsType[*settings.Error](err); ok || errors.Is(err, settings.ErrNone) {
		return o, fmt.Errorf("settings: %w (at plugin-config.%s.settings)", err, file)
	}
	if err != nil {
		return o, fmt.Errorf("settings: %w", err)
	}
	return o, nil
}

// start executes a plugin, connects to it and gives it its settings. The error
// says what the plugin did wrong, with its last words.
func (l *launcher) start(ctx context.Context, exe *executable, o Options) (*connection, error) {
	c, err := l.dial(ctx, exe, o)
	if err != nil {
		return nil, err
	}
	if err := c.configure(ctx); err != nil {
		c.enter(StateCrashed, err)
		c.kill()
		return nil, err
	}
	return c, nil
}

// configure gives a plugin its settings, which are made first if they are not
// yet, and the limits of the host. From then on what it says is without secrets.
func (c *connection) configure(ctx context.Context) error {
	if c.options.settled == nil {
		var err error
		if c.options, err = c.cfg.settle(c.child.exe.name, c.info.SettingsSchema, c.options); err != nil {
			return err
		}
	}
	c.enter(StateConfiguring, nil)
	own := c.options.settled
	c.child.console.secrets.Store(own)
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	problems, err := c.client.Configure(ctx, own.Reveal(), wire.Limits{
		MaxConcurrency: c.cfg.MaxConcurrency, InlineMaxBytes: wire.InlineMaxBytes,
	})
	if err != nil {
		return conceal(c.explainConnect(ctx, err), own)
	}
	if len(problems) > 0 {
		return conceal(fmt.Errorf("refuses its settings: %s (at plugin-config.%s.settings)", objections(problems), c.child.exe.name), own)
	}
	return nil
}

// objections lists what a plugin has against its settings.
func objections(problems []wire.Problem) string {
	var all []string
	for i := range problems {
		for _, f := range problems[i].Faults {
			all = append(all, strings.TrimSpace(f.Pointer+" "+f.Message))
		}
		if len(problems[i].Faults) == 0 {
			all = append(all, problems[i].Error())
		}
	}
	return strings.Join(all, "; ")
}
