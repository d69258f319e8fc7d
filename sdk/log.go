package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"geomill/sdk/wire"
)

// logHandler sends log records to the host as level, message and a JSON object
// of the attributes.
type logHandler struct {
	fields slog.Handler // writes to buffer
	shared *logBuffer
}

type logBuffer struct {
	events wire.Events
	mu     sync.Mutex
	text   bytes.Buffer
}

func newLogHandler(ev wire.Events) *logHandler {
	shared := &logBuffer{events: ev}
	return &logHandler{
		shared: shared,
		fields: slog.NewJSONHandler(&shared.text, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutHead}),
	}
}

// withoutHead drops what Handle has taken out of the record.
func withoutHead(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	if a.Key == slog.LevelKey {
		if _, ok := a.Value.Any().(slog.Level); ok {
			return slog.Attr{}
		}
	}
	if a.Key == slog.MessageKey && a.Value.String() == "" {
		return slog.Attr{}
	}
	return a
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelDebug }

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	level, message := r.Level, r.Message
	r.Message, r.Time = "", time.Time{}
	h.shared.mu.Lock()
	h.shared.text.Reset()
	err := h.fields.Handle(ctx, r)
	fields := json.RawMessage(bytes.Clone(bytes.TrimSpace(h.shared.text.Bytes())))
	h.shared.mu.Unlock()
	if err != nil || string(fields) == "{}" {
		fields = nil
	}
	h.shared.events.Log(level, message, fields)
	return err
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{fields: h.fields.WithAttrs(attrs), shared: h.shared}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{fields: h.fields.WithGroup(name), shared: h.shared}
}
