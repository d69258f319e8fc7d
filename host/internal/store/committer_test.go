package store

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
)

// gate holds up the committer between two batches.
type gate struct {
	reached, pass chan struct{}
	once          sync.Once
}

func gated(t testing.TB, c Config) (*Store, *gate) {
	t.Helper()
	g := &gate{reached: make(chan struct{}, 100), pass: make(chan struct{})}
	c.freeSpace = func(string) (uint64, error) {
		g.reached <- struct{}{}
		<-g.pass
		return 1 << 40, nil
	}
	s := open(t, c)
	t.Cleanup(g.open) // runs before the store is closed
	return s, g
}

func (g *gate) open() { g.once.Do(func() { close(g.pass) }) }

// waiting polls until the committer has n writes before it.
func waiting(t testing.TB, s *Store, n int) {
	t.Helper()
	poll(t, "writes to queue", func() bool { return len(s.writes) >= n })
}

func TestConflictsAreDecidedPerWriterWithinABatch(t *testing.T) {
	t.Parallel()
	s, g := gated(t, Config{Dir: t.TempDir()})
	taken := jobtest.NewJob("p")
	jobs := []job.Job{taken, taken, jobtest.NewJob("p"), jobtest.NewJob("p")}
	errs := make([]error, len(jobs))
	var wg sync.WaitGroup
	for n, j := range jobs {
		wg.Go(func() { _, errs[n] = s.Create(ctx(t), j, job.Order{}) })
	}
	waiting(t, s, len(jobs)-1)
	g.open()
	wg.Wait()
	if first, second := errs[0], errs[1]; errors.Is(first, job.ErrExists) == errors.Is(second, job.ErrExists) {
		t.Errorf("two creations of one job: %v and %v", first, second)
	}
	for _, err := range errs[2:] {
		if err != nil {
			t.Errorf("a writer failed for another's conflict: %v", err)
		}
	}
}

func TestAWriterThatGaveUpIsNotWritten(t *testing.T) {
	t.Parallel()
	s, g := gated(t, Config{Dir: t.TempDir()})
	held := make(chan error, 1)
	go func() {
		_, err := s.Create(ctx(t), jobtest.NewJob("p"), job.Order{})
		held <- err
	}()
	<-g.reached
	impatient, cancel := context.WithCancel(ctx(t))
	j := jobtest.NewJob("p")
	gaveUp := make(chan error, 1)
	go func() {
		_, err := s.Create(impatient, j, job.Order{})
		gaveUp <- err
	}()
	waiting(t, s, 1)
	cancel()
	g.open()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("Create: %v, want the context's error", err)
	}
	if err := <-held; err != nil {
		t.Error(err)
	}
	if _, err := s.Get(ctx(t), j.ID); !errors.Is(err, job.ErrNoSuchJob) {
		t.Errorf("Get: %v, want ErrNoSuchJob", err)
	}
}

func TestCloseMakesTheWritesThatWait(t *testing.T) {
	t.Parallel()
	s, g := gated(t, Config{Dir: t.TempDir()})
	const writers = 5
	errs := make(chan error, writers)
	for range writers {
		go func() {
			_, err := s.Create(ctx(t), jobtest.NewJob("p"), job.Order{})
			errs <- err
		}()
	}
	waiting(t, s, writers-1)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-s.stop
	g.open()
	for range writers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	reached, pass := make(chan struct{}, 1), make(chan struct{})
	s, err := Open(Config{Dir: t.TempDir(), CloseTimeout: time.Millisecond, freeSpace: func(string) (uint64, error) {
		reached <- struct{}{}
		<-pass
		return 1 << 40, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	created := make(chan error, 1)
	go func() {
		_, err := s.Create(ctx(t), jobtest.NewJob("p"), job.Order{})
		created <- err
	}()
	<-reached
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "still busy") {
		t.Errorf("Close of a store that hangs: %v", err)
	}
	close(pass)
	if err := <-created; err != nil {
		t.Error(err)
	}
	poll(t, "the directory to be given back", func() bool {
		_, err := s.lock.Stat()
		return errors.Is(err, os.ErrClosed)
	})
}
