package host

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"geomill/host/internal/plugin"
)

// ScanPlugins looks at the plugins directory once and reports on every
// candidate. It starts those it has no description of, and stops them again.
func ScanPlugins(ctx context.Context, c Config, log *slog.Logger) ([]PluginStatus, error) {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	h, err := plugin.New(plugin.Config{
		Dir: c.Plugins, CacheDir: filepath.Join(data, "cache"), Env: c.pluginEnv(os.LookupEnv), Log: log,
		Options: c.options, LockFile: filepath.Join(data, trustFile), TrustKeys: c.TrustKeys, Private: []string{data},
		Users: c.users(), UsersFile: filepath.Join(data, usersFile),
	})
	if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	return h.Scan(ctx)
}
