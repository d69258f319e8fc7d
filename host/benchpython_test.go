package host_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startPython runs the built server with hello-world and the Python plugin of
// these benchmarks, and a configuration.
func startPython(b *testing.B, config string) *process {
	b.Helper()
	python := os.Getenv("GEOMILL_TEST_PYTHON")
	if python == "" {
		b.Skip("NOT MEASURED: GEOMILL_TEST_PYTHON names no python3 with the SDK")
	}
	dir := b.TempDir()
	text, err := os.ReadFile("testdata/python/bulk")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "plugins"), 0o755),
		os.WriteFile(filepath.Join(dir, "plugins", "bulk"), append([]byte("#!"+python+"\n"), rest...), 0o755),
		os.WriteFile(filepath.Join(dir, "geomill.yaml"), []byte(config), 0o600)); err != nil {
		b.Fatal(err)
	}
	return startHost(b, dir, []string{"hello-world"}, "--config", filepath.Join(dir, "geomill.yaml"))
}

// BenchmarkPythonCall is a small call to a Python plugin against the same to a
// Go one, on one host: x-Go is the median of the ratios of the median times.
func BenchmarkPythonCall(b *testing.B) {
	host := startPython(b, "listen: 127.0.0.1:0\n")
	goes := post("/processes/hello-world/execution", greeting)
	for _, c := range []struct {
		process string
		clients int
	}{{"shared-greet", 1}, {"own-greet", 1}, {"shared-greet", 16}} {
		b.Run(fmt.Sprintf("%s/clients=%d", c.process, c.clients), func(b *testing.B) {
			var ratios, python []float64
			for i := range rounds + 1 {
				one, err := drive(host.addr, c.clients, window, post("/processes/"+c.process+"/execution", greeting))
				if err != nil {
					b.Fatal(err)
				}
				two, err := drive(host.addr, c.clients, window, goes)
				if err != nil {
					b.Fatal(err)
				}
				if i > 0 { // the first warms up
					ratios = append(ratios, float64(one.p50)/float64(two.p50))
					python = append(python, float64(one.p50)/1e3)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(python), "p50-µs")
			b.ReportMetric(median(ratios), "x-Go")
		})
	}
}

// BenchmarkPythonFirstCall is the first call to an exclusive Python process, with
// an instance kept warm and without, against a later call.
func BenchmarkPythonFirstCall(b *testing.B) {
	for name, config := range map[string]string{"cold": "plugin-config: {bulk: {warm: 0}}\n", "warm": "plugin-config: {bulk: {warm: 1}}\n"} {
		b.Run(name, func(b *testing.B) {
			var firsts, laters []float64
			for range rounds {
				host := startPython(b, config)
				c, err := dial(host.addr)
				if err != nil {
					b.Fatal(err)
				}
				time.Sleep(3 * time.Second) // an operator's server has started long ago
				for _, times := range []*[]float64{&firsts, &laters} {
					begin := time.Now()
					if err := c.do(post("/processes/own-greet/execution", greeting)); err != nil {
						b.Fatal(err)
					}
					*times = append(*times, time.Since(begin).Seconds()*1e3)
				}
				c.conn.Close()
				host.stop()
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(firsts), "first-ms")
			b.ReportMetric(median(laters), "later-ms")
		})
	}
}

const bulk = 500 << 20 // bytes that go through a Python plugin

// BenchmarkPythonBulk sends 500 MB through a Python plugin each way, by
// reference and inline, and reports by how much the host and the plugin grew.
func BenchmarkPythonBulk(b *testing.B) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(bulk))
		if _, err := io.Copy(w, io.LimitReader(letters{}, bulk)); err != nil {
			b.Error(err)
		}
	}))
	defer far.Close()
	host := startPython(b, "reference-private: true\nmax-body: 1073741824\nreference-max-bytes: 1073741824\n")
	url := "http://" + host.addr + "/processes/"
	inline := base64.StdEncoding.EncodedLen(bulk)
	if _, err := sendBulk(url+"pour/execution", strings.NewReader(`{"inputs":{"size":1}}`)); err != nil { // an instance starts
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, process string
		body          func() io.Reader
		answer        int64 // bytes; less than 1 KiB: the count of the input
	}{
		{"in-by-reference", "weigh", func() io.Reader { return strings.NewReader(`{"inputs":{"file":{"href":"` + far.URL + `"}}}`) }, 0},
		{"in-inline", "weigh", func() io.Reader {
			return io.MultiReader(strings.NewReader(`{"inputs":{"file":"`), io.LimitReader(alphabet{}, int64(inline)-1), strings.NewReader(`="}}`))
		}, 0},
		{"out", "pour", func() io.Reader { return strings.NewReader(fmt.Sprintf(`{"inputs":{"size":%d}}`, bulk)) }, bulk},
	} {
		b.Run(c.name, func(b *testing.B) {
			small := host.pluginPeak(b, "python")
			host.resetPeak(b)
			before, _ := host.rss(b)
			begin := time.Now()
			got, err := sendBulk(url+c.process+"/execution", c.body())
			if err != nil {
				b.Fatal(err)
			}
			if c.answer > 0 && got.size != c.answer || c.answer == 0 && string(got.head) != strconv.Itoa(bulk) {
				b.Fatalf("answer of %d bytes: %.100s", got.size, got.head)
			}
			took := time.Since(begin)
			_, peak := host.rss(b)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took.Seconds(), "s")
			b.ReportMetric(peak-before, "host-MiB-grown")
			b.ReportMetric(host.pluginPeak(b, "python")-small, "plugin-MiB-grown")
			b.ReportMetric(small, "plugin-MiB")
		})
	}
}

// pluginPeak returns the largest resident memory that an process of a plugin
// with name in its command line has had, in MiB; 0 if none runs.
func (p *process) pluginPeak(b *testing.B, name string) (most float64) {
	b.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for pid := range strings.FieldsSeq(string(text)) {
			line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			status, _ := os.ReadFile("/proc/" + pid + "/status")
			if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok && bytes.Contains(line, []byte(name)) {
				kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				if err != nil {
					b.Fatal(err)
				}
				most = max(most, kib/1024)
			}
		}
	}
	return most
}

// arrival is how much came back, and how it begins.
type arrival struct {
	size int64
	head []byte
}

func sendBulk(url string, body io.Reader) (arrival, error) {
	res, err := httpClient.Post(url, "application/json", body)
	if err != nil {
		return arrival{}, err
	}
	defer res.Body.Close()
	var head bytes.Buffer
	n, err := io.CopyN(&head, res.Body, 1024)
	if err == nil {
		var rest int64
		rest, err = io.Copy(io.Discard, res.Body)
		n += rest
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, head.Bytes())
	}
	return arrival{n, head.Bytes()}, err
}

// alphabet is an endless text of base64.
type alphabet struct{}

func (alphabet) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), nil
}
