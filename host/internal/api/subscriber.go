package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// maxCallback is the length, in bytes, above which a results document that is
// sent to a subscriber holds links only.
const maxCallback = 4 << 20

// subscriber decodes the member subscriber (1.0 /req/callback/job-callback). No
// URI is required; what else it holds is ignored, the successUrl of a wrong
// schema of the standard included.
func (d *decoder) subscriber() (*ogc.Subscriber, error) {
	text, err := d.member("/subscriber", d.outline.subscriber)
	if err != nil || text == nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		d.fault("/subscriber", `must be an object of URIs: "successUri", "inProgressUri", "failedUri"`)
		return nil, nil
	}
	s := new(ogc.Subscriber)
	for _, m := range []struct {
		name string
		uri  *string
	}{{"successUri", &s.SuccessURI}, {"inProgressUri", &s.InProgressURI}, {"failedUri", &s.FailedURI}} {
		text := members[m.name]
		if text == nil || isNull(text) {
			continue
		}
		if json.Unmarshal(text, m.uri) != nil || *m.uri == "" {
			d.fault("/subscriber/"+m.name, "must be an absolute http or https URI")
		}
	}
	return s, nil
}

// Callback makes what is sent to a subscriber (spec 4.7): the results document on
// success, else the status document. The body is nil when there is nothing to
// tell any more.
func (a *API) Callback(ctx context.Context, d job.Delivery) (body []byte, monitor string, err error) {
	base := a.config.BaseURL
	if base == "" {
		base = d.Base
	}
	if d.Event == job.OnSuccess {
		body, err = a.resultsBody(ctx, d.JobID, base)
	} else {
		body, err = a.statusBody(ctx, d, base)
	}
	if errors.Is(err, job.ErrNoSuchJob) || errors.Is(err, job.ErrGone) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("make callback of job %s: %w", d.JobID, err)
	}
	return body, base + "/jobs/" + d.JobID, nil
}

func (a *API) statusBody(ctx context.Context, d job.Delivery, base string) ([]byte, error) {
	j, err := a.service.Job(ctx, d.JobID)
	if err != nil || d.Event == job.InProgress && j.Status != ogc.Running {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err = enc.Encode(statusInfo(j, base))
	return b.Bytes(), err
}

// resultsBody is the document that GET /jobs/{jobID}/results answers. One that
// is too large for a message has links in place of its values.
func (a *API) resultsBody(ctx context.Context, id, base string) ([]byte, error) {
	res, err := a.service.Results(ctx, id)
	if errors.Is(err, job.ErrNotAvailable) {
		return []byte("{}"), nil // no outputs were requested
	}
	if err != nil {
		return nil, err
	}
	defer res.Close()
	v := view{address: base + "/jobs/" + id + "/results/", inlineMax: a.config.InlineLimit}
	ids, _ := v.selected(res)
	c, err := v.compose(res, ids)
	if err == nil && c.length() > maxCallback {
		c, err = allLinked(v, res, ids)
	}
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(int(c.length()))
	err = c.write(&b)
	return b.Bytes(), err
}

// allLinked is a results document of links.
func allLinked(v view, res *job.Results, ids []string) (*content, error) {
	order := map[string]ogc.OutputSelection{}
	for _, id := range ids {
		order[id] = ogc.OutputSelection{TransmissionMode: "reference"}
	}
	return v.compose(&job.Results{Outputs: res.Outputs, Order: job.Order{Outputs: order}}, ids)
}

// callbackLog is what a client may know of what has become of its callbacks.
func (a *API) callbackLog(ctx context.Context, id string) ([]ogc.Callback, error) {
	all, err := a.service.Deliveries(ctx, id)
	if err != nil {
		return nil, err
	}
	log := make([]ogc.Callback, len(all))
	for i, d := range all {
		log[i] = ogc.Callback{
			Event: string(d.Event), URI: withoutSecrets(d.URI), Status: string(d.State),
			Attempts: d.Tries, LastAttempt: instant(d.Last), HTTPStatus: d.HTTPStatus, Error: d.Fault,
		}
	}
	return log, nil
}

// withoutSecrets leaves out the parts of a URI that hold tokens as a rule: who
// sees a job need not be who asked for the callback.
func withoutSecrets(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return u.String()
}
