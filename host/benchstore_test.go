package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/google/uuid"

	"geomill/host/internal/job"
	"geomill/host/internal/store"
	"geomill/sdk/ogc"
)

// BenchmarkAccept is the rate at which jobs are accepted, on disk before the
// 201, against one synced Badger transaction per job without a server around
// it. The queue is not emptied meanwhile.
func BenchmarkAccept(b *testing.B) {
	host := startHost(b, b.TempDir(), []string{"sleep"}, "--slots", "1", "--queue-limit", "100000000")
	k := post("/processes/sleep/execution", `{"inputs":{"seconds":86000}}`, "Prefer: respond-async\r\n")
	k.status = "201"
	db, err := badger.Open(badger.DefaultOptions(b.TempDir()).WithSyncWrites(true).WithLogger(nil))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			var rates, ratios []float64
			for i := range rounds + 1 {
				one, err := drive(host.addr, n, window, k)
				if err != nil {
					b.Fatal(err)
				}
				two, err := transactions(db, n, window)
				if err != nil {
					b.Fatal(err)
				}
				if i > 0 {
					rates = append(rates, one.perSecond)
					ratios = append(ratios, one.perSecond/two)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(rates), "jobs/s")
			b.ReportMetric(median(ratios), "x-transaction-per-job")
		})
	}
}

// transactions writes 1 KiB records from n writers for d, one transaction each,
// and returns how many a second are on disk.
func transactions(db *badger.DB, n int, d time.Duration) (float64, error) {
	var done atomic.Int64
	errs := make([]error, n)
	record := make([]byte, 1<<10)
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range n {
		wg.Go(func() {
			for errs[i] == nil && time.Since(begin) < d {
				id := uuid.Must(uuid.NewV7())
				errs[i] = db.Update(func(tx *badger.Txn) error { return tx.Set(id[:], record) })
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(begin).Seconds(), errors.Join(errs...)
}

// BenchmarkStored asks hosts with few and with many stored jobs the same, in
// turns, and compares each with the one that has 100. It also reports the
// memory of the host with the most.
func BenchmarkStored(b *testing.B) {
	sizes := []int{100, 10_000, 1_000_000}
	hosts := make([]*process, len(sizes))
	ids := make([]string, len(sizes))
	for i, n := range sizes {
		dir := b.TempDir()
		ids[i] = fill(b, filepath.Join(dir, "data", "store"), n)
		hosts[i] = startHost(b, dir, []string{"hello-world"})
	}
	for _, c := range []struct {
		name string
		call func(id string) call
	}{
		{"list", func(string) call { return get("/jobs?limit=10") }},
		{"job", func(id string) call { return get("/jobs/" + id) }},
		{"sync", func(string) call { return post("/processes/hello-world/execution", greeting) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			p50 := make([][]float64, len(sizes))
			for r := range rounds + 1 {
				for i, h := range hosts {
					l, err := drive(h.addr, 1, window/2, c.call(ids[i]))
					if err != nil {
						b.Fatal(err)
					}
					if r > 0 {
						p50[i] = append(p50[i], float64(l.p50)/1e3)
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			few := median(p50[0])
			b.ReportMetric(few, "p50-µs@100")
			b.ReportMetric(median(p50[1])/few, "x@10000")
			b.ReportMetric(median(p50[2])/few, "x@1000000")
		})
	}
	b.Run("memory", func(b *testing.B) {
		now, peak := hosts[len(hosts)-1].rss(b)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(now, "MiB")
		b.ReportMetric(peak, "MiB-peak")
	})
}

// BenchmarkAcceptStored is the rate at which 16 clients have jobs accepted by a
// host that has a million already, against one that began with none.
func BenchmarkAcceptStored(b *testing.B) {
	var addr [2]string
	for i, n := range []int{0, 1_000_000} {
		dir := b.TempDir()
		fill(b, filepath.Join(dir, "data", "store"), n)
		addr[i] = startHost(b, dir, []string{"sleep"}, "--slots", "1", "--queue-limit", "100000000").addr
	}
	k := post("/processes/sleep/execution", `{"inputs":{"seconds":86000}}`, "Prefer: respond-async\r\n")
	k.status = "201"
	var rates, ratios []float64
	for i := range rounds + 1 {
		var rate [2]float64
		for h := range addr {
			l, err := drive(addr[h], 16, window, k)
			if err != nil {
				b.Fatal(err)
			}
			rate[h] = l.perSecond
		}
		if i > 0 {
			rates, ratios = append(rates, rate[1]), append(ratios, rate[1]/rate[0])
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(rates), "jobs/s")
	b.ReportMetric(median(ratios), "x-empty")
}

// fill makes a store with n finished jobs and returns the id of one from the
// middle.
func fill(b *testing.B, dir string, n int) (middle string) {
	b.Helper()
	s, err := store.Open(store.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.BulkLoad(context.Background(), finished(n, &middle)); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return middle
}

func finished(n int, middle *string) iter.Seq2[job.Job, job.Order] {
	order := job.Order{Inputs: map[string]job.Value{"name": {JSON: json.RawMessage(`"World"`)}}}
	statuses := []ogc.Status{ogc.Successful, ogc.Successful, ogc.Successful, ogc.Failed, ogc.Dismissed}
	return func(yield func(job.Job, job.Order) bool) {
		for i := range n {
			id := uuid.Must(uuid.NewV7()).String()
			if i == n/2 {
				*middle = id
			}
			now := time.Now()
			j := job.Job{ID: id, ProcessID: "hello-world", Status: statuses[i%len(statuses)], Attempt: 1,
				Plugin: job.Plugin{Name: "hello-world", Version: "1.0.0"}, Created: now, Started: now, Finished: now, Updated: now}
			if j.Status == ogc.Failed {
				j.Exception = &ogc.Exception{Type: "about:blank", Status: 500, Detail: "it failed"}
			}
			if !yield(j, order) {
				return
			}
		}
	}
}
