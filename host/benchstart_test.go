package host_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"geomill/sdk/ogc"
)

// BenchmarkSubmitToStart is the time from sending a request for an async job to
// the start of the job, on a host that has nothing else to do.
func BenchmarkSubmitToStart(b *testing.B) {
	host := startHost(b, b.TempDir(), []string{"hello-world"})
	c := newWeb(b, "http://"+host.addr)
	submit := func() time.Duration {
		sent := time.Now()
		path := c.submit(b, "hello-world", `{"name":"World"}`)
		c.await(b, path, "successful")
		var s ogc.StatusInfo
		if err := json.Unmarshal(c.must(b, 200, "GET", path, "").body, &s); err != nil {
			b.Fatal(err)
		}
		return s.Started.Sub(sent)
	}
	submit() // the instance starts
	times := make([]time.Duration, 200)
	for i := range times {
		times[i] = submit()
	}
	slices.Sort(times)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(times[len(times)/2])/1e3, "p50-µs")
	b.ReportMetric(float64(times[len(times)*95/100])/1e3, "p95-µs")
}
