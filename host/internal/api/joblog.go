package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/julienschmidt/httprouter"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// jobLog answers GET /jobs/{jobID}/logs with the log of a job as text or JSON, a
// resource of Geomill's own that the link relation log leads to (spec 5.1). The
// lines are sent as they are read.
func (a *API) jobLog(w http.ResponseWriter, r *http.Request, params httprouter.Params) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	lines, wrong := logQuery(q)
	mediaType, err := logForm(r, q)
	if err := badParameters(err, wrong); err != nil {
		return err
	}
	l, err := a.service.Log(r.Context(), params.ByName("jobID"), lines)
	if err != nil {
		return err
	}
	defer l.Close()
	links := logLinks(a.base(r)+"/jobs/"+l.Job.ID, q, l, mediaType)
	h := w.Header()
	linkHeaders(h, links)
	h.Set("Vary", "Accept")
	h.Set("Cache-Control", cacheDocument)
	if !l.Job.Status.Final() {
		h.Set("Cache-Control", "no-store")
	}
	if mediaType == mediaText {
		h["Content-Type"] = headerText
		h.Set("X-Content-Type-Options", "nosniff")
	} else {
		h["Content-Type"] = headerJSON
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	out := bufio.NewWriterSize(w, 32<<10)
	if mediaType == mediaText {
		err = writeLogText(out, l)
	} else {
		err = writeLogJSON(out, l, links)
	}
	if err != nil {
		return fmt.Errorf("send log of job %s: %w", l.Job.ID, err)
	}
	return out.Flush()
}

// logQuery reads which lines are wanted.
func logQuery(q url.Values) (lines job.LogQuery, err error) {
	lines.Level, _ = job.ParseLogLevel(job.LogLevelNames()[0])
	var errs [3]error
	if v, given := q["level"]; given {
		level, ok := job.ParseLogLevel(strings.ToLower(v[0]))
		if lines.Level = level; !ok {
			errs[0] = badParameter("level", "must be one of "+strings.Join(job.LogLevelNames(), ", "))
		}
	}
	if v, given := q["after"]; given {
		n, err := strconv.ParseUint(v[0], 10, 64)
		if lines.After = n; err != nil {
			errs[1] = badParameter("after", "must be the number of a line, or 0")
		}
	}
	if v, given := q["limit"]; given {
		n, err := strconv.Atoi(v[0])
		if lines.Limit = n; n < 1 || err != nil && !errors.Is(err, strconv.ErrRange) {
			errs[2] = badParameter("limit", "must be a whole number from 1")
		}
	}
	return lines, badParameters(errs[:]...)
}

// logForm returns the media type that a client wants the log in.
func logForm(r *http.Request, q url.Values) (string, error) {
	if f, given := q["f"]; given {
		switch f[0] {
		case "text":
			return mediaText, nil
		case "json":
			return mediaJSON, nil
		}
		return "", badParameter("f", "must be text or json")
	}
	mediaType := parseAccept(r.Header["Accept"]).choose(mediaText, mediaJSON)
	if mediaType == "" {
		return "", notAcceptable(mediaText, mediaJSON)
	}
	return mediaType, nil
}

// logLinks returns the links of a log. There is a next page when there are more
// lines, or while the job may get some.
func logLinks(self string, q url.Values, l *job.Log, mediaType string) []ogc.Link {
	other := map[string]string{mediaText: mediaJSON, mediaJSON: mediaText}[mediaType]
	forms := map[string]string{mediaText: "text", mediaJSON: "json"}
	at := func(rel, title, mediaType string, set ...string) ogc.Link {
		p := url.Values{}
		for name, values := range q {
			p[name] = values
		}
		for i := 0; i < len(set); i += 2 {
			p.Set(set[i], set[i+1])
		}
		href := self + "/logs"
		if len(p) > 0 {
			href += "?" + p.Encode()
		}
		return ogc.Link{Href: href, Rel: rel, Type: mediaType, Title: title}
	}
	links := []ogc.Link{at("self", "This document", mediaType), at("alternate", "This document in another form", other, "f", forms[other])}
	if l.More || !l.Job.Status.Final() {
		links = append(links, at("next", "The lines that follow", mediaType, "after", strconv.FormatUint(l.Last, 10)))
	}
	return append(links, ogc.Link{Href: self, Rel: "up", Type: mediaJSON, Title: "The status of the job"})
}

// writeLogText writes each line as one of text: time, level, source, message and
// fields.
func writeLogText(out *bufio.Writer, l *job.Log) error {
	for line, err := range l.Lines() {
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s %-5s %-7s %s", line.Time.UTC().Format("2006-01-02T15:04:05.000Z"),
			strings.ToUpper(job.LogLevelName(line.Level)), line.Source, lineFeeds.Replace(line.Message))
		if err == nil && line.Fields != nil {
			_, err = fmt.Fprintf(out, " %s", line.Fields)
		}
		if err == nil {
			err = out.WriteByte('\n')
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lineFeeds keeps a message on its line.
var lineFeeds = strings.NewReplacer("\n", `\n`)

// writeLogJSON writes an object with the lines and the links.
func writeLogJSON(out *bufio.Writer, l *job.Log, links []ogc.Link) error {
	separator := `{"logs":[`
	for line, err := range l.Lines() {
		if err != nil {
			return err
		}
		text, err := line.MarshalJSON()
		if err == nil {
			_, err = io.WriteString(out, separator)
		}
		if err == nil {
			_, err = out.Write(text)
		}
		if err != nil {
			return err
		}
		separator = ",\n"
	}
	if separator[0] == '{' { // there was none
		if _, err := io.WriteString(out, separator); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(out, `],"links":`); err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(links); err != nil {
		return err
	}
	_, err := io.WriteString(out, "}\n")
	return err
}

// logParameterDocs describes the parameters of jobLog.
func logParameterDocs() object {
	return object{
		"logLevel": parameter("level", "query", "The least level of lines.", word(job.LogLevelNames()...)),
		"logAfter": parameter("after", "query", "Only lines with a higher number.", object{"type": "integer", "format": "int64", "minimum": 0}),
		"logLimit": parameter("limit", "query", "The most lines; all of them without it.", object{"type": "integer", "minimum": 1}),
		"logForm":  parameter("f", "query", "The format of the reply; it overrides the Accept header.", word("text", "json")),
	}
}

func jobLogSchema() object {
	return record(object{
		"logs": object{"type": "array", "items": record(object{
			"seq": object{"type": "integer", "format": "int64", "minimum": 1}, "time": dateTime(),
			"level":   word(job.LogLevelNames()...),
			"source":  word(job.FromHost, job.FromProcess, job.FromStdout, job.FromStderr),
			"attempt": object{"type": "integer", "minimum": 0}, "message": word(),
			"fields": object{"type": "object"},
		}, "seq", "time", "level", "source", "message")},
		"links": arrayOf("link"),
	}, "logs", "links")
}
