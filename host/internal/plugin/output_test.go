package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// judge serves a plugin whose JSON is checked by json.Valid, and has it hand over each
// content, in a file or within the session.
func judge(t *testing.T, within bool, contents []declared) {
	t.Helper()
	cfg := quick(t)
	cfg.CheckJSON = func(r io.Reader) error {
		if b, err := io.ReadAll(r); err != nil || !json.Valid(b) {
			return fmt.Errorf("odd byte, %v", err)
		}
		return nil
	}
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	for _, c := range contents {
		in := map[string]job.Value{"content": {Data: []byte(c.content)}, "type": {Data: []byte(c.mediaType)}}
		if within {
			in["within"] = job.Value{Data: []byte("x")}
		}
		a, err := b.runWith(t.Context(), "file", in, time.Second)
		switch {
		case c.ok:
			if err != nil || !within && a.raw["out"].Size != int64(len(c.content)) {
				t.Errorf("%q as %q: %v, %v", c.content, c.mediaType, a.raw, err)
			}
		case err == nil:
			t.Errorf("%q as %q is accepted", c.content, c.mediaType)
		default:
			if f := failureOf(t, err); f.Kind != job.ContractBroken || !strings.Contains(f.Detail, "output out is not JSON") {
				t.Errorf("%q as %q: %+v", c.content, c.mediaType, f)
			}
		}
	}
}

// declared is a content with the media type that a plugin says it has.
type declared struct {
	mediaType, content string
	ok                 bool
}

func TestFilesThatAreToBeJSONAreChecked(t *testing.T) {
	t.Parallel()
	judge(t, false, []declared{
		{"", `{"a":1}`, true},
		{"", `{"a":1}}`, false},
		{"", ``, false},
		{"application/json", `[`, false},
		{"Application/GEO+JSON; x=y", `[`, false},
		{"application/geo+json", `[]`, true},
		{"text/plain", `[`, true},
		{"application/jsonlines", `[`, true},
	})
}

func TestBytesThatAreToBeJSONAreChecked(t *testing.T) {
	t.Parallel()
	judge(t, true, []declared{
		{"application/json", `{"a":1}`, true},
		{"application/json", `{"a":`, false},
		{"application/json", ``, false},
		{"application/geo+json", `[`, false},
		{"text/plain", `[`, true},
		{"", `[`, true},
	})
}

func TestCheckOfAFileEndsWithItsJob(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cfg.CheckJSON = func(r io.Reader) error {
		cancel(job.ErrDismissed)
		_, err := io.ReadAll(r)
		return err
	}
	install(t, cfg.Dir, "chaos", "")
	b := serve(t, cfg)
	in := map[string]job.Value{"content": {Data: []byte("1")}, "type": {Data: []byte("application/json")}}
	if _, err := b.runWith(ctx, "file", in, time.Second); !errors.Is(err, job.ErrDismissed) {
		t.Errorf("got %v", err)
	}
}
