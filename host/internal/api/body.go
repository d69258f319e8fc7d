package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"geomill/host/internal/job"
)

// body is the body of an execute request: in memory, or a file without a name.
type body struct {
	text []byte
	file *os.File // when text is nil
}

func (b *body) close() {
	if b.file != nil {
		b.file.Close()
	}
}

// raw returns a section of the body, as a copy of nothing.
func (b *body) raw(s span) job.Raw {
	if b.file != nil {
		return job.Raw{Section: io.NewSectionReader(b.file, s.start, s.end-s.start)}
	}
	return job.Raw{Text: b.text[s.start:s.end:s.end]}
}

// outline finds the members. Bodies in files take turns.
func (a *API) outline(r *http.Request, b *body) (outline, error) {
	if b.file == nil {
		if err := checkUTF8(b.text); err != nil {
			return outline{}, err
		}
		return scanBytes(b.text)
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-r.Context().Done():
		return outline{}, r.Context().Err()
	}
	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		return outline{}, fmt.Errorf("read spooled body: %w", err)
	}
	return scanReader(&utf8Reader{src: b.file})
}

// readBody reads the body of an execute request. What is larger than the spool
// threshold goes to a file. It fails with *http.MaxBytesError above the limit.
// The caller closes the body.
func (a *API) readBody(w http.ResponseWriter, r *http.Request) (*body, error) {
	if err := checkContent(r.Header); err != nil {
		return nil, err
	}
	limit := a.config.MaxBody
	switch n := r.ContentLength; {
	case n > limit:
		return nil, &http.MaxBytesError{Limit: limit}
	case n >= 0 && n <= a.config.SpoolThreshold:
		text := make([]byte, n)
		if _, err := io.ReadFull(r.Body, text); err != nil {
			return nil, brokenBody(err)
		}
		unlimited(w)
		return &body{text: text}, nil
	}
	if e, ok := w.(*exchange); ok {
		w = e.ResponseWriter // MaxBytesReader has net/http close the connection
	}
	src := &source{r: http.MaxBytesReader(w, r.Body, limit), patience: http.NewResponseController(w)}
	defer unlimited(w)
	threshold := a.config.SpoolThreshold
	if r.ContentLength < 0 {
		text, err := io.ReadAll(io.LimitReader(src, threshold+1))
		if err != nil {
			return nil, brokenBody(err)
		}
		if int64(len(text)) <= threshold {
			return &body{text: text}, nil
		}
		return a.spool(r, text, src)
	}
	return a.spool(r, nil, src)
}

// unlimited ends the patience with a body: its request may take longer.
func unlimited(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}

// source tells errors of the client's side from those of our disk, and has
// patience with a body for as long as enough comes of it.
type source struct {
	r        io.Reader
	patience *http.ResponseController
	unpaid   int // bytes since the deadline was last moved
	err      error
}

// patienceStep is how much of a body has to come within bodyPatience, in bytes.
const patienceStep = 256 << 10

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.unpaid += n; s.unpaid >= patienceStep {
		s.unpaid = 0
		_ = s.patience.SetReadDeadline(time.Now().Add(bodyPatience))
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// spool writes head and the rest of src into a file that has no name any more,
// so that nothing remains of it whatever happens.
func (a *API) spool(r *http.Request, head []byte, src *source) (*body, error) {
	f, err := os.CreateTemp(a.config.SpoolDir, "body-*")
	if err != nil {
		return nil, fmt.Errorf("spool body: %w", err)
	}
	b := &body{file: f}
	if err := os.Remove(f.Name()); err != nil {
		b.close()
		return nil, fmt.Errorf("spool body: %w", err)
	}
	_, err = f.Write(head)
	if err == nil {
		_, err = io.Copy(f, src)
	}
	if err != nil {
		b.close()
		if src.err != nil {
			return nil, brokenBody(src.err)
		}
		return nil, fmt.Errorf("spool body: %w", err)
	}
	return b, nil
}

// brokenBody is what a body that cannot be read to its end is answered with. A
// client that has closed only its own direction reads the answer.
func brokenBody(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return newProblem(http.StatusRequestTimeout, "The body did not come in time.")
	}
	return newProblem(http.StatusBadRequest, "The body could not be read to its end.")
}

// checkContent checks the headers that say what the body is. Without a
// Content-Type it is taken for JSON.
func checkContent(h http.Header) error {
	if e := h["Content-Encoding"]; len(e) > 0 && e[0] != "" && !strings.EqualFold(e[0], "identity") {
		return newProblem(http.StatusUnsupportedMediaType, "The body must not be compressed.")
	}
	t := h["Content-Type"]
	if len(t) == 0 || t[0] == "" || t[0] == mediaJSON {
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(t[0])
	if err != nil || mediaType != mediaJSON {
		return newProblem(http.StatusUnsupportedMediaType, "The body must be "+mediaJSON+".")
	}
	if charset, given := params["charset"]; given && !isUTF8("charset="+charset) {
		return newProblem(http.StatusUnsupportedMediaType, "The body must be in UTF-8.")
	}
	return nil
}
