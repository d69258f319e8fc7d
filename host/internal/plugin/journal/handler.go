package journal

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"
)

// The keys that say which plugin a record is about, and which instance of it.
const (
	keyPlugin   = "plugin"
	keyInstance = "instance"
	keyStream   = "stream"
)

// handler passes records on, and notes those that are about a plugin.
type handler struct {
	next slog.Handler
	book *Book

	plugin string
	line   Line // what all lines have in common
	attrs  []slog.Attr
	group  string // what the keys of further attributes begin with
}

// Handler returns a handler that notes in the book what is about a plugin, and
// passes on to next what that one wants.
func (b *Book) Handler(next slog.Handler) slog.Handler { return &handler{next: next, book: b} }

// Said returns a logger for what a plugin says itself. One whose handler is not of
// a Book is returned as it is.
func Said(l *slog.Logger) *slog.Logger {
	h, ok := l.Handler().(*handler)
	if !ok {
		return l
	}
	said := *h
	said.line.Said = true
	return slog.New(&said)
}

// notes reports whether a level is high enough for the book.
func (h *handler) notes(l slog.Level) bool {
	if h.line.Said {
		return l >= leastSaid
	}
	return l >= leastHost
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.notes(l) || h.next.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.next = h.next.WithAttrs(attrs)
	c.attrs = slices.Clip(h.attrs)
	for _, a := range attrs {
		if !c.line.take(&c.plugin, c.group, a) {
			a.Key = c.group + a.Key
			c.attrs = append(c.attrs, a)
		}
	}
	return &c
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	c := *h
	c.next = h.next.WithGroup(name)
	c.group += name + "."
	return &c
}

// take puts an attribute that every line may have into its place. What a plugin
// says cannot pass for another's.
func (l *Line) take(plugin *string, group string, a slog.Attr) bool {
	switch v := a.Value.Resolve(); {
	case group != "":
	case a.Key == keyPlugin && !l.Said && v.Kind() == slog.KindString:
		*plugin = v.String()
		return true
	case a.Key == keyInstance && !l.Said && v.Kind() == slog.KindInt64:
		l.Instance = v.Int64()
		return true
	case a.Key == keyStream && l.Said && v.Kind() == slog.KindString:
		l.Stream = v.String()
		return true
	}
	return false
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if h.notes(r.Level) {
		h.note(r)
	}
	if h.next.Enabled(ctx, r.Level) {
		return h.next.Handle(ctx, r)
	}
	return nil
}

func (h *handler) note(r slog.Record) {
	plugin, line, attrs := h.plugin, h.line, slices.Clip(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		if !line.take(&plugin, h.group, a) {
			a.Key = h.group + a.Key
			attrs = append(attrs, a)
		}
		return true
	})
	if plugin == "" {
		return
	}
	hide := h.book.hide
	line.Time, line.Level, line.Message = r.Time, r.Level, hide(r.Message)
	if line.Time.IsZero() {
		line.Time = time.Now()
	}
	if len(attrs) > 0 {
		line.Fields = object(attrs, hide)
	}
	h.book.add(plugin, line)
}

// object writes attributes as JSON, without what hide takes out.
func object(attrs []slog.Attr, hide func(string) string) json.RawMessage {
	m := make(map[string]any, len(attrs))
	for _, a := range attrs {
		if a.Key != "" {
			m[hide(a.Key)] = value(a.Value, hide)
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil // a value that no JSON can express, such as a channel
	}
	return text
}

func value(v slog.Value, hide func(string) string) any {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		m := map[string]any{}
		for _, a := range v.Group() {
			m[hide(a.Key)] = value(a.Value, hide)
		}
		return m
	case slog.KindAny:
		return plain(v.Any(), hide)
	case slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindBool:
		return scalar(v.Any(), v.String(), hide)
	}
	return hide(v.String())
}

// plain makes a value of any type one that JSON expresses: those that come from
// JSON stay as they are, others become what they print.
func plain(v any, hide func(string) string) any {
	switch v := v.(type) {
	case nil:
		return nil
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, one := range v {
			m[hide(key)] = plain(one, hide)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, one := range v {
			list[i] = plain(one, hide)
		}
		return list
	case bool, float64, int, int64:
		return scalar(v, slog.AnyValue(v).String(), hide)
	}
	return hide(slog.AnyValue(v).String())
}

// scalar returns v, unless something has to be taken out of what it prints.
func scalar(v any, printed string, hide func(string) string) any {
	if shown := hide(printed); shown != printed {
		return shown
	}
	return v
}
