package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"geomill/host/internal/job"
)

// Logs implements job.Logs with a file for each job that has a log. No file is
// open between two calls, and none is forced to disk: after a crash of the
// machine the last lines may be missing. Its methods may be called concurrently.
type Logs struct {
	dir       string
	minFree   uint64 // bytes; see Config.MinFree
	freeSpace func(dir string) (uint64, error)
}

var _ job.Logs = (*Logs)(nil)

// Logs returns the logs beside the database. They need not be closed.
func (s *Store) Logs() *Logs {
	return &Logs{dir: s.path(logsDir), minFree: s.config.MinFree, freeSpace: s.config.freeSpace}
}

// path returns the file of a job's log.
func (l *Logs) path(jobID string) (string, error) {
	if _, ok := parseID(jobID); !ok {
		return "", job.ErrNoSuchJob
	}
	return filepath.Join(l.dir, jobID[len(jobID)-2:], jobID), nil
}

// Append implements job.Logs. Where a crash has cut a line, it goes on at the
// end of the line before.
func (l *Logs) Append(ctx context.Context, jobID string, lines []byte) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("append to log of job %s: %w", jobID, err)
	}
	if err := l.append(jobID, lines); err != nil {
		return fmt.Errorf("append to log of job %s: %w", jobID, err)
	}
	return nil
}

func (l *Logs) append(jobID string, lines []byte) (err error) {
	name, err := l.path(jobID)
	if err != nil {
		return err
	}
	if free, err := l.freeSpace(l.dir); err != nil {
		return err
	} else if free < l.minFree {
		return syscall.ENOSPC
	}
	f, err := openLog(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := wholeSize(f)
	if err != nil {
		return err
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	_, err = f.WriteAt(lines, end)
	return err
}

func openLog(name string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_CREATE | syscall.O_NOFOLLOW
	f, err := os.OpenFile(name, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(name, flags, 0o600)
	}
	return f, err
}

// wholeSize returns the size of a log without the part of a line at its end.
func wholeSize(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end := info.Size()
	for buf := make([]byte, 1); end > 0; buf = make([]byte, 32<<10) {
		n := int(min(end, int64(len(buf))))
		if _, err := f.ReadAt(buf[:n], end-int64(n)); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return end - int64(n) + int64(i) + 1, nil
		}
		end -= int64(n)
	}
	return 0, nil
}

// Open implements job.Logs.
func (l *Logs) Open(ctx context.Context, jobID string) (job.LogReader, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("open log of job %s: %w", jobID, err)
	}
	name, err := l.path(jobID)
	if err != nil {
		return emptyLog{bytes.NewReader(nil)}, nil // there is no such job
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return emptyLog{bytes.NewReader(nil)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open log of job %s: %w", jobID, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open log of job %s: %w", jobID, err), f.Close())
	}
	return logFile{io.NewSectionReader(f, 0, info.Size()), f}, nil
}

// Remove implements job.Logs.
func (l *Logs) Remove(ctx context.Context, jobID string) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("remove log of job %s: %w", jobID, err)
	}
	name, err := l.path(jobID)
	if err != nil {
		return nil // there is no such job
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove log of job %s: %w", jobID, err)
	}
	return nil
}

// logFile is a log as it was when it was opened.
type logFile struct {
	*io.SectionReader
	file *os.File
}

func (l logFile) Close() error { return l.file.Close() }

// emptyLog is the log of a job that has none.
type emptyLog struct{ *bytes.Reader }

func (emptyLog) Close() error { return nil }
