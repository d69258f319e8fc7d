package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkEvents is a job that reports its progress ten times a second, with a
// thousand listeners and with none. cores is what the listeners cost the server,
// as processors in use; lost counts, over all listeners, the reports of the process
// that were not told to them: of several that wait together the newest is told.
// BenchmarkIdleListeners is what a listener takes of the server's memory.

const (
	eventSeconds = 10
	eventRate    = 10 // a second
)

func BenchmarkEvents(b *testing.B) {
	const crowd = 1000
	host := startHost(b, b.TempDir(), []string{"sleep"})
	measure(b, host, 0, 1) // to warm up
	var cost []float64
	lost := 0
	for range b.N {
		none, _ := measure(b, host, 0, eventSeconds)
		many, missing := measure(b, host, crowd, eventSeconds)
		cost = append(cost, many-none)
		lost += missing
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(cost), "cores")
	b.ReportMetric(float64(lost), "lost")
}

// measure runs a job with listeners and returns how many processors the server
// had in use meanwhile, and how many reports the listeners missed.
func measure(b *testing.B, host *process, listeners, seconds int) (cores float64, missing int) {
	b.Helper()
	steps := seconds * eventRate
	path := submitSleep(b, host.addr, fmt.Sprintf(`{"inputs":{"seconds":%d,"steps":%d}}`, seconds, steps))
	conns := make([]net.Conn, listeners)
	first := make([]int, listeners) // of the steps
	for i := range conns {
		conns[i] = idle(b, host.addr, path)
	}
	counts := make([]int, listeners)
	start, before := time.Now(), host.cpu(b)
	var readers sync.WaitGroup
	for i, conn := range conns {
		readers.Go(func() { first[i], counts[i] = countProgress(conn) })
	}
	for status := ""; status != "successful"; time.Sleep(200 * time.Millisecond) {
		r, err := httpClient.Get("http://" + host.addr + path)
		if err != nil {
			b.Fatal(err)
		}
		var s struct{ Status string }
		err = json.NewDecoder(r.Body).Decode(&s)
		_ = r.Body.Close()
		if status = s.Status; err != nil || status == "failed" {
			b.Fatal(status, err)
		}
	}
	readers.Wait()
	cores = (host.cpu(b) - before).Seconds() / time.Since(start).Seconds()
	for i, n := range counts {
		missing += steps - (n + max(first[i]-1, 0))
	}
	return cores, missing
}

// countProgress reads a stream to its end and counts the reports; first is the
// step of the first one.
func countProgress(conn net.Conn) (first, n int) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	var left []byte
	buffer := make([]byte, 4096)
	for {
		k, err := conn.Read(buffer)
		left = append(left, buffer[:k]...)
		for {
			i := bytes.Index(left, []byte(`"message":"step `))
			end := bytes.Index(left[max(i, 0):], []byte("\n\n"))
			if i < 0 || end < 0 {
				break
			}
			if n++; first == 0 {
				text, _, _ := strings.Cut(string(left[i+len(`"message":"step `):]), " ")
				first, _ = strconv.Atoi(text)
			}
			left = left[i+end:]
		}
		if len(left) > 8192 {
			left = append(left[:0], left[len(left)-512:]...)
		}
		if err != nil || bytes.HasSuffix(left, []byte("\r\n0\r\n\r\n")) {
			return first, n
		}
	}
}

func submitSleep(b *testing.B, addr, body string) string {
	b.Helper()
	req, err := http.NewRequest("POST", "http://"+addr+"/processes/sleep/execution", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "respond-async")
	r, err := httpClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	return reply{Response: r}.job()
}

// cpu returns the processor time that the process has used.
func (p *process) cpu(b *testing.B) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100
}

// BenchmarkIdleListeners opens streams of a job that does nothing.
func BenchmarkIdleListeners(b *testing.B) {
	const crowd = 2000
	host := startHost(b, b.TempDir(), []string{"sleep"})
	path := submitSleep(b, host.addr, `{"inputs":{"seconds":3600,"steps":1}}`)
	for range 100 {
		_ = idle(b, host.addr, path).Close()
	}
	for range b.N {
		before, _ := host.rss(b)
		conns := make([]net.Conn, crowd)
		for i := range conns {
			conns[i] = idle(b, host.addr, path)
		}
		after, _ := host.rss(b)
		b.ReportMetric((after-before)*1024/crowd, "KiB/listener")
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
	b.ReportMetric(0, "ns/op")
}
