package job

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"geomill/sdk/ogc"
)

// Callbacks tells the subscribers of jobs how these get on (1.0 and 2.0 class
// callback, spec 4.7). What becomes of a callback never changes its job.
type Callbacks interface {
	// Finish is Store.Update that also sees to it, in the same transaction,
	// that d is made.
	Finish(ctx context.Context, j Job, outputs map[string]Value, d Delivery) (Job, error)
	// Progress says that a running job has got on. It returns at once; of
	// several reports in a short time the last is made.
	Progress(d Delivery)
	// Deliveries returns what has become of the deliveries of a job so far,
	// none if there is no such job.
	Deliveries(ctx context.Context, id string) ([]Delivery, error)
}

// Outbox keeps deliveries until they are made, and what has become of them
// until their job is removed. It is a part of a Store that can write both at
// once; package jobtest holds its meaning as a test suite.
type Outbox interface {
	// Finish is Store.Update that adds a delivery in the same transaction.
	Finish(ctx context.Context, j Job, outputs map[string]Value, d Delivery) (Job, error)
	// Pending returns the pending deliveries of at most hosts hosts, of each
	// the first that are due, at most each. Those are the hosts next after a
	// name in byte order, and the deliveries come in their order. They need
	// not be due yet.
	Pending(ctx context.Context, after string, hosts, each int) ([]Delivery, error)
	// Record writes what is known of a delivery, in place of what was known
	// of the same job and event. It fails with ErrNoSuchJob when there is no
	// such job.
	Record(ctx context.Context, d Delivery) error
	// Deliveries returns the deliveries of a job, sorted by event. There are
	// none when there is no such job.
	Deliveries(ctx context.Context, id string) ([]Delivery, error)
}

// Event is what a subscriber is told.
type Event string

// The events, each with a member of the subscriber that says where to tell it.
const (
	OnFailed   Event = "failed"     // the job failed or was dismissed: failedUri
	InProgress Event = "inProgress" // the job runs, or has got on: inProgressUri
	OnSuccess  Event = "success"    // the job has results: successUri
)

// AllEvents lists the events, sorted.
func AllEvents() [3]Event { return [...]Event{OnFailed, InProgress, OnSuccess} }

// DeliveryState is what has become of a delivery.
type DeliveryState string

// The states of a delivery.
const (
	Pending   DeliveryState = "pending"   // will be tried at Due
	Delivered DeliveryState = "delivered" // the receiver took it
	GaveUp    DeliveryState = "failed"    // all tries failed
)

// Delivery is one callback: what is to be told to whom, and what has become of
// it. A job has at most one of each event.
type Delivery struct {
	JobID string `json:"-"`
	Event Event  `json:"-"`
	// URI is where it goes: absolute, http or https, without userinfo.
	URI string `json:"uri"`
	// Base is the URL of the landing page as the client knows it.
	Base string `json:"base,omitempty"`

	State DeliveryState `json:"state"`
	Due   time.Time     `json:"due,omitzero"` // of the next try, while pending
	Tries int           `json:"tries,omitempty"`
	// Last is the time of the last try. HTTPStatus is how it was answered, if
	// it was; Fault says for clients what was wrong.
	Last       time.Time `json:"last,omitzero"`
	HTTPStatus int       `json:"httpStatus,omitempty"`
	Fault      string    `json:"fault,omitempty"`
}

// Host returns the host and port that a delivery goes to.
func (d Delivery) Host() string {
	u, err := url.Parse(d.URI)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// calledBack reports whether there is someone to tell how a job gets on.
func (s *Service) calledBack(o Order) bool { return s.Callbacks != nil && o.Subscriber != nil }

// delivery returns a job's callback for an event, and false when its subscriber
// does not wait for that.
func (o Order) delivery(id string, e Event, now time.Time) (Delivery, bool) {
	if o.Subscriber == nil {
		return Delivery{}, false
	}
	d := Delivery{JobID: id, Event: e, Base: o.BaseURL, State: Pending, Due: now}
	switch e {
	case OnSuccess:
		d.URI = o.Subscriber.SuccessURI
	case OnFailed:
		d.URI = o.Subscriber.FailedURI
	case InProgress:
		d.URI = o.Subscriber.InProgressURI
	}
	return d, d.URI != ""
}

// write updates a job in the store, together with the callback that its new
// status calls for.
func (s *Service) write(ctx context.Context, j Job, outputs map[string]Value) (Job, error) {
	if !j.Callback || !j.Status.Final() || s.Callbacks == nil {
		return s.Store.Update(ctx, j, outputs)
	}
	o, err := s.Store.Order(ctx, j.ID)
	if err != nil {
		return j, err
	}
	e := OnFailed
	if j.Status == ogc.Successful {
		e = OnSuccess
	}
	d, wanted := o.delivery(j.ID, e, j.Finished)
	if !wanted {
		return s.Store.Update(ctx, j, outputs)
	}
	return s.Callbacks.Finish(ctx, j, outputs, d)
}

// onProgress returns what an attempt calls when it gets on, or nil.
func (s *Service) onProgress(j Job, o Order) func() {
	if s.Callbacks == nil || !j.Callback { // then its removal would leave the delivery behind
		return nil
	}
	d, wanted := o.delivery(j.ID, InProgress, time.Time{})
	if !wanted {
		return nil
	}
	return func() { s.Callbacks.Progress(d) }
}

// Deliveries returns what has become of the callbacks of a job.
func (s *Service) Deliveries(ctx context.Context, id string) ([]Delivery, error) {
	if s.Callbacks == nil {
		return nil, nil
	}
	d, err := s.Callbacks.Deliveries(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read callbacks of job %s: %w", id, err)
	}
	return d, nil
}

// maxCallbackURI is the longest URI of a subscriber, in bytes.
const maxCallbackURI = 2048

// checkSubscriber gathers what is wrong with the URIs of a subscriber (1.0
// /req/callback/job-callback). It returns nil when nobody is to be called.
func (in *intake) checkSubscriber(s *ogc.Subscriber) *ogc.Subscriber {
	if s == nil || *s == (ogc.Subscriber{}) {
		return nil
	}
	for _, m := range []struct{ name, uri string }{
		{"successUri", s.SuccessURI}, {"inProgressUri", s.InProgressURI}, {"failedUri", s.FailedURI},
	} {
		if m.uri == "" {
			continue
		}
		if wrong := wrongCallback(m.uri); wrong != "" {
			in.fault("", "/subscriber/"+m.name, wrong)
		}
	}
	return s
}

// wrongCallback says what keeps a URI from being called, or nothing.
func wrongCallback(uri string) string {
	if len(uri) > maxCallbackURI {
		return fmt.Sprintf("is longer than %d bytes", maxCallbackURI)
	}
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "must be an absolute http or https URI"
	}
	if u.User != nil {
		return "must not hold a user name or password"
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return "has no port from 1 to 65535"
		}
	}
	return ""
}
