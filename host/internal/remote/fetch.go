package remote

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"geomill/host/internal/job"
)

// maxMediaType is the longest Content-Type that is looked at, in bytes.
const maxMediaType = 255

var _ job.Fetcher = (*Client)(nil)

// Check implements job.Fetcher.
func (c *Client) Check(r job.Reference) error {
	_, err := c.locate(r)
	return err
}

// locate parses the URL of a reference and checks it.
func (c *Client) locate(r job.Reference) (*url.URL, error) {
	if len(r.Href) > maxURL {
		return nil, refused("is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(r.Href)
	if err != nil {
		return nil, refused("is not a URL")
	}
	return u, c.rules.url(u)
}

// Fetch implements job.Fetcher. Only the answers 200 and 203 have content. What
// is compressed with gzip, though that was not asked for, is decompressed;
// the limit of bytes holds for both forms.
func (c *Client) Fetch(ctx context.Context, r job.Reference, w io.Writer) (job.Fetched, error) {
	u, err := c.locate(r)
	if err != nil {
		return job.Fetched{}, err
	}
	request := (&http.Request{Method: r.Method, URL: u, Header: make(http.Header)}).WithContext(ctx)
	for name, value := range r.Header {
		request.Header.Set(name, value)
	}
	request.Header.Set("Accept-Encoding", "identity")
	if r.Body != nil {
		request.ContentLength = int64(len(r.Body))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		request.Body, _ = request.GetBody() // never fails
	}
	res, err := c.Do(request)
	if err != nil {
		return job.Fetched{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNonAuthoritativeInfo {
		return job.Fetched{}, badAnswer("leads to a server that answers %d instead of 200", res.StatusCode)
	}
	if res.ContentLength > c.policy.MaxBytes {
		return job.Fetched{}, tooLarge()
	}
	content, err := c.decoded(res)
	if err != nil {
		return job.Fetched{}, err
	}
	if _, err := io.Copy(w, content); err != nil {
		return job.Fetched{}, err
	}
	return job.Fetched{MediaType: mediaType(res.Header.Get("Content-Type"))}, nil
}

// decoded undoes the encoding of an answer.
func (c *Client) decoded(res *http.Response) (io.Reader, error) {
	switch encoding := strings.ToLower(strings.Join(res.Header.Values("Content-Encoding"), ",")); encoding {
	case "", "identity":
		return res.Body, nil
	case "gzip", "x-gzip":
		unzip, err := gzip.NewReader(res.Body)
		if err != nil {
			return nil, notGzip(err)
		}
		return &unzipped{unzip, c.policy.MaxBytes}, nil
	default:
		return nil, badAnswer("leads to an answer with an encoding that this server does not read")
	}
}

// unzipped counts what comes out of compressed content.
type unzipped struct {
	src  *gzip.Reader
	left int64
}

func (u *unzipped) Read(p []byte) (int, error) {
	n, err := u.src.Read(p)
	if u.left -= int64(n); u.left < 0 {
		return 0, tooLarge()
	}
	if err != nil && err != io.EOF {
		err = notGzip(err)
	}
	return n, err
}

// notGzip is what is wrong with compressed content, unless the exchange itself
// went wrong.
func notGzip(err error) error {
	if _, ok := errors.AsType[*job.RemoteError](err); ok {
		return err
	}
	_, malformed := errors.AsType[flate.CorruptInputError](err)
	for _, own := range []error{gzip.ErrHeader, gzip.ErrChecksum, io.EOF, io.ErrUnexpectedEOF} {
		malformed = malformed || errors.Is(err, own)
	}
	if malformed {
		return badAnswer("leads to an answer that is not gzip, although it is declared so")
	}
	return err
}

func badAnswer(format string, args ...any) error {
	return &job.RemoteError{Kind: job.RemoteBadAnswer, Detail: fmt.Sprintf(format, args...)}
}

// mediaType returns a Content-Type in one spelling, or nothing if it is not one.
func mediaType(header string) string {
	if len(header) > maxMediaType {
		return ""
	}
	essence, params, err := mime.ParseMediaType(header)
	if err != nil || !strings.Contains(essence, "/") {
		return ""
	}
	return mime.FormatMediaType(essence, params)
}
