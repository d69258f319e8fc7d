package api

import (
	"crypto/rand"
	"net/http"

	"geomill/host/internal/job"
)

// multipart answers with one part for each output (RFC 2387, 1.0
// /req/core/process-execute-sync-raw-value-multi and -mixed-multi). Strings are
// text/plain; an output by reference is an empty part with its location.
func (v view) multipart(w http.ResponseWriter, res *job.Results, ids []string) error {
	var c content
	boundary := rand.Text()
	root := ""
	for i, id := range ids {
		val := undisguise(res.Outputs[id])
		t := headerType(val)
		if isJSON(t) && isScalar(val) && first(val.JSON) == '"' {
			val, t = textOf(val), headerText[0]
		}
		if i == 0 {
			root = t
		}
		c.text("--" + boundary + "\r\nContent-Type: " + t + "\r\nContent-ID: <" + id + ">\r\n")
		if v.byReference(res, id) {
			c.text("Content-Location: " + v.address + id + "\r\n\r\n\r\n")
			continue
		}
		c.text("\r\n")
		if err := c.value(val, verbatim); err != nil {
			return err
		}
		c.text("\r\n")
	}
	c.text("--" + boundary + "--\r\n")
	main, sub := splitType(root)
	return c.send(w, mediaMultipart+"; boundary="+boundary+`; type="`+main+"/"+sub+`"`)
}
