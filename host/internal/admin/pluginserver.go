package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

const (
	commandBytes = 64 << 10 // largest body of a command
	logReaders   = 64       // logs that are read at once
)

func (s *Server) handlePlugins(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pluginsPath, func(w http.ResponseWriter, _ *http.Request) {
		s.answer(w, s.config.Plugins.List())
	})
	mux.HandleFunc("GET "+pluginsPath+"/{file}", s.inspect)
	mux.HandleFunc("GET "+pluginsPath+"/{file}/logs", s.logs)
	mux.HandleFunc("GET "+checksPath, s.verify)
	mux.HandleFunc("POST "+commandsPath, s.command)
}

func (s *Server) inspect(w http.ResponseWriter, r *http.Request) {
	p, err := s.config.Plugins.Inspect(r.PathValue("file"))
	if err != nil {
		s.fail(w, http.StatusConflict, err)
		return
	}
	s.answer(w, p)
}

func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), CommandDeadline)
	defer cancel()
	list, err := s.config.Plugins.Verify(ctx, r.URL.Query().Get("file"))
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		err = errStopping
	}
	if err != nil {
		s.fail(w, http.StatusConflict, err)
		return
	}
	s.answer(w, list)
}

// answer writes a JSON document.
func (s *Server) answer(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", mediaJSON)
	s.write(w, document)
}

// fail writes the Fault of a request that has no answer yet.
func (s *Server) fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", mediaJSON)
	w.WriteHeader(status)
	s.write(w, Fault{err.Error()})
}

func (s *Server) write(w http.ResponseWriter, document any) {
	e := json.NewEncoder(&patient{w, http.NewResponseController(w)})
	if err := e.Encode(document); err != nil {
		s.config.Logger.Debug("answer operator", "error", err) // it has left
	}
}

// command reads, logs and carries out a Command.
func (s *Server) command(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(headerDeadline)) // a Unix socket has deadlines
	var c Command
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, commandBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		s.fail(w, http.StatusBadRequest, fmt.Errorf("the server does not understand the command (is it another version?): %w", err))
		return
	}
	_ = control.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithTimeout(r.Context(), CommandDeadline)
	defer cancel()
	begun := time.Now()
	done, err := s.config.Plugins.Do(ctx, c)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		err = errStopping // or nobody reads it
	}
	log := s.config.Logger.With("command", c.Verb, "took", time.Since(begun))
	if by, ok := r.Context().Value(peerKey{}).(*syscall.Ucred); ok {
		log = log.With("by_uid", by.Uid, "by_pid", by.Pid)
	}
	if err != nil {
		log.Warn("operator's command failed", "file", c.File, "error", err) // there may be no such plugin
		s.fail(w, http.StatusConflict, err)
		return
	}
	log.Info("operator's command done", "plugin", c.File, "outcome", done.Done)
	s.answer(w, done)
}

// peerKey is the key of a request's context under which its sender stands.
type peerKey struct{}

// withPeer notes who sends the requests of a connection.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	peer, err := peerOf(conn.(*net.UnixConn))
	if err != nil {
		return ctx // it is gone already
	}
	return context.WithValue(ctx, peerKey{}, peer)
}

// logs streams the log of a plugin.
func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	last, err := strconv.Atoi(query.Get("last"))
	if err != nil || last < 0 || last > MostLines {
		s.fail(w, http.StatusBadRequest, fmt.Errorf("last: %q is not a number from 0 to %d", query.Get("last"), MostLines))
		return
	}
	if s.readers.Add(1) > logReaders {
		s.readers.Add(-1)
		s.fail(w, http.StatusServiceUnavailable, fmt.Errorf("%d logs are being read already", logReaders))
		return
	}
	defer s.readers.Add(-1)
	lines, err := s.config.Plugins.Logs(r.Context(), r.PathValue("file"), last, query.Get("follow") == "true")
	if err != nil {
		s.fail(w, http.StatusConflict, err)
		return
	}
	w.Header().Set("Content-Type", mediaLines)
	w.Header().Set("Trailer", faultTrailer)
	out := &patient{w, http.NewResponseController(w)}
	out.stream(lines)
	if r.Context().Err() != nil {
		_ = out.extend() // the last line may have been long ago
		setFault(w, errStopping)
	}
}

// stream writes lines as they come, each at once, until the client leaves.
func (p *patient) stream(lines iter.Seq[LogLine]) {
	if p.flush() != nil { // the client is to know that it is heard
		return
	}
	e := json.NewEncoder(p)
	for l := range lines {
		if e.Encode(l) != nil || p.flush() != nil {
			return
		}
	}
}
