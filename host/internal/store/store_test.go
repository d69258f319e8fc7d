package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirVariable); dir != "" {
		createUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openNew(t testing.TB) *Store {
	t.Helper()
	return open(t, Config{Dir: t.TempDir()})
}

// reopen closes a store and opens it again.
func reopen(t testing.TB, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, s.config)
}

func TestStore(t *testing.T) {
	t.Parallel()
	jobtest.Store(t, func(t testing.TB) job.Store { return openNew(t) })
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	jobtest.Outbox(t, func(t testing.TB) jobtest.StoreWithOutbox { return openNew(t) })
}

func TestStoreBehavesLikeTheModel(t *testing.T) {
	t.Parallel()
	jobtest.StoreModel(t, func(t testing.TB) job.Store { return openNew(t) })
}

// restarting is a store that is closed and opened again every few calls.
type restarting struct {
	*Store
	t     testing.TB
	calls int
}

func (r *restarting) restart() {
	if r.calls++; r.calls%37 == 0 {
		r.Store = reopen(r.t, r.Store)
	}
}

func (r *restarting) Create(ctx context.Context, j job.Job, o job.Order) (job.Job, error) {
	r.restart()
	return r.Store.Create(ctx, j, o)
}

func (r *restarting) Update(ctx context.Context, j job.Job, outputs map[string]job.Value) (job.Job, error) {
	r.restart()
	return r.Store.Update(ctx, j, outputs)
}

func (r *restarting) List(ctx context.Context, f job.Filter, c job.Cursor, limit int) (job.Page, error) {
	r.restart()
	return r.Store.List(ctx, f, c, limit)
}

func TestStoreThatRestartsBehavesLikeTheModel(t *testing.T) {
	t.Parallel()
	jobtest.StoreModel(t, func(t testing.TB) job.Store { return &restarting{Store: openNew(t), t: t} })
}

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return c
}

func created(t testing.TB, s *Store) job.Job {
	t.Helper()
	j, err := s.Create(ctx(t), jobtest.NewJob("p"), job.Order{})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestADirectoryIsOpenedOnce(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	_, err := Open(s.config)
	if err == nil || !strings.Contains(err.Error(), "is another geomill running on it?") {
		t.Fatalf("second Open: %v", err)
	}
	created(t, s)
}

func TestAnotherLayoutIsRefused(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	txn := s.db.NewTransaction(true)
	if err := errors.Join(txn.Set(versionKey(), encodeUint64(99)), txn.Commit()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.config); err == nil || !strings.Contains(err.Error(), "layout version 99") {
		t.Fatalf("Open: %v", err)
	}
}

func TestCallsAfterCloseFail(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	j := created(t, s)
	watching := make(chan error, 1)
	go func() {
		for _, err := range s.Watch(ctx(t), j.Revision) {
			watching <- err
		}
	}()
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	_, create := s.Create(ctx(t), jobtest.NewJob("p"), job.Order{})
	_, update := s.Update(ctx(t), j, map[string]job.Value{"o": {Data: make([]byte, maxInline+1)}})
	_, get := s.Get(ctx(t), j.ID)
	_, list := s.List(ctx(t), job.Filter{}, job.Cursor{After: j.ID}, 1)
	for name, err := range map[string]error{
		"Create": create, "Update": update, "Get": get, "List": list,
		"Delete": s.Delete(ctx(t), j.ID, j.Revision), "Watch": <-watching,
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}

func TestRevisionsRiseAcrossReopening(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	j := created(t, s)
	if err := s.Delete(ctx(t), j.ID, j.Revision); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	if next := created(t, s); next.Revision != j.Revision+2 {
		t.Errorf("revision %d follows %d and a deletion", next.Revision, j.Revision)
	}
	if _, err := s.Get(ctx(t), j.ID); !errors.Is(err, job.ErrGone) {
		t.Errorf("Get of the deleted job: %v", err)
	}
	for _, err := range s.Watch(ctx(t), j.Revision) {
		if !errors.Is(err, job.ErrBehind) {
			t.Errorf("Watch from before the reopening: %v, want ErrBehind", err)
		}
		break
	}
}

func TestActiveJobsAreListedAfterReopening(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	waiting, running, ended := created(t, s), created(t, s), created(t, s)
	running.Status, ended.Status = ogc.Running, ogc.Failed
	for _, j := range []job.Job{running, ended} {
		if _, err := s.Update(ctx(t), j, nil); err != nil {
			t.Fatal(err)
		}
	}
	s = reopen(t, s)
	for status, want := range map[ogc.Status]string{ogc.Accepted: waiting.ID, ogc.Running: running.ID, ogc.Failed: ended.ID} {
		p, err := s.List(ctx(t), job.Filter{Statuses: []ogc.Status{status}}, job.Cursor{}, 10)
		if err != nil || len(p.Jobs) != 1 || p.Jobs[0].ID != want {
			t.Errorf("%s jobs: %+v, %v", status, p.Jobs, err)
		}
	}
}

func TestTombstonesExpire(t *testing.T) {
	t.Parallel()
	s := open(t, Config{Dir: t.TempDir(), TombstoneTTL: time.Second})
	j := created(t, s)
	if err := s.Delete(ctx(t), j.ID, j.Revision); err != nil {
		t.Fatal(err)
	}
	poll(t, "the tombstone to expire", func() bool {
		_, err := s.Get(ctx(t), j.ID)
		return errors.Is(err, job.ErrNoSuchJob)
	})
}

// poll waits for a condition that no event announces.
func poll(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := ctx(t); !done(); {
		select {
		case <-tick.C:
		case <-end.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestAnOutsizedWriteFailsAlone(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	large := job.Order{Inputs: map[string]job.Value{"i": {Data: make([]byte, maxEditSize)}}}
	if _, err := s.Create(ctx(t), jobtest.NewJob("p"), large); err == nil {
		t.Error("an order larger than a transaction was accepted")
	}
	fits := job.Order{Inputs: map[string]job.Value{"i": {Data: make([]byte, maxEditSize/2)}}}
	for range 3 { // more than fits into one memtable's share together
		if _, err := s.Create(ctx(t), jobtest.NewJob("p"), fits); err != nil {
			t.Error(err)
		}
	}
}

func TestAlmostFullDiskRefusesWhatGrows(t *testing.T) {
	t.Parallel()
	free := make(chan uint64, 1)
	free <- 1 << 40
	c := Config{Dir: t.TempDir(), MinFree: 1000, openRoom: 1, freeSpace: func(string) (uint64, error) {
		n := <-free
		free <- n
		return n, nil
	}}
	set := func(n uint64) { <-free; free <- n }
	s := open(t, c)
	j, other := created(t, s), created(t, s)

	set(999)
	if _, err := s.Create(ctx(t), jobtest.NewJob("p"), job.Order{}); err == nil || !strings.Contains(err.Error(), "disk is almost full") {
		t.Errorf("Create: %v", err)
	}
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(ctx(t), j, map[string]job.Value{"o": {File: path}}); err == nil {
		t.Error("outputs were stored")
	}
	nothingUnder(t, s, resultsDir)
	j, err := s.Update(ctx(t), j, nil)
	if err != nil {
		t.Errorf("Update: %v", err)
	}
	set(1)
	if _, err := s.Update(ctx(t), other, nil); err == nil {
		t.Error("an update went to a full disk")
	}
	if err := s.Delete(ctx(t), j.ID, j.Revision); err != nil {
		t.Errorf("Delete: %v", err)
	}
	set(1 << 40)
	created(t, s)
}

func nothingUnder(t testing.TB, s *Store, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		entries, err := os.ReadDir(s.path(dir))
		if err != nil || len(entries) > 0 {
			t.Errorf("%s holds %v, %v; want nothing", dir, entries, err)
		}
	}
}
