package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"geomill/host/internal/admin"
	"geomill/host/internal/archive"
	"geomill/host/internal/store"
)

// The parts of a data directory that a backup holds, and the only ones that are
// restored. Caches and plugins are not among them.
const (
	jobsDir       = "jobs"
	workDir       = "work" // of the jobs that run
	storeDir      = "store"
	cursorKeyFile = "cursor.key"
)

// BackupSummary says what is in a backup.
type BackupSummary struct {
	Jobs  int
	Bytes int64 // before compression
}

// Backup writes a backup of a data directory. The server that runs on it writes
// it while it serves; when there is none, this process opens the store itself. The
// backup is whole only if there is no error.
func Backup(ctx context.Context, data string, w io.Writer, log *slog.Logger) (BackupSummary, error) {
	if _, err := os.Stat(filepath.Join(data, storeDir)); err != nil {
		return BackupSummary{}, fmt.Errorf("no jobs are kept in %s: %w", data, err)
	}
	// What was written is read as a restore would, to know that it is whole.
	r, pipe := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := admin.Backup(ctx, data, pipe)
		if errors.Is(err, admin.ErrNotRunning) {
			err = backUpAlone(ctx, data, pipe, log)
		}
		_ = pipe.CloseWithError(err)
		written <- err
	}()
	out := &destination{w: w}
	summary, err := archive.Verify(io.TeeReader(r, out))
	_ = r.CloseWithError(errUnread)
	if cause := <-written; cause != nil && !errors.Is(cause, errUnread) {
		err = cause
	}
	if out.err != nil {
		err = out.err
	}
	if err != nil {
		return BackupSummary{}, fmt.Errorf("backup: %w", err)
	}
	return BackupSummary{Jobs: summary.Jobs, Bytes: summary.Bytes}, nil
}

// errUnread stops who writes a backup that is not read to its end.
var errUnread = errors.New("backup is not taken in")

// destination remembers why nothing more can be written to it.
type destination struct {
	w   io.Writer
	err error
}

func (d *destination) Write(b []byte) (n int, err error) {
	n, d.err = d.w.Write(b)
	return n, d.err
}

// backUpAlone writes a backup of a data directory that no server runs on.
func backUpAlone(ctx context.Context, data string, w io.Writer, log *slog.Logger) (err error) {
	s, err := store.Open(store.Config{Dir: filepath.Join(data, storeDir), JobsDir: filepath.Join(data, jobsDir), Logger: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return backUp(ctx, data, s, func() func() { return func() {} }, w, log)
}

// newAdmin makes the part that serves the operator's commands. Not every file
// system has sockets: without one the host serves all the same.
func newAdmin(p *parts, data string) *admin.Server {
	s, err := admin.New(admin.Config{Dir: data, Logger: p.plugins.Logger(), Plugins: operator{p.plugins}, Backup: func(ctx context.Context, w io.Writer) error {
		return backUp(ctx, data, p.store, p.jobs.HoldDirs, w, p.log)
	}})
	if err != nil {
		p.log.Warn("no backup can be made and no plugin managed while the server runs", "error", err)
		return nil
	}
	return s
}

// backUp writes a backup. holdDirs keeps the directories of jobs until what it
// returns is called.
func backUp(ctx context.Context, data string, s *store.Store, holdDirs func() (release func()), w io.Writer, log *slog.Logger) error {
	a, err := archive.NewWriter(w, Version(), time.Now())
	if err != nil {
		return err
	}
	if err := addCursorKey(a, data); err != nil {
		return err
	}
	release := holdDirs() // before the snapshot, whose jobs may end at any time
	defer release()
	snapshot, err := s.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	if err := addInputs(ctx, a, data, snapshot, log); err != nil {
		return err
	}
	release()
	below := func(name string, size int64, content io.Reader) error {
		return a.Add(storeDir+"/"+name, size, content)
	}
	jobs, err := snapshot.Records(ctx, below)
	if err != nil {
		return err
	}
	if err := snapshot.Outputs(ctx, below); err != nil {
		return err
	}
	if err := snapshot.Logs(ctx, below); err != nil {
		return err
	}
	_, err = a.Close(jobs)
	return err
}

func addCursorKey(a *archive.Writer, data string) error {
	f, err := os.Open(filepath.Join(data, cursorKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return a.Add(cursorKeyFile, keySize, f)
}
