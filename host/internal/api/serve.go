package api

import (
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"geomill/host/internal/job"
)

// Results never change, so a value may be kept for as long as its job is of
// interest. Documents hold links and follow the configuration: they are asked
// for again, which costs no more than their entity tag.
const (
	cacheValue    = "private, max-age=3600, immutable"
	cacheDocument = "private, no-cache"
)

// serve answers with an output of a recorded job, or with the value of an index
// of it. Bytes are served in ranges; as they never change, the entity tag needs
// only names.
func serve(w http.ResponseWriter, r *http.Request, j job.Job, id, index string, shown rendering) error {
	name := id
	if index != "" {
		name += "-" + index
	}
	h := w.Header()
	h.Set("Cache-Control", cacheValue)
	h.Set("X-Content-Type-Options", "nosniff") // outputs are anyone's HTML
	tag := entityTag(j, id, index, shown.mediaType, strconv.Itoa(int(shown.form)))
	h.Set("ETag", tag)
	if d := disposition(name, shown.mediaType); d != "" {
		h.Set("Content-Disposition", d)
	}
	if shown.form == asIs {
		h.Set("Content-Type", shown.mediaType)
		return serveRanges(w, r, shown)
	}
	if knows(r.Header["If-None-Match"], tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	var c content
	if err := c.rendering(id, shown); err != nil {
		return err
	}
	return c.send(w, shown.mediaType)
}

// serveRanges sends a value, or the part of it that the client asks for.
func serveRanges(w http.ResponseWriter, r *http.Request, shown rendering) error {
	src, err := shown.value.Open()
	if err != nil {
		return err
	}
	defer src.Close()
	e, ok := w.(*exchange)
	if !ok {
		e = &exchange{ResponseWriter: w, head: r.Method == http.MethodHead}
	}
	ranged := &rangeWriter{exchange: e}
	var bytes io.ReadSeeker = src
	size := shown.value.Len()
	if file, ok := src.(io.ReaderAt); ok && !shown.part.absent() {
		size = shown.part.end - shown.part.start
		bytes = io.NewSectionReader(file, shown.part.start, size)
	}
	http.ServeContent(ranged, r, "", time.Time{}, bytes)
	if ranged.refused {
		return newProblem(http.StatusRequestedRangeNotSatisfiable, "The value has "+strconv.FormatInt(size, 10)+" bytes.")
	}
	return nil
}

// rangeWriter keeps back what net/http says of a range that cannot be served: it
// becomes a problem.
type rangeWriter struct {
	*exchange
	refused bool
}

func (w *rangeWriter) WriteHeader(status int) {
	if status == http.StatusRequestedRangeNotSatisfiable {
		w.refused = true
		return
	}
	w.exchange.WriteHeader(status)
}

func (w *rangeWriter) Write(b []byte) (int, error) {
	if w.refused {
		return len(b), nil
	}
	return w.exchange.Write(b)
}

// unchanged sets the entity tag of a results document and answers 304 when the
// client has it.
func (v view) unchanged(w http.ResponseWriter, res *job.Results, ids []string) bool {
	names := []string{v.address, strconv.FormatBool(v.pygeoapi)}
	for _, id := range ids {
		names = append(names, id, strconv.FormatBool(v.byReference(res, id)))
	}
	tag := entityTag(res.Job, names...)
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", cacheDocument)
	if !knows(v.stored.Header["If-None-Match"], tag) {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}

// entityTag makes a strong entity tag of all that the bytes depend on: the
// attempt that made them, and what of it is shown how.
func entityTag(j job.Job, names ...string) string {
	f := fnv.New64a()
	for _, s := range names {
		f.Write([]byte(s))
		f.Write([]byte{0})
	}
	return `"` + j.ID + "-" + strconv.Itoa(j.Attempt) + "-" + strconv.FormatUint(f.Sum64(), 16) + `"`
}

// knows reports whether If-None-Match headers hold the entity tag (RFC 9110,
// section 13.1.2: the comparison is weak).
func knows(headers []string, tag string) bool {
	for _, h := range headers {
		for h != "" {
			var element string
			element, h = cutList(h, ',')
			element = strings.TrimSpace(element)
			if element == "*" || strings.TrimPrefix(element, "W/") == tag {
				return true
			}
		}
	}
	return false
}
