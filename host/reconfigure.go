package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync/atomic"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin"
)

// decisions is what the operator decides about plugins and processes, as of when
// the configuration was read last.
type decisions struct{ config atomic.Pointer[Config] }

func decide(c Config) *decisions {
	d := new(decisions)
	d.config.Store(&c)
	return d
}

func (d *decisions) policy(id string, p job.Policy) job.Policy { return d.config.Load().policy(id, p) }

func (d *decisions) options(file string) plugin.Options { return d.config.Load().options(file) }

// reconfigure reads the configuration again and puts into force what it decides
// about plugins and processes; everything else waits for the next start. A
// configuration with a fault changes nothing. A plugin that cannot serve as it is
// configured now goes on as it was; the error names it.
func (p *parts) reconfigure(ctx context.Context) error {
	if p.reread == nil {
		return errors.New("this host reads its configuration once only")
	}
	c, err := p.reread()
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return fmt.Errorf("configuration is left as it was: %w", err)
	}
	p.decided.config.Store(&c)
	if keys := waiting(p.config, c); len(keys) > 0 {
		p.log.Warn("some of the changed configuration is in force after the next start only", "keys", strings.Join(keys, ", "))
	}
	select {
	case <-p.plugins.Ready():
		p.nameStrangers(p.plugins.Plugins())
	default: // await does, once it is known which plugins there are
	}
	if err := p.plugins.Reconfigure(ctx); err != nil {
		return fmt.Errorf("configuration is in force but for: %w", err)
	}
	p.log.Info("configuration is in force")
	return nil
}

// nameStrangers warns of what the configuration as it was read last says about
// plugins that are not there.
func (p *parts) nameStrangers(found []PluginStatus) {
	for _, name := range p.decided.config.Load().strangers(found) {
		p.log.Warn("plugin-config names a plugin that is not there", "plugin", name, "known", neighbours(name, found))
	}
}

// waiting names the keys that differ and are read at the start of the host only.
func waiting(before, after Config) (keys []string) {
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range b.NumField() {
		f := b.Type().Field(i)
		switch f.Name {
		case "PluginConfig", "Processes", "Trust", "Sandbox":
			continue
		}
		if f.IsExported() && !reflect.DeepEqual(b.Field(i).Interface(), a.Field(i).Interface()) {
			keys = append(keys, f.Tag.Get("yaml"))
		}
	}
	return keys
}

// heed reads the configuration again at each signal, until ctx ends.
func (p *parts) heed(ctx context.Context, hangup <-chan os.Signal) error {
	for {
		select {
		case <-hangup:
			if err := p.reconfigure(ctx); err != nil && ctx.Err() == nil {
				p.log.Error("reload", "error", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}
