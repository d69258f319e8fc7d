package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// mediaEvents is the media type of server-sent events (HTML standard, section
// 9.2). They are a representation of a job, and of the list of jobs.
const mediaEvents = "text/event-stream"

const (
	keepAlive = 15 * time.Second // between signs of life in a stream
	// writePatience is how long, and half as long again, a client may take in
	// nothing of a stream.
	writePatience = 10 * time.Second
	// reconnect is what clients are asked to wait before they come again.
	reconnect = 2 * time.Second
	// crowded is what clients are told to wait when there are too many.
	crowded = 5 * time.Second
)

// DefaultMaxListeners is the default of Config.MaxListeners.
const DefaultMaxListeners = 10_000

var varyAccept = []string{"Accept"}

// wantsEvents reports whether a client asks for a stream of events rather than
// for the JSON document.
func wantsEvents(r *http.Request) bool {
	if r.URL.RawQuery != "" {
		if q, err := url.ParseQuery(r.URL.RawQuery); err == nil && q.Has("f") {
			return q.Get("f") == "events"
		}
	}
	for _, h := range r.Header["Accept"] {
		if strings.Contains(strings.ToLower(h), mediaEvents) {
			return parseAccept(r.Header["Accept"]).choose(mediaJSON, mediaEvents) == mediaEvents
		}
	}
	return false
}

// orEvents adds to the refusal of a media type that there are events too.
func orEvents(err error) error {
	if p, ok := errors.AsType[*problem](err); ok && p.Status == http.StatusNotAcceptable {
		return notAcceptable(mediaJSON, mediaEvents)
	}
	return err
}

// jobEvents answers GET /jobs/{jobID} with events.
func (a *API) jobEvents(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	release, err := a.admitListener()
	if err != nil {
		return err
	}
	defer release()
	l, err := a.service.Listen(r.Context(), params.ByName("jobID"), lastPlace(r))
	if errors.Is(err, job.ErrNothingMore) {
		w.WriteHeader(http.StatusNoContent) // an EventSource then comes no more
		return nil
	}
	if err != nil {
		return err
	}
	defer l.Close()
	return a.stream(w, r, l, place)
}

// jobListEvents answers GET /jobs with events.
func (a *API) jobListEvents(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	wrong := make([]error, 0, 6)
	for _, name := range []string{"limit", "cursor", "minDuration", "maxDuration"} {
		if q.Has(name) {
			wrong = append(wrong, badParameter(name, "does not go with events"))
			q.Del(name)
		}
	}
	filter, some, bad := parseFilter(q, a.config.Now())
	if err := badParameters(append(wrong, bad)...); err != nil {
		return err
	}
	if !some {
		filter.ProcessIDs = []string{""} // no job is of such a type
	}
	release, err := a.admitListener()
	if err != nil {
		return err
	}
	defer release()
	l, err := a.service.ListenAll(r.Context(), filter, lastPlace(r))
	if err != nil {
		return err
	}
	defer l.Close()
	return a.stream(w, r, l, revision)
}

// admitListener counts a listener until it is released.
func (a *API) admitListener() (release func(), err error) {
	if a.listeners.Add(1) > int64(a.config.MaxListeners) {
		a.listeners.Add(-1)
		p := newProblem(http.StatusServiceUnavailable, "Too many clients listen to events. Try again later.")
		p.retryAfter = crowded
		return nil, p
	}
	return func() { a.listeners.Add(-1) }, nil
}

// place and revision write the id of an event, of one job and of all. With that
// of the last event it got a client says where it stands.
func place(p job.Place) string {
	return strconv.FormatUint(p.Revision, 10) + "." + strconv.FormatUint(p.Line, 10)
}

func revision(p job.Place) string { return strconv.FormatUint(p.Revision, 10) }

// lastPlace reads the header Last-Event-ID: nil when there is none, or none of
// ours, as if the client were new.
func lastPlace(r *http.Request) *job.Place {
	id := r.Header["Last-Event-Id"]
	if len(id) != 1 {
		return nil
	}
	first, second, two := strings.Cut(id[0], ".")
	var p job.Place
	var err error
	if p.Revision, err = strconv.ParseUint(first, 10, 64); err != nil {
		return nil
	}
	if two {
		if p.Line, err = strconv.ParseUint(second, 10, 64); err != nil {
			return nil
		}
	}
	return &p
}

// stream sends what a listener is told until that or the client ends.
func (a *API) stream(w http.ResponseWriter, r *http.Request, l job.Listener, id func(job.Place) string) error {
	h := w.Header()
	h.Set("Content-Type", mediaEvents)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies are to pass on what comes at once
	h["Vary"] = varyAccept
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	s := &eventStream{api: a, w: w, control: http.NewResponseController(w), base: a.base(r), id: id, ctx: r.Context()}
	s.begin(l.Place())
	quiet := time.NewTimer(keepAlive)
	defer quiet.Stop()
	for {
		news, last, err := l.Next(s.ctx)
		if err == nil {
			err = s.send(news)
		}
		if err != nil || last {
			return s.end(err)
		}
		select {
		case <-l.More():
		case <-quiet.C:
			quiet.Reset(keepAlive)
			s.live(l.Place())
		case <-s.ctx.Done():
			return s.end(s.ctx.Err())
		}
	}
}

// eventStream writes events to one client.
type eventStream struct {
	api     *API
	w       http.ResponseWriter
	control *http.ResponseController
	base    string
	id      func(job.Place) string
	ctx     context.Context
	sent    uint64    // revision in the last id sent
	patient time.Time // when the deadline of writes was last set
}

// begin sends what a stream begins with. An id without data is no event, but the
// client notes it.
func (s *eventStream) begin(p job.Place) {
	s.hurry()
	fmt.Fprintf(s.w, "retry: %d\nid: %s\n\n", reconnect.Milliseconds(), s.id(p))
	s.sent = p.Revision
}

// live sends a sign of life: where the client stands, if that has changed without
// an event for it.
func (s *eventStream) live(p job.Place) {
	s.hurry()
	text := ":\n\n"
	if p.Revision != s.sent {
		text = "id: " + s.id(p) + "\n\n"
		s.sent = p.Revision
	}
	_, _ = s.w.Write([]byte(text)) // flush tells
	_ = s.control.Flush()          // the next one fails too
}

func (s *eventStream) send(news []*job.Notice) error {
	for _, n := range news {
		s.hurry()
		text, err := s.text(n)
		if err != nil {
			return err
		}
		if _, err := s.w.Write(text); err != nil {
			return errGone
		}
		s.sent = n.Place.Revision
	}
	if s.control.Flush() != nil {
		return errGone
	}
	return nil
}

// hurry renews the deadline of writes now and then, as that costs something.
func (s *eventStream) hurry() {
	if now := time.Now(); now.Sub(s.patient) > s.api.patience/2 {
		s.patient = now
		_ = s.control.SetWriteDeadline(now.Add(s.api.patience * 3 / 2)) // the system bounds a stall too
	}
}

// errGone is the error of writing to a client that is gone, or too slow.
var errGone = errors.New("the client takes in no events")

// end ends a stream. That the client is gone nobody needs to know.
func (s *eventStream) end(err error) error {
	_ = s.control.SetWriteDeadline(time.Time{}) // the connection may serve other requests
	if errors.Is(err, errGone) || s.ctx.Err() != nil {
		return nil
	}
	return err
}

// text returns a notice as event. Those with links differ by the address that
// clients use.
func (s *eventStream) text(n *job.Notice) ([]byte, error) {
	variant := ""
	if n.Kind == job.StatusNotice {
		variant = s.base
	}
	return n.Text(variant, s.encode)
}

func (s *eventStream) encode(n *job.Notice) ([]byte, error) {
	data, err := s.data(n)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if n.Kind != job.ProgressNotice {
		fmt.Fprintf(&b, "id: %s\n", s.id(n.Place))
	}
	fmt.Fprintf(&b, "event: %s\ndata: ", n.Kind)
	enc := json.NewEncoder(&b) // ends the line
	enc.SetEscapeHTML(false)
	if err := enc.Encode(data); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// data is what the data of an event is made of.
func (s *eventStream) data(n *job.Notice) (any, error) {
	switch n.Kind {
	case job.StatusNotice:
		return s.api.statusDocument(s.ctx, n.Job, s.base)
	case job.RemovedNotice:
		i := statusInfo(n.Job, s.base)
		return ogc.StatusInfo{
			JobID: i.JobID, ID: i.ID, Type: i.Type, ProcessingEntityType: i.ProcessingEntityType, ProcessID: i.ProcessID, Status: i.Status,
		}, nil
	case job.ProgressNotice:
		return progressEvent{n.Percent, n.Message}, nil
	case job.LogNotice:
		return n.Line, nil
	case job.GapNotice:
		return gapEvent{n.Lost}, nil
	}
	return struct{}{}, nil // a reset says all by its name
}

// progressEvent has the members of a status document.
type progressEvent struct {
	Progress int    `json:"progress"`
	Message  string `json:"message,omitempty"`
}

type gapEvent struct {
	Lost uint64 `json:"lost"` // lines
}
