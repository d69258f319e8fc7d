package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
)

// handler answers a request, or returns the error that problem.go answers with.
// It returns errors before it has written anything, or, for a broken stream,
// after; the adapter then cuts the connection.
type handler func(w http.ResponseWriter, r *http.Request, p httprouter.Params) error

// bodyPatience is how long nothing, or next to nothing, may come of a body.
const bodyPatience = 30 * time.Second

// statusClientGone is for the log: the client went away before its answer.
const statusClientGone = 499

// exchange is the ResponseWriter of one request. It remembers what was sent,
// and sends no body to HEAD.
type exchange struct {
	http.ResponseWriter
	requestID string
	status    int
	sent      int64 // bytes of body
	head      bool
	origins   bool // the reply differs between origins
	noStore   bool // nobody may keep the reply
}

func (e *exchange) WriteHeader(status int) {
	if e.status == 0 && status >= 200 {
		e.status = status
		if e.origins {
			e.Header().Add("Vary", "Origin")
		}
		if e.noStore {
			e.Header().Set("Cache-Control", "no-store")
		}
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(b []byte) (int, error) {
	if e.status == 0 {
		e.WriteHeader(http.StatusOK)
	}
	if e.head {
		return len(b), nil
	}
	n, err := e.ResponseWriter.Write(b)
	e.sent += int64(n)
	return n, err
}

// ReadFrom lets files reach the socket without passing through memory.
func (e *exchange) ReadFrom(src io.Reader) (int64, error) {
	if e.status == 0 {
		e.WriteHeader(http.StatusOK)
	}
	if e.head {
		return 0, nil
	}
	n, err := io.Copy(e.ResponseWriter, src)
	e.sent += n
	return n, err
}

// Unwrap serves http.ResponseController.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// adapt turns a handler into what httprouter calls: it adds the request id, the
// log line, the recovery from panics and the problem document.
func (a *API) adapt(h handler) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, p httprouter.Params) {
		e := &exchange{ResponseWriter: w, head: r.Method == http.MethodHead}
		if r.ContentLength != 0 { // also where the body is not asked for: it is read in the end
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
		}
		e.requestID = r.Header.Get("X-Request-Id")
		if !saneID(e.requestID) {
			e.requestID = a.config.RequestID()
		}
		w.Header()["X-Request-Id"] = []string{e.requestID}
		if a.cors != nil {
			e.origins = !a.cors.any
			a.cors.answer(w.Header(), r)
		}
		debugging := a.config.Logger.Enabled(r.Context(), slog.LevelDebug)
		var began time.Time
		if debugging {
			began = time.Now()
		}
		err := call(h, e, r, p)
		if err != nil {
			a.fail(e, r, err)
		}
		if debugging && e.status < 500 {
			a.config.Logger.LogAttrs(r.Context(), slog.LevelDebug, "request",
				append(e.attrs(r), slog.Duration("took", time.Since(began)))...)
		}
	}
}

// call runs the handler and turns a panic into an error.
func call(h handler, e *exchange, r *http.Request, p httprouter.Params) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	for _, param := range p {
		if param.Value == "" {
			return noResource()
		}
	}
	return h(e, r, p)
}

// panicError is a handler that panicked.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// fail answers with a problem document and logs what clients are not told.
func (a *API) fail(e *exchange, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		if err = context.Cause(r.Context()); errors.Is(err, context.Canceled) {
			e.WriteHeader(statusClientGone)
			return
		} // else it was cancelled by the host, whose reason the client is told
	}
	if e.status != 0 {
		a.config.Logger.LogAttrs(r.Context(), slog.LevelError, "reply was cut off",
			append(e.attrs(r), slog.String("error", err.Error()))...)
		panic(http.ErrAbortHandler)
	}
	if a.config.ForgetRemoved && errors.Is(err, job.ErrGone) {
		err = job.ErrNoSuchJob
	}
	p := problemOf(err, e.requestID)
	if p.Instance == "" {
		p.Instance = a.address.path(r) + r.URL.EscapedPath()
	}
	_, failed := errors.AsType[*job.FailedError](err)
	if a.config.Pygeoapi {
		p.forPygeoapi(r, failed)
	}
	p.write(e, r)
	if p.Status >= 500 && !failed { // the job's end is logged already
		a.config.Logger.LogAttrs(r.Context(), slog.LevelError, "request failed",
			append(e.attrs(r), slog.String("error", err.Error()))...)
	}
}

func (e *exchange) attrs(r *http.Request) []slog.Attr {
	return []slog.Attr{
		slog.String("request", e.requestID),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Int("status", e.status),
		slog.Int64("bytes", e.sent),
	}
}

// saneID reports whether a client's request id is fit for a header and a log.
func saneID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '~':
		default:
			return false
		}
	}
	return true
}
