package plugin

import (
	"cmp"
	"context"
	"iter"
	"log/slog"
	"slices"
	"strings"

	"geomill/host/internal/plugin/journal"
)

// LogLine is a line of the log of a plugin.
type LogLine = journal.Line

// Conceal takes out of a text what is taken out of logs of plugins.
func (h *Host) Conceal(text string) string { return h.cfg.conceal(text) }

// keepJournal has what is logged about plugins be remembered.
func (c *Config) keepJournal() {
	c.conceal = c.secrets().Replace
	c.journal = journal.NewBook(c.conceal)
	c.Log = slog.New(c.journal.Handler(c.Log.Handler()))
}

// Logger returns a logger whose lines become part of the log of the plugin that
// their attribute "plugin" names.
func (h *Host) Logger() *slog.Logger { return h.log }

// Logs returns at most n of the last lines that the plugin in a file has written
// and that the host has logged about it, oldest first. It reports false for a
// file of which nothing is known. What the operator keeps secret is not in them.
func (h *Host) Logs(file string, n int) ([]LogLine, bool) {
	return h.cfg.journal.Last(file, n), h.knows(file)
}

// FollowLogs yields what Logs returns and then the lines that come, until ctx ends.
// The plugin in the file may come later.
func (h *Host) FollowLogs(ctx context.Context, file string, n int) iter.Seq[LogLine] {
	return h.cfg.journal.Follow(ctx, file, n)
}

// knows reports whether a file is there, or was and is remembered.
func (h *Host) knows(file string) bool {
	h.mu.Lock()
	_, there := h.entries[file]
	h.mu.Unlock()
	return there || h.cfg.journal.Has(file)
}

// secrets replaces the values that the operator put into the environment of
// plugins by the names of the variables. Each line of a longer one counts.
func (c *Config) secrets() *strings.Replacer {
	type secret struct{ value, name string }
	var list []secret
	for _, e := range c.Env {
		name, value, _ := strings.Cut(e, "=")
		for _, part := range append(strings.Split(value, "\n"), value) {
			if part = strings.TrimSpace(part); len(part) >= shortestSecret {
				list = append(list, secret{part, "[" + name + "]"})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b secret) int { return cmp.Compare(len(b.value), len(a.value)) })
	var pairs []string
	for _, s := range list {
		pairs = append(pairs, s.value, s.name)
	}
	return strings.NewReplacer(pairs...)
}
