package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// BenchmarkRetention is the rate at which half of the stored jobs are removed
// while jobs are accepted and looked at, and what that makes of the times of those
// who are served: the medians against those without removal. There are 100,000
// jobs, or a million with GEOMILL_BENCH_MILLION=1.
func BenchmarkRetention(b *testing.B) {
	n := 100_000
	if os.Getenv("GEOMILL_BENCH_MILLION") != "" {
		n = 1_000_000
	}
	dir := b.TempDir()
	middle := fill(b, filepath.Join(dir, "data", "store"), n)
	gone := n/2 + 1
	host := startHost(b, dir, []string{"hello-world"}, "--retain-count", fmt.Sprint(n-gone), "--log-level", "error")
	accept := post("/processes/hello-world/execution", greeting, "Prefer: respond-async\r\n")
	accept.status = "201"
	calls := []call{accept, post("/processes/hello-world/execution", greeting), get("/jobs?limit=10")}
	serve := func() (loads []load) {
		loads = make([]load, len(calls))
		var wg sync.WaitGroup
		for i, k := range calls {
			wg.Go(func() {
				var err error
				if loads[i], err = drive(host.addr, 1, window/2, k); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		return loads
	}
	p50 := func(until func() bool) (medians []float64) {
		all := make([][]float64, len(calls))
		for !until() && !b.Failed() {
			for i, l := range serve() {
				all[i] = append(all[i], float64(l.p50))
			}
		}
		for _, times := range all {
			medians = append(medians, median(times))
		}
		return medians
	}
	start := time.Now()
	var took time.Duration
	during := p50(func() bool {
		r, err := httpClient.Get("http://" + host.addr + "/jobs/" + middle)
		if err != nil {
			b.Fatal(err)
		}
		_ = r.Body.Close()
		took = time.Since(start)
		return r.StatusCode == 410
	})
	windows := 0
	without := p50(func() bool { windows++; return windows > rounds })
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(gone)/took.Seconds(), "jobs/s")
	for i, name := range []string{"accept", "sync", "list"} {
		b.ReportMetric(without[i]/1e3, name+"-p50-µs")
		b.ReportMetric(during[i]/without[i], "x-"+name)
	}
}
