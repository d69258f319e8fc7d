package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// File is an input or output that is large, or not JSON, as a field of typed
// inputs and outputs. A jsonschema tag gives its media type, such as
// contentMediaType=image/tiff. In requests and results text is a JSON string
// and everything else base64; the process sees neither. With several media types
// in the tag the client chooses one: MediaType tells which an input has, and
// Job.Format which is wanted for an output; the first is the one of clients that
// do not say, and JSON among them is a JSON value rather than a string.
type File struct {
	// Path of the file. That of an input is only read. An output file is best
	// made in the directory of the job (Job.Dir), and handed over from there.
	Path string
	// MediaType of the content. Outputs may leave it to the tag.
	MediaType string
}

// JSONSchema describes any file.
func (File) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type":"string","contentEncoding":"base64","contentMediaType":"` + mediaBytes + `"}`)
}

// isText reports whether content of a media type travels as a JSON string
// instead of base64.
func isText(mediaType string) bool {
	base, _, _ := strings.Cut(mediaType, ";")
	base = strings.TrimSpace(strings.ToLower(base))
	return strings.HasPrefix(base, "text/") || strings.HasSuffix(base, "+json") || strings.HasSuffix(base, "+xml") ||
		base == mediaJSON || base == "application/xml"
}

// Open opens the content of an input for reading. The caller closes it.
func (f File) Open() (*os.File, error) { return os.Open(f.Path) }

// Create makes a new file in the directory of the job, for an output that is
// written bit by bit, however large: close it, and return its name as the Path of
// a File. The name of the output is good for pattern, as os.CreateTemp has it.
func (j *Job) Create(pattern string) (*os.File, error) {
	dir, err := j.Dir()
	if err != nil {
		return nil, err
	}
	return os.CreateTemp(dir, pattern)
}

// materialize makes a file of an input. What crossed as a JSON string is
// written to one, without being held in memory.
func materialize(job *Job, name string, v Value, f field) (file File, err error) {
	if v.wire.File != "" && !v.IsJSON() {
		return File{Path: v.wire.File, MediaType: v.MediaType()}, nil
	}
	content, err := v.Open()
	if err != nil {
		return File{}, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	file.MediaType = v.MediaType()
	var r io.Reader = content
	if v.IsJSON() {
		if r, file.MediaType, err = f.spell(v, content); err != nil {
			return File{}, err
		}
	}
	dir, err := job.Dir()
	if err != nil {
		return File{}, err
	}
	file.Path, err = writeNew(dir, "input-"+name, r)
	return file, err
}

// File makes a file of an input of a Raw process whose schema says that it is
// the content of a media type: a string, or base64 in one. What is in a file
// already stays there.
func (j *Job) File(input string, v Value, mediaType string) (File, error) {
	file, err := materialize(j, input, v, field{mediaType: mediaType})
	if fault, ok := misfit(err); ok {
		return File{}, Invalid(input, "%s", fault)
	}
	return file, err
}

// writeNew writes a new file in dir, with a name like name.
func writeNew(dir, name string, r io.Reader) (path string, err error) {
	name = strings.Map(func(c rune) rune {
		if c == '/' || c == '*' || c == 0 {
			return '_'
		}
		return c
	}, name)
	f, err := os.CreateTemp(dir, name+"-*")
	if err != nil {
		return "", fmt.Errorf("create file: %w", err)
	}
	_, err = io.Copy(f, r)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("write file: %w", err)
	}
	return f.Name(), nil
}

// adopt returns the path of an output file that the host can take over: a
// regular file with one name in the directory of the job. Others, and those
// that are taken already, are copied.
func adopt(job *Job, id, path string, taken map[string]bool) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("output %s: %w", id, err)
	}
	if !taken[path] && movable(job.start.Dir, path) {
		taken[path] = true
		return path, nil
	}
	from, err := os.Open(path)
	if err != nil { // where it should be concerns no client
		job.Log().Error("the file of an output cannot be read", "output", id, "error", err)
		return "", fmt.Errorf("output %s: its file cannot be read", id)
	}
	defer from.Close() // only read
	dir, err := job.subdir("out")
	if err != nil {
		return "", err
	}
	path, err = writeNew(dir, id, from)
	if err != nil {
		return "", fmt.Errorf("output %s: %w", id, err)
	}
	taken[path] = true
	return path, nil
}

// movable reports whether path is a plain file in dir, reached through plain
// directories.
func movable(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(rel) || rel == "." {
		return false
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err != nil {
		return false
	} else if base, err := filepath.EvalSymlinks(dir); err != nil || filepath.Join(base, filepath.Dir(rel)) != real {
		return false
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 1
}
