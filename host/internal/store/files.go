package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

// Outputs in memory up to these sizes, in bytes, are stored in the database; the
// second is for all outputs of one job together.
const (
	maxInline      = 64 << 10
	maxInlineTotal = 256 << 10
)

// stagedOutputs are outputs that are in their place, except that no record
// links to them yet.
type stagedOutputs struct {
	id     id
	sub    string // directory under results/<id>; empty when no output is a file
	info   map[string]job.OutputInfo
	values map[string][]byte // as they will be in the database
	old    []string          // directories of the outputs that these replace
}

// stage moves and writes outputs to where they will stay. When it fails it
// leaves nothing behind.
func (s *Store) stage(i id, j *job.Job, outputs map[string]job.Value) (*stagedOutputs, error) {
	st := &stagedOutputs{id: i, info: map[string]job.OutputInfo{}, values: map[string][]byte{}}
	files, err := s.place(st, j, outputs)
	if err == nil && files {
		err = s.syncResults(st)
	}
	if err != nil {
		s.settle(st, false)
		// A job that changed or went meanwhile is the better explanation.
		if lost := s.checkRevision(i, j.Revision); lost != nil {
			return nil, lost
		}
		return nil, err
	}
	return st, nil
}

func (s *Store) place(st *stagedOutputs, j *job.Job, outputs map[string]job.Value) (files bool, err error) {
	var inline int64
	for n, name := range slices.Sorted(maps.Keys(outputs)) {
		v := outputs[name]
		if v.File == "" && v.Len() <= maxInline && inline+v.Len() <= maxInlineTotal {
			inline += v.Len()
		} else {
			if !files {
				files = true
				if err := s.makeResultsDir(st, j); err != nil {
					return false, err
				}
			}
			path := filepath.Join(resultsDir, st.id.String(), st.sub, strconv.Itoa(n))
			if v, err = s.placeFile(path, v); err != nil {
				return false, fmt.Errorf("output %s: %w", name, err)
			}
		}
		st.values[name] = encodeOutput(v)
		st.info[name] = job.OutputInfo{MediaType: v.Type(), Size: v.Len()}
	}
	return files, nil
}

// makeResultsDir makes a directory that no other attempt, nor another try to
// finish this one, can have. Nothing has been moved when it finds that the job
// has changed.
func (s *Store) makeResultsDir(st *stagedOutputs, j *job.Job) error {
	if err := s.checkRevision(st.id, j.Revision); err != nil {
		return err
	}
	sub := strconv.Itoa(j.Attempt) + "-" + rand.Text()[:10]
	if err := s.mark(st.id, sub); err != nil {
		return err
	}
	st.sub = sub
	return os.MkdirAll(s.path(resultsDir, st.id.String(), sub), 0o700)
}

func (s *Store) checkRevision(i id, revision uint64) error {
	return s.view(func(txn *badger.Txn) error {
		j, err := readJob(txn, i)
		switch {
		case err != nil:
			return missing(err)
		case j.Revision != revision:
			return job.ErrConflict
		}
		return nil
	})
}

// placeFile brings a value to a path (relative to the store) and returns it as
// the file it then is.
func (s *Store) placeFile(path string, v job.Value) (job.Value, error) {
	full := s.path(path)
	if v.File == "" {
		content := v.JSON
		if v.Data != nil {
			content = v.Data
		}
		if err := os.WriteFile(full, content, 0o600); err != nil {
			return v, err
		}
	} else if err := takeFile(v.File, full); err != nil {
		return v, err
	}
	size, err := syncPath(full)
	return job.Value{File: path, Size: size, MediaType: v.MediaType}, err
}

// takeFile gives a regular file its place in the store; across file systems it
// copies it. The old name stays until the job's directory is removed: the file
// may be an input, which another attempt needs if the host dies before the
// record says that this one succeeded. A symbolic link would let the one who
// made it read what the host can.
func takeFile(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", from)
	}
	err = os.Link(from, to)
	if errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EOPNOTSUPP) {
		return copyFile(from, to)
	}
	return err
}

func copyFile(from, to string) error {
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// syncPath forces a file or directory to disk and returns its size.
func syncPath(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), f.Sync()
}

// syncResults forces the names of the staged files to disk.
func (s *Store) syncResults(st *stagedOutputs) error {
	for _, dir := range []string{
		s.path(resultsDir, st.id.String(), st.sub), s.path(resultsDir, st.id.String()), s.path(resultsDir),
	} {
		if _, err := syncPath(dir); err != nil {
			return err
		}
	}
	return nil
}

// plan links the outputs in place of those the job had before.
func (st *stagedOutputs) plan(txn *badger.Txn, e *edit, i id, before map[string]job.OutputInfo) error {
	st.old = nil
	for name := range before {
		v, err := readOutput(txn, i, name)
		if errors.Is(err, badger.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if v.File != "" {
			st.old = append(st.old, filepath.Base(filepath.Dir(v.File)))
		}
		if _, again := st.values[name]; !again {
			e.deletes = append(e.deletes, outputKey(i, name))
		}
	}
	for name, value := range st.values {
		e.set(outputKey(i, name), value)
	}
	return nil
}

// settle tidies up once it is known whether the outputs were linked.
func (s *Store) settle(st *stagedOutputs, linked bool) {
	if !linked {
		if st.sub != "" {
			s.discard(st.id, st.sub)
		}
		return
	}
	if st.sub != "" {
		s.unmark(st.id, st.sub)
	}
	for _, sub := range slices.Compact(slices.Sorted(slices.Values(st.old))) {
		s.discard(st.id, sub)
	}
}
