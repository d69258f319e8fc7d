package callback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"geomill/host/internal/job"
)

const (
	maxReply      = 4 << 10         // bytes of a reply that are read, to use the connection again
	writeDeadline = 5 * time.Second // for writing down what became of a try
	slowestRecord = 5 * time.Second // longest delay before that is tried again
)

// make tries a delivery once and writes down what became of it, unless Run was
// stopped meanwhile.
func (c *Caller) make(ctx context.Context, documents Documents, d job.Delivery) {
	after, told := c.try(ctx, documents, d)
	if !told || ctx.Err() != nil && after.State != job.Delivered {
		return
	}
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, slowestRecord) {
		err := c.record(ctx, after)
		if err == nil || errors.Is(err, job.ErrNoSuchJob) {
			return
		}
		// Not to be forgotten: the receiver would be called again and again.
		c.Logger.Error("callback is not written down", "job", d.JobID, "event", d.Event, "error", err)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
	}
}

func (c *Caller) record(ctx context.Context, d job.Delivery) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeDeadline)
	defer cancel()
	return c.Outbox.Record(ctx, d)
}

// try sends a delivery and returns it as it is then; false when there was no
// reason to.
func (c *Caller) try(ctx context.Context, documents Documents, d job.Delivery) (job.Delivery, bool) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	d.Last, d.HTTPStatus, d.Fault = c.Now(), 0, ""
	body, monitor, err := documents.Callback(ctx, d)
	switch {
	case err != nil:
		d.Fault = "the document could not be made"
	case body != nil:
		d.HTTPStatus, err = c.post(ctx, d, body, monitor)
		d.Fault = c.fault(ctx, d.HTTPStatus, err)
	case d.Event == job.InProgress:
		return d, false
	default:
		d.State, d.Due, d.Fault = job.GaveUp, time.Time{}, "there is nothing to tell any more"
		return d, true
	}
	c.settle(&d, err)
	return d, true
}

// settle decides how it goes on after a try.
func (c *Caller) settle(d *job.Delivery, err error) {
	d.Tries++
	due := time.Time{}
	switch {
	case d.Fault == "":
		d.State = job.Delivered
	case d.Event == job.InProgress:
		d.State = job.GaveUp
	case d.Tries >= c.Tries:
		d.State = job.GaveUp
		c.Logger.Warn("callback is given up", "job", d.JobID, "event", d.Event, "host", d.Host(), "tries", d.Tries,
			"fault", d.Fault, "error", withoutURL(err))
	default:
		due = d.Last.Add(c.Backoff(d.Tries))
		c.Logger.Debug("callback failed", "job", d.JobID, "event", d.Event, "host", d.Host(), "tries", d.Tries,
			"fault", d.Fault, "error", withoutURL(err))
	}
	d.Due = due
}

// post sends one request and returns the status of the reply.
func (c *Caller) post(ctx context.Context, d job.Delivery, body []byte, monitor string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URI, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	h := r.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", c.UserAgent)
	h.Set("Link", "<"+monitor+`>; rel="monitor"`)
	id, timestamp := messageID(d), strconv.FormatInt(d.Last.Unix(), 10)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", timestamp)
	if c.Secret != nil {
		h.Set("Webhook-Signature", sign(c.Secret, id, timestamp, body))
	}
	reply, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	_, _ = io.CopyN(io.Discard, reply.Body, maxReply) // what it says does not matter
	return reply.StatusCode, nil
}

// fault says for clients what was wrong with a try, or nothing. It does not say
// more of a network than a subscriber is to know.
func (c *Caller) fault(ctx context.Context, status int, err error) string {
	switch {
	case err != nil:
		if known := c.Explain(err); known != "" {
			return known
		}
		if ctx.Err() != nil {
			return fmt.Sprintf("the receiver gave no answer within %s", c.Timeout)
		}
		return "the receiver could not be reached"
	case status >= 200 && status <= 299:
		return ""
	case status >= 300 && status <= 399:
		return fmt.Sprintf("the receiver answered %d; redirects are not followed", status)
	}
	return fmt.Sprintf("the receiver answered %d", status)
}

// withoutURL leaves out the URL that the HTTP client puts before an error: it
// may hold what a log must not.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
