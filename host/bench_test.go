package host_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The benchmarks of this package start the built server and drive it over
// loopback. A figure that needs a yardstick is a ratio: both sides run in turns,
// for windows of the same length, and the median of the pairs is reported.

const (
	window = time.Second
	rounds = 5
)

// buildDir holds the binaries; TestMain removes it.
var buildDir = filepath.Join(os.TempDir(), fmt.Sprintf("geomill-bench-%d", os.Getpid()))

var buildOnce = sync.OnceValues(func() (dir string, err error) {
	dir = buildDir
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"build", "-o", filepath.Join(dir, "geomill"), "geomill/host/cmd/geomill"},
		{"build", "-o", filepath.Join(dir, "plugins") + "/", "geomill/plugins/..."},
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return dir, nil
})

func built(b testing.TB) string {
	b.Helper()
	dir, err := buildOnce()
	if err != nil {
		b.Fatal(err)
	}
	return dir
}

// process is a server in an operating-system process of its own.
type process struct {
	cmd  *exec.Cmd
	addr string
	stop func()
}

// startProcess runs cmd until its first line of output, which ends in its
// address.
func startProcess(b testing.TB, cmd *exec.Cmd) *process {
	b.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p := &process{cmd: cmd}
	ended := make(chan struct{})
	p.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		watchdog := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		<-ended
		_ = cmd.Wait()
		watchdog.Stop()
	})
	b.Cleanup(p.stop)
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, lines); close(ended) }()
	if err != nil {
		b.Fatalf("no address: %v\n%s", err, errs.String())
	}
	p.addr = strings.TrimSpace(line[strings.LastIndex(line, "/")+1:])
	return p
}

// startHost runs the built server on a directory of its own with the named
// bundled plugins.
func startHost(b testing.TB, dir string, plugins []string, args ...string) *process {
	b.Helper()
	at := filepath.Join(dir, "plugins")
	if err := os.MkdirAll(at, 0o755); err != nil {
		b.Fatal(err)
	}
	for _, name := range plugins {
		if err := os.Link(filepath.Join(built(b), "plugins", name), filepath.Join(at, name)); err != nil && !errors.Is(err, os.ErrExist) {
			b.Fatal(err)
		}
	}
	return startProcess(b, exec.Command(filepath.Join(built(b), "geomill"), append([]string{"serve",
		"--listen", "127.0.0.1:0", "--plugins", at, "--data", filepath.Join(dir, "data"), "--log-level", "warn"}, args...)...))
}

// rss returns the resident memory of the process, and its peak, in MiB.
func (p *process) rss(b testing.TB) (now, peak float64) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	read := func(key string) float64 {
		_, rest, _ := strings.Cut(string(text), key+":")
		n, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			b.Fatal(err)
		}
		return float64(n) / 1024
	}
	return read("VmRSS"), read("VmHWM")
}

// resetPeak makes rss's peak count anew.
func (p *process) resetPeak(b testing.TB) {
	b.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// call is a request that is sent as it stands, and the status that it must get.
type call struct {
	text   string
	status string
}

func post(path, body string, header ...string) call {
	return call{fmt.Sprintf("POST %s HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		path, strings.Join(header, ""), len(body), body), "200"}
}

func get(path string) call {
	return call{fmt.Sprintf("GET %s HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n", path), "200"}
}

// client is one connection that does as little as it can: on two processors
// it competes with the server that is measured.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReaderSize(conn, 64<<10)}, nil
}

func (c *client) do(k call) error {
	if _, err := io.WriteString(c.conn, k.text); err != nil {
		return err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if got := string(line[9:12]); got != k.status {
		return fmt.Errorf("status %s", line)
	}
	length := 0
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(": ")); textproto.CanonicalMIMEHeaderKey(string(name)) == "Content-Length" {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	_, err = c.r.Discard(length)
	return err
}

// load is what clients saw of a server within a window.
type load struct {
	perSecond float64
	p50, p99  time.Duration
}

// drive sends k from n clients for d.
func drive(addr string, n int, d time.Duration, k call) (load, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	times := make([][]time.Duration, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range n {
		wg.Go(func() {
			c, err := dial(addr)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.conn.Close()
			for ctx.Err() == nil {
				start := time.Now()
				if errs[i] = c.do(k); errs[i] != nil {
					return
				}
				times[i] = append(times[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	all := slices.Concat(times...)
	if err := errors.Join(errs...); err != nil || len(all) == 0 {
		return load{}, fmt.Errorf("%d answers: %w", len(all), err)
	}
	slices.Sort(all)
	return load{float64(len(all)) / took.Seconds(), all[len(all)/2], all[len(all)*99/100]}, nil
}

// compare drives two servers in turns and reports the first against the second.
func compare(b *testing.B, clients int, addr, yardstick string, k, y call) {
	b.Helper()
	var rates, ratios, tails, p50, p99 []float64
	for i := range rounds + 1 {
		one, err := drive(addr, clients, window, k)
		if err != nil {
			b.Fatal(err)
		}
		two, err := drive(yardstick, clients, window, y)
		if err != nil {
			b.Fatal(err)
		}
		if i == 0 {
			continue // to warm up
		}
		rates = append(rates, one.perSecond)
		ratios = append(ratios, one.perSecond/two.perSecond)
		tails = append(tails, float64(one.p99)/float64(two.p99))
		p50 = append(p50, float64(one.p50)/1e3)
		p99 = append(p99, float64(one.p99)/1e3)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(rates), "req/s")
	b.ReportMetric(median(ratios), "x-yardstick")
	b.ReportMetric(median(p50), "p50-µs")
	b.ReportMetric(median(p99), "p99-µs")
	b.ReportMetric(median(tails), "p99-x-yardstick")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

const greeting = `{"inputs":{"name":"World"}}`

// BenchmarkSync is hello-world against a bare httprouter server that answers
// with one unary go-plugin call.
func BenchmarkSync(b *testing.B) {
	host := startHost(b, b.TempDir(), []string{"hello-world"})
	yard := startProcess(b, yardstick(b))
	k := post("/processes/hello-world/execution", greeting)
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) { compare(b, n, host.addr, yard.addr, k, k) })
	}
}

// httpClient is for what is not measured by the request.
var httpClient = &http.Client{Timeout: time.Minute}
