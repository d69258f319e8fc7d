package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

// Defaults of Config.
const (
	DefaultTombstoneTTL = 24 * time.Hour
	DefaultCloseTimeout = 30 * time.Second
	DefaultMinFree      = 128 << 20 // bytes
)

// Config says where and how jobs are kept. Only Dir is required.
type Config struct {
	// Dir is made when missing. Large outputs are moved into it, so it should be
	// on the file system of the jobs' directories.
	Dir    string
	Logger *slog.Logger // default: none
	// TombstoneTTL is how long a deleted job is remembered (ErrGone); whole
	// seconds.
	TombstoneTTL time.Duration
	// CloseTimeout bounds Close.
	CloseTimeout time.Duration
	// MinFree is the free disk space, in bytes, below which new jobs and outputs
	// are refused; other changes pass down to half of it. The database maps its
	// files into memory: running out of space within it would kill the process.
	MinFree uint64

	// JobsDir is the directory of the jobs' input files. Orders that name
	// files below it are stored without it, so that it can be moved.
	JobsDir string

	freeSpace func(dir string) (uint64, error)
	openRoom  uint64 // bytes; default: the constant
}

func (c *Config) setDefaults() error {
	if c.Dir == "" {
		return errors.New("store has no directory")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	c.Dir = dir
	if c.JobsDir != "" {
		if c.JobsDir, err = filepath.Abs(c.JobsDir); err != nil {
			return err
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.TombstoneTTL <= 0 {
		c.TombstoneTTL = DefaultTombstoneTTL
	}
	if c.CloseTimeout <= 0 {
		c.CloseTimeout = DefaultCloseTimeout
	}
	if c.MinFree == 0 {
		c.MinFree = DefaultMinFree
	}
	if c.openRoom == 0 {
		c.openRoom = openRoom
	}
	if c.freeSpace == nil {
		c.freeSpace = freeSpace
	}
	return nil
}

// Store implements job.Store. Its methods may be called concurrently.
type Store struct {
	config Config
	log    *slog.Logger
	lock   *os.File
	db     *badger.DB

	writes  chan *write
	stop    chan struct{} // closed by Close
	stopped chan struct{} // closed when the committer has ended
	closing sync.Once
	closed  error

	// readers is held shared by who reads the database; once readersOut is set
	// nobody reads it any more.
	readers    sync.RWMutex
	readersOut bool

	// These belong to the committer; the last two describe its last batch.
	revision   uint64
	highest    id // of all jobs, deleted ones too
	savedSkew  int64
	lastWrites int
	lastCommit time.Duration
	// skew is the largest distance, in nanoseconds, between a job's Created
	// and the time in its id: how far seeking by time may miss.
	skew atomic.Int64

	memory  sync.RWMutex // guards active and recent
	active  *activeSet
	recent  *recentJobs
	changes *changeLog
	outbox  *outboxHosts

	hold    fileHold
	usage   usage  // guarded by memory; written by the committer
	written uint64 // revision of the last commit; likewise

	// firstEnded says where Ended may begin: there is no key of a tally below.
	// Revisions rise, so none comes there again. Guarded by memory.
	firstEnded map[tally]uint64
	holds      holds
}

var _ job.Store = (*Store)(nil)

// Open opens the store in a directory, or makes a new one, and settles what a
// crash left behind. The store runs until Close.
func Open(c Config) (*Store, error) {
	if err := c.setDefaults(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		config:  c,
		log:     c.Logger,
		writes:  make(chan *write, maxBatchWrites),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open store: %w", errors.Join(err, s.release()))
	}
	go s.commit()
	return s, nil
}

func (s *Store) open() (err error) {
	for _, dir := range []string{s.config.Dir, s.path(databaseDir), s.path(resultsDir), s.path(pendingDir), s.path(heldDir), s.path(logsDir)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if s.lock, err = lockDir(s.config.Dir); err != nil {
		return err
	}
	if err := s.checkRoom(); err != nil {
		return err
	}
	if s.db, err = badger.Open(databaseOptions(s.path(databaseDir), s.log)); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return err
	}
	return s.sweep()
}

// lockDir makes sure that no other process has the directory open. The lock goes
// with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(lockPatience); ; <-again.C {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		case time.Now().After(end):
			_ = f.Close()
			return nil, fmt.Errorf("%s is in use: is another geomill running on it?", dir)
		}
	}
}

// lockPatience is for a host that is just ending, and for the moment in which a
// process that is being started still shares the files of the one that held it.
const lockPatience = time.Second

// Close finishes the writes under way and closes the database. It takes at most
// Config.CloseTimeout; after that it gives up with an error. Every acknowledged
// write is on disk in either case.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.stop)
		done := make(chan error, 1)
		go func() { done <- s.shut() }()
		deadline := time.NewTimer(s.config.CloseTimeout)
		defer deadline.Stop()
		select {
		case s.closed = <-done:
		case <-deadline.C:
			s.closed = fmt.Errorf("close store: still busy after %s", s.config.CloseTimeout)
		}
	})
	return s.closed
}

func (s *Store) shut() error {
	<-s.stopped
	s.readers.Lock()
	s.readersOut = true
	s.readers.Unlock()
	if err := s.checkRoom(); err != nil {
		// The next start reads the log of the database. Until this process has
		// ended nobody else may, so the lock stays too.
		return fmt.Errorf("close store: left as it is: %w", err)
	}
	if err := s.release(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

func (s *Store) release() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// view reads the database as it is now.
func (s *Store) view(read func(txn *badger.Txn) error) error {
	s.readers.RLock()
	defer s.readers.RUnlock()
	if s.readersOut {
		return ErrClosed
	}
	return s.db.View(read)
}

// checkRoom refuses to open or close a database without the space that this takes:
// what is in memtables is written into tables then, and what does not find its
// place in a mapped file ends the process.
func (s *Store) checkRoom() error {
	free, err := freeSpace(s.config.Dir)
	if err == nil && free < s.config.openRoom {
		err = fmt.Errorf("%w: disk is almost full: %d bytes are free at %s, %d are needed", job.ErrNoSpace, free, s.config.Dir, s.config.openRoom)
	}
	return err
}

func freeSpace(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}
