package plugin

import (
	"context"
	"io"
	"log"
	"log/slog"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// levelTrace is hclog's Trace on slog's scale.
const levelTrace = slog.LevelDebug - 4

// hclogger is an hclog.Logger that writes to slog. What it gets is never
// logged above most: go-plugin calls an error what is none to a host that
// supervises plugins and reports their end itself.
type hclogger struct {
	log  *slog.Logger
	name string
	args []any
	most slog.Level
}

var _ hclog.Logger = (*hclogger)(nil)

func newHCLogger(l *slog.Logger, most slog.Level) hclog.Logger {
	return &hclogger{log: l, most: most}
}

func levelOf(l hclog.Level) slog.Level {
	switch l {
	case hclog.Trace:
		return levelTrace
	case hclog.Debug:
		return slog.LevelDebug
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	}
	return slog.LevelInfo
}

func (h *hclogger) at(l hclog.Level) slog.Level { return min(levelOf(l), h.most) }

func (h *hclogger) enabled(l hclog.Level) bool {
	return h.log.Enabled(context.Background(), h.at(l))
}

// Log writes one record; args are keys and values in turn.
func (h *hclogger) Log(l hclog.Level, msg string, args ...any) {
	if l != hclog.Off && h.enabled(l) {
		h.log.Log(context.Background(), h.at(l), msg, pairs(args)...)
	}
}

// pairs makes hclog's arguments fit for slog: values that only hclog knows
// become what they print.
func pairs(args []any) []any {
	out := slices.Clone(args)
	for i, a := range out {
		switch v := a.(type) {
		case error:
			out[i] = v.Error()
		case hclog.Format:
			out[i] = slog.AnyValue([]any(v))
		}
	}
	return out
}

func (h *hclogger) Trace(msg string, args ...any) { h.Log(hclog.Trace, msg, args...) }
func (h *hclogger) Debug(msg string, args ...any) { h.Log(hclog.Debug, msg, args...) }
func (h *hclogger) Info(msg string, args ...any)  { h.Log(hclog.Info, msg, args...) }
func (h *hclogger) Warn(msg string, args ...any)  { h.Log(hclog.Warn, msg, args...) }
func (h *hclogger) Error(msg string, args ...any) { h.Log(hclog.Error, msg, args...) }

func (h *hclogger) IsTrace() bool { return h.enabled(hclog.Trace) }
func (h *hclogger) IsDebug() bool { return h.enabled(hclog.Debug) }
func (h *hclogger) IsInfo() bool  { return h.enabled(hclog.Info) }
func (h *hclogger) IsWarn() bool  { return h.enabled(hclog.Warn) }
func (h *hclogger) IsError() bool { return h.enabled(hclog.Error) }

// GetLevel returns the lowest level that is written.
func (h *hclogger) GetLevel() hclog.Level {
	for _, l := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error} {
		if h.enabled(l) {
			return l
		}
	}
	return hclog.Off
}

// SetLevel does nothing: the slog handler decides.
func (h *hclogger) SetLevel(hclog.Level) {}

// ImpliedArgs returns what With has added.
func (h *hclogger) ImpliedArgs() []any { return h.args }

// Name returns the names given by Named, joined with dots.
func (h *hclogger) Name() string { return h.name }

// With returns a logger that adds args to each record.
func (h *hclogger) With(args ...any) hclog.Logger {
	c := *h
	c.args = append(slices.Clone(h.args), args...)
	c.log = h.log.With(pairs(args)...)
	return &c
}

// Named returns a logger with name appended to its own.
func (h *hclogger) Named(name string) hclog.Logger {
	if h.name != "" {
		name = h.name + "." + name
	}
	return h.ResetNamed(name)
}

// ResetNamed returns a logger with this name.
func (h *hclogger) ResetNamed(name string) hclog.Logger {
	c := *h
	c.name = name
	return &c
}

// StandardLogger returns a logger of package log that writes here.
func (h *hclogger) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(h.StandardWriter(o), "", 0)
}

// StandardWriter returns a writer that logs each write as one record.
func (h *hclogger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	w := hclogWriter{h, hclog.Info}
	if o != nil && o.ForceLevel != hclog.NoLevel {
		w.level = o.ForceLevel
	}
	return w
}

type hclogWriter struct {
	h     *hclogger
	level hclog.Level
}

func (w hclogWriter) Write(p []byte) (int, error) {
	n := len(p)
	for n > 0 && p[n-1] == '\n' {
		n--
	}
	w.h.Log(w.level, string(p[:n]))
	return len(p), nil
}
