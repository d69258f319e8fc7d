package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"geomill/sdk/schema"
)

// The members of an object that stands for a value which is elsewhere. It has
// this one member alone.
const (
	fromFile = "from-file"
	fromEnv  = "from-env"
)

// secretBytes limits the file of one secret.
const secretBytes = 64 << 10

// Source is where secrets come from.
type Source struct {
	// Env looks a variable of the host's own environment up.
	Env func(name string) (string, bool)
	// UID is the user whose files, and root's, are believed.
	UID int
}

// reference is a value that was fetched.
type reference struct {
	text    string
	place   string // such as "file /run/secrets/key"
	missing bool   // could not be fetched, which is a fault
}

// fetcher replaces references by their values and remembers them by pointer.
type fetcher struct {
	from   Source
	found  map[string]reference
	faults []Fault
}

func (f *fetcher) fault(at, format string, args ...any) {
	f.faults = append(f.faults, Fault{at, fmt.Sprintf(format, args...)})
}

// members replaces the references within an object.
func (f *fetcher) members(at string, object map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		object[name] = f.value(step(at, name), object[name])
	}
}

// value returns v with its references replaced. One that cannot be followed is
// a fault.
func (f *fetcher) value(at string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if r, is, err := f.from.follow(v); is {
			if err != nil {
				f.fault(at, "%v", err)
				r.missing = true
			}
			f.found[at] = r
			return r.text
		}
		f.members(at, v)
	case []any:
		for i := range v {
			v[i] = f.value(step(at, strconv.Itoa(i)), v[i])
		}
	}
	return v
}

// forbidInline finds secrets that are written where everybody who reads the
// configuration sees them.
func (f *fetcher) forbidInline(declared *schema.Schema, object map[string]any) {
	for _, at := range declared.WriteOnly(object) {
		leaves(at, lookup(object, at), func(at string) {
			if _, ok := f.found[at]; !ok {
				f.fault(at, "is a secret: instead of its value, write {%s: PATH} or {%s: NAME} to say where it is", fromFile, fromEnv)
			}
		})
	}
}

// masked is a copy of v in which what was fetched is replaced by its place.
func (f *fetcher) masked(at string, v any) any {
	if r, ok := f.found[at]; ok {
		return mask + " (" + r.place + ")"
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = f.masked(step(at, name), member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = f.masked(step(at, strconv.Itoa(i)), item)
		}
		return out
	}
	return v
}

// follow fetches the value that an object refers to, if it is a reference.
func (s Source) follow(v map[string]any) (r reference, is bool, err error) {
	if len(v) != 1 {
		return r, false, nil
	}
	if path, ok := v[fromFile].(string); ok {
		text, err := s.file(path)
		return reference{text: text, place: "file " + path}, true, err
	}
	if name, ok := v[fromEnv].(string); ok {
		text, ok := s.Env(name)
		if !ok {
			err = fmt.Errorf("is to come from the environment variable %q, which the host does not have", name)
		} else if !utf8.ValidString(text) {
			err = fmt.Errorf("is to come from the environment variable %q, which is not UTF-8", name)
		}
		return reference{text: text, place: "environment variable " + name}, true, err
	}
	return r, false, nil
}

// file reads a secret from a file that nobody else can change and not everybody
// can read, and takes the end of its last line off.
func (s Source) file(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("is to come from the file %q, which is not an absolute path", path)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would hold it up
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("is to come from the file %s, which does not exist", path)
		}
		return "", fmt.Errorf("is to come from a file: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("is to come from a file: %w", err)
	}
	if reason := s.refusal(path, fi); reason != "" {
		return "", fmt.Errorf("is to come from the file %s, which %s", path, reason)
	}
	text, err := io.ReadAll(io.LimitReader(f, secretBytes+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("is to come from a file: %w", err)
	case len(text) > secretBytes:
		return "", fmt.Errorf("is to come from the file %s, which is larger than %d bytes", path, secretBytes)
	case !utf8.Valid(text):
		return "", fmt.Errorf("is to come from the file %s, which is not UTF-8 text", path)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

// refusal says why a file is no place for a secret, or "".
func (s Source) refusal(path string, fi fs.FileInfo) string {
	if !fi.Mode().IsRegular() {
		return "is not a regular file"
	}
	if stat, ok := fi.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != s.UID && stat.Uid != 0 {
		return fmt.Sprintf("is owned by user %d: chown %d %s", stat.Uid, s.UID, path)
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return "can be changed by others: chmod go-w,o-r " + path
	}
	if fi.Mode().Perm()&0o004 != 0 {
		return "can be read by everyone: chmod o-r " + path
	}
	return ""
}
