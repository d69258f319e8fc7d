package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// benchJobs names the numbers of stored jobs to measure with; a million take a
// minute to load and are asked for by GEOMILL_BENCH_MILLION=1.
func benchJobs() []int {
	if os.Getenv("GEOMILL_BENCH_MILLION") != "" {
		return []int{100, 10_000, 1_000_000}
	}
	return []int{100, 10_000}
}

// manyJobs yields jobs that look like those of a day, most of them finished.
func manyJobs(n int, ids *[]string) iter.Seq2[job.Job, job.Order] {
	statuses := []ogc.Status{ogc.Successful, ogc.Successful, ogc.Successful, ogc.Failed, ogc.Dismissed}
	order := job.Order{Inputs: map[string]job.Value{
		"name": {JSON: []byte(`"somebody"`)}, "message": {JSON: []byte(`"a message of middling length"`)},
	}}
	return func(yield func(job.Job, job.Order) bool) {
		for k := range n {
			j := jobtest.NewJob(fmt.Sprintf("process-%d", k%20))
			j.Plugin.Hash = fmt.Sprintf("%064d", k%20)
			j.Status, j.Attempt = statuses[k%len(statuses)], 1
			j.Started = j.Created.Add(time.Duration(rand.IntN(1e9)))
			j.Finished = j.Started.Add(time.Duration(rand.IntN(1e9)))
			j.Updated = j.Finished
			if j.Status == ogc.Successful {
				j.Progress = 100
				j.Outputs = map[string]job.OutputInfo{"result": {MediaType: "application/geo+json", Size: rand.Int64N(1e5)}}
			}
			if len(*ids) < 10_000 && rand.IntN(n) < 10_000 {
				*ids = append(*ids, j.ID)
			}
			if !yield(j, order) {
				return
			}
		}
	}
}

func loaded(b *testing.B, n int) (*Store, []string) {
	b.Helper()
	s := open(b, Config{Dir: b.TempDir()})
	var ids []string
	start := time.Now()
	if err := s.BulkLoad(b.Context(), manyJobs(n, &ids)); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d jobs loaded in %s", n, time.Since(start).Round(time.Millisecond))
	return s, ids
}

func BenchmarkCreate(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			s := open(b, Config{Dir: b.TempDir()})
			share(b, writers, func() error {
				_, err := s.Create(b.Context(), jobtest.NewJob("p"), job.Order{})
				return err
			})
		})
	}
}

// BenchmarkPlainCreate is the yardstick of BenchmarkCreate: one synced
// transaction per job, which holds its record only.
func BenchmarkPlainCreate(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			db, err := badger.Open(badger.DefaultOptions(b.TempDir()).WithSyncWrites(true).WithLogger(nil))
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			share(b, writers, func() error {
				j := jobtest.NewJob("p")
				record, err := encodeRecord(j)
				return errors.Join(err, db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(j.ID), record) }))
			})
		})
	}
}

// share spreads b.N calls over some goroutines.
func share(b *testing.B, workers int, call func() error) {
	var wg sync.WaitGroup
	b.ResetTimer()
	for w := range workers {
		wg.Go(func() {
			for n := w; n < b.N; n += workers {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkRead measures what readers ask for, by number of stored jobs.
func BenchmarkRead(b *testing.B) {
	for _, n := range benchJobs() {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s, ids := loaded(b, n)
			benchmarkReads(b, s, ids)
		})
	}
}

func benchmarkReads(b *testing.B, s *Store, ids []string) {
	some := func() string { return ids[rand.IntN(len(ids))] }
	page := func(f job.Filter, c func() job.Cursor) func() error {
		return func() error {
			_, err := s.List(context.Background(), f, c(), 10)
			return err
		}
	}
	start := func() job.Cursor { return job.Cursor{} }
	for _, r := range []struct {
		name string
		call func() error
	}{
		{"get", func() error { _, err := s.Get(context.Background(), some()); return err }},
		{"first page", page(job.Filter{}, start)},
		{"some page", page(job.Filter{}, func() job.Cursor { return job.Cursor{After: some()} })},
		{"newer page", page(job.Filter{}, func() job.Cursor { return job.Cursor{After: some(), Newer: true} })},
		{"by status", page(job.Filter{Statuses: []ogc.Status{ogc.Failed}}, start)},
		{"by process", page(job.Filter{ProcessIDs: []string{"process-3"}}, start)},
		{"by both", page(job.Filter{ProcessIDs: []string{"process-3"}, Statuses: []ogc.Status{ogc.Failed, ogc.Running}}, start)},
		{"active", page(job.Filter{Statuses: []ogc.Status{ogc.Accepted}}, start)},
	} {
		b.Run(r.name, func(b *testing.B) {
			for b.Loop() {
				if err := r.call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen reports the memory of a process with an open store: the resident
// set, of which "anon" is not backed by files. GEOMILL_BENCH_DIR names a store
// to open, which is filled with a million jobs when it is new.
func BenchmarkOpen(b *testing.B) {
	dir := os.Getenv("GEOMILL_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	} else if _, err := os.Stat(dir); err != nil {
		s := open(b, Config{Dir: dir})
		var ids []string
		if err := s.BulkLoad(b.Context(), manyJobs(1_000_000, &ids)); err != nil {
			b.Fatal(err)
		}
		memory(b, "loaded")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		s, err := Open(Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		memory(b, "opened")
		read := 0
		for c := (job.Cursor{}); read < 200_000; {
			p, err := s.List(b.Context(), job.Filter{}, c, 1000)
			if err != nil {
				b.Fatal(err)
			}
			if read += len(p.Jobs); !p.Older {
				break
			}
			c.After = p.Jobs[len(p.Jobs)-1].ID
		}
		memory(b, fmt.Sprintf("after reading %d", read))
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func memory(b *testing.B, when string) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	var total, anon int
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d", &total)
		_, _ = fmt.Sscanf(line, "RssAnon: %d", &anon)
	}
	b.Logf("%s: %d MiB resident, %d anon", when, total>>10, anon>>10)
}
