package store

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

func TestArchive(t *testing.T) {
	t.Parallel()
	jobtest.Archive(t, func(t testing.TB) jobtest.StoreWithArchive { return openNew(t) })
}

func TestUsageIsKeptAndCountedAnewWhereItIsMissing(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	kept, _ := withFile(t, s)
	removed, _ := withFile(t, s)
	created(t, s)
	if err := s.Delete(ctx(t), removed.ID, removed.Revision); err != nil {
		t.Fatal(err)
	}
	want := s.Usage()
	if len(want.Finished) != 1 || want.Active == 0 {
		t.Fatalf("usage %+v", want)
	}
	s = reopen(t, s)
	if got := s.Usage(); !reflect.DeepEqual(got, want) {
		t.Errorf("after opening again: %+v, want %+v", got, want)
	}
	err := s.db.Update(func(txn *badger.Txn) error {
		wrong := tally{process: "gone", status: 's'}
		if err := setTally(txn, wrong, job.Kept{Jobs: 7, Bytes: 7}); err != nil {
			return err
		}
		i, _ := parseID(kept.ID)
		return errors.Join(txn.Delete(endedKey(i, &kept)), txn.Delete(countedKey()))
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = reopen(t, s)
		if got := s.Usage(); !reflect.DeepEqual(got, want) {
			t.Errorf("counted anew: %+v, want %+v", got, want)
		}
		if jobs, err := s.Ended(ctx(t), []job.Group{{ProcessID: "p", Status: ogc.Successful}}, 0, 10); err != nil || len(jobs) != 1 {
			t.Errorf("ended: %v, %v", jobs, err)
		}
	}
}

func TestTidyRemovesFilesWithoutARecord(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	kept, v := withFile(t, s)
	active := created(t, s)
	for _, dir := range []string{
		s.path(resultsDir, jobtest.NewJob("p").ID, "1-x"), // its job is not known
		s.path(resultsDir, kept.ID, "9-unlinked"),
		s.path(resultsDir, active.ID, "1-x"), // about to be linked
		s.path(resultsDir, "lost+found"),     // not ours
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "0"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Tidy(ctx(t)); n != 2 || err != nil {
		t.Errorf("Tidy = %d, %v", n, err)
	}
	nothingUnder(t, s, pendingDir)
	found, err := filepath.Glob(s.path(resultsDir, "*", "*"))
	if err != nil || len(found) != 3 { // that of each of the others
		t.Errorf("left: %v, %v", found, err)
	}
	if _, err := os.Stat(v.File); err != nil {
		t.Error(err)
	}
}

func TestHeldFilesOfARemovedJobGoWhenTheHostDied(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	j, v := withFile(t, s)
	s.Hold(j.ID)
	if err := s.Delete(ctx(t), j.ID, j.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(v.File); err != nil {
		t.Error(err)
	}
	s = reopen(t, s)
	nothingUnder(t, s, pendingDir, resultsDir)
}
