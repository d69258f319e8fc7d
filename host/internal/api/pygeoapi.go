package api

import (
	"bytes"
	"encoding/json"
	"net/http"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// What differs for clients that were written for pygeoapi; README.md of this
// folder shows both bodies.

// documentOfPygeoapi adds a results document that lists its outputs:
// {"outputs": [{"id": id, "value": value}]}.
func (c *content) documentOfPygeoapi(v view, res *job.Results, ids []string) error {
	c.text(`{"outputs":[`)
	for i, id := range ids {
		if i > 0 {
			c.text(",")
		}
		if err := c.entryOfPygeoapi(v, res, id); err != nil {
			return err
		}
	}
	c.text("]}")
	return nil
}

func (c *content) entryOfPygeoapi(v view, res *job.Results, id string) error {
	val := undisguise(res.Outputs[id])
	if v.byReference(res, id) {
		b, err := json.Marshal(struct {
			ID string `json:"id"`
			ogc.Link
		}{id, linkTo(v.address, id, val)})
		c.tail = append(c.tail, b...)
		return err
	}
	if isEntry(id, val) {
		return c.value(val, verbatim)
	}
	c.text(`{"id":`)
	c.string(id)
	if t := headerType(val); !isJSON(t) {
		c.text(",")
		return c.qualifiedMembers(val, t)
	} else if t != mediaJSON {
		c.text(`,"mediaType":`)
		c.string(t)
	}
	c.text(`,"value":`)
	if err := c.value(val, verbatim); err != nil {
		return err
	}
	c.text("}")
	return nil
}

// isEntry reports whether a value is such an entry itself, as processes that were
// written for pygeoapi give it.
func isEntry(id string, v job.Value) bool {
	if v.File != "" || first(v.JSON) != '{' || !bytes.Contains(v.JSON, []byte(`"value"`)) {
		return false
	}
	var members struct {
		ID    any             `json:"id"`
		Value json.RawMessage `json:"value"`
	}
	return json.Unmarshal(v.JSON, &members) == nil && members.ID == id && members.Value != nil
}

// codedException is a problem as pygeoapi puts it, with the members of the
// standard besides.
type codedException struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	ogc.Exception
}

// forPygeoapi gives a problem the code and the status that pygeoapi has for it.
// It knows no failure of a job but a wrong value of the caller, and forgets jobs
// that were removed.
func (p *problem) forPygeoapi(r *http.Request, failed bool) {
	p.coded = true
	switch {
	case failed:
		p.Status, p.Type = http.StatusBadRequest, "InvalidParameterValue"
		p.Detail = "Error executing process: " + p.Detail
	case p.Type == ogc.NoSuchProcess:
		p.Type = "NoSuchProcess"
	case p.Type == ogc.NoSuchJob:
		p.Status, p.Type = http.StatusNotFound, "NoSuchJob"
	case p.Type == ogc.ResultNotReady:
		p.Type = "ResultNotReady"
	case p.Type == ogc.ResultNotAvailable:
		p.Type = "JobResultNotFound"
	case p.Status == http.StatusBadRequest && r.Method == http.MethodPost && r.ContentLength == 0:
		p.Type = "MissingParameterValue"
	case p.Status == http.StatusBadRequest:
		p.Type = "InvalidParameterValue"
	default:
		p.Type = "NoApplicableCode"
	}
	p.Title = http.StatusText(p.Status)
}
