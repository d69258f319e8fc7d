package host_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const large = 100 << 20 // bytes of the text that BenchmarkLarge sends

// BenchmarkLarge sends a JSON string of 100 MB inline to echo, alone and 16 at
// a time, without asking for it back and asking for it; it reports the time and
// by how much the host's memory grew at its highest.
func BenchmarkLarge(b *testing.B) {
	host := startHost(b, b.TempDir(), []string{"echo"})
	for _, c := range []struct {
		name    string
		clients int
		outputs string
	}{
		{"in", 1, `{"count":{}}`}, {"in-and-out", 1, `{"text":{}}`}, {"in-16-at-once", 16, `{"count":{}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			url := "http://" + host.addr + "/processes/echo/execution"
			if err := sendLarge(url, 1, `{"count":{}}`); err != nil { // a large body before the count: allocators settle
				b.Fatal(err)
			}
			var took, grew []float64
			for range 3 {
				host.resetPeak(b)
				before, _ := host.rss(b)
				begin := time.Now()
				if err := largeFrom(url, c.clients, c.outputs); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begin).Seconds())
				_, peak := host.rss(b)
				grew = append(grew, peak-before)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(took), "s")
			b.ReportMetric(median(grew), "MiB-grown")
		})
	}
}

func largeFrom(url string, clients int, outputs string) error {
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { errs[i] = sendLarge(url, large, outputs) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// sendLarge posts a text of n bytes to echo, and checks how much comes back.
func sendLarge(url string, n int64, outputs string) error {
	body := io.MultiReader(strings.NewReader(`{"outputs":`+outputs+`,"inputs":{"text":"`), io.LimitReader(letters{}, n), strings.NewReader(`"}}`))
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := httpClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.Copy(io.Discard, res.Body)
	if want := n + 2; err == nil && (res.StatusCode != http.StatusOK || strings.Contains(outputs, "text") && got != want) {
		err = fmt.Errorf("status %d, %d bytes", res.StatusCode, got)
	}
	return err
}

// letters is an endless text.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a' + byte(i%26)
	}
	return len(p), nil
}

// BenchmarkColdStart is the time from starting the host to the first answer of
// a process, with 20 plugins in the directory against one: at the first start
// ever, and at a later one, when the plugins are known. The process is the last
// by name.
func BenchmarkColdStart(b *testing.B) {
	bin := numbered(b, 20)
	starts := map[string][]float64{}
	for range rounds {
		for _, n := range []int{1, 20} {
			dir := b.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "plugins"), 0o755); err != nil {
				b.Fatal(err)
			}
			for i := range n {
				name := fmt.Sprintf("numbered-%02d", i)
				if err := os.Link(filepath.Join(bin, name), filepath.Join(dir, "plugins", name)); err != nil {
					b.Fatal(err)
				}
			}
			for _, which := range []string{"first", "again"} {
				key := fmt.Sprint(which, n)
				starts[key] = append(starts[key], answers(b, dir, fmt.Sprintf("numbered-%02d", n-1)).Seconds()*1e3)
			}
		}
	}
	for _, which := range []string{"first", "again"} {
		b.Run(which, func(b *testing.B) {
			one, many := median(starts[which+"1"]), median(starts[which+"20"])
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(one, "ms@1")
			b.ReportMetric(many, "ms@20")
			b.ReportMetric(many/one, "x@20")
		})
	}
}

// answers starts a host, stops it again, and returns how long it took to the
// first answer of the process.
func answers(b *testing.B, dir, process string) time.Duration {
	b.Helper()
	begin := time.Now()
	h := startHost(b, dir, nil)
	c, err := dial(h.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.conn.Close()
	if err := c.do(post("/processes/"+process+"/execution", greeting)); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begin)
	if err := c.do(get("/processes")); err != nil { // once all are known, for the next start
		b.Fatal(err)
	}
	h.stop()
	return took
}

// numbered builds n plugins that differ in the id of their process.
func numbered(b *testing.B, n int) string {
	b.Helper()
	dir := b.TempDir()
	for i := range n {
		name := fmt.Sprintf("numbered-%02d", i)
		cmd := exec.Command("go", "build", "-ldflags", "-X main.id="+name, "-o", filepath.Join(dir, name), "./testdata/numbered")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("build: %v\n%s", err, out)
		}
	}
	return dir
}

// BenchmarkIdle is the memory of a host with the bundled plugins that has
// answered and waits.
func BenchmarkIdle(b *testing.B) {
	host := startHost(b, b.TempDir(), []string{"hello-world", "echo", "sleep", "buffer", "overlay"})
	if _, err := drive(host.addr, 1, window, post("/processes/hello-world/execution", greeting)); err != nil {
		b.Fatal(err)
	}
	now, _ := host.rss(b)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(now, "MiB")
}
