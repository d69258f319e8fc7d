package host

import (
	"context"
	"fmt"
	"log/slog"
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
	h, err := plugin.New(c.admission(data, decide(c), log))
	if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	return h.Scan(ctx)
}
