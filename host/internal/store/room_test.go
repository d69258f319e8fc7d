package store

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"geomill/host/internal/job"
)

const noDisk = 1 << 62 // bytes that no disk has

func TestADatabaseIsNotOpenedOnADiskThatIsAlmostFull(t *testing.T) {
	t.Parallel()
	_, err := Open(Config{Dir: t.TempDir(), openRoom: noDisk})
	if !errors.Is(err, job.ErrNoSpace) || !strings.Contains(err.Error(), "disk is almost full") {
		t.Errorf("Open: %v", err)
	}
}

func TestADatabaseOnAFullDiskIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	c := Config{Dir: t.TempDir()}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	j := created(t, s)
	s.config.openRoom = noDisk
	if err := s.Close(); !errors.Is(err, job.ErrNoSpace) {
		t.Errorf("Close: %v", err)
	}
	if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("opening what another has open: %v", err)
	}
	if err := s.release(); err != nil { // as the end of the process would
		t.Fatal(err)
	}
	if _, err := open(t, c).Get(ctx(t), j.ID); err != nil {
		t.Error(err)
	}
}

func TestNothingIsWrittenWhereAMemtableWouldNotFit(t *testing.T) {
	t.Parallel()
	const room = 32 << 20
	var free atomic.Uint64
	free.Store(noDisk)
	s := open(t, Config{Dir: t.TempDir(), openRoom: room, freeSpace: func(string) (uint64, error) { return free.Load(), nil }})
	j := created(t, s)
	free.Store(room/2 - 1)
	if err := s.Delete(ctx(t), j.ID, j.Revision); !errors.Is(err, job.ErrNoSpace) {
		t.Errorf("Delete: %v", err)
	}
	free.Store(room / 2)
	if err := s.Delete(ctx(t), j.ID, j.Revision); err != nil {
		t.Errorf("Delete: %v", err)
	}
}
