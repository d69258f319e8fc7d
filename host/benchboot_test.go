package host_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkBootWith100Plugins is the time from starting the host until it lists
// its processes, with 100 plugins that it knows, against none. The plugins are
// scripts, which does not matter: what is known is neither read nor started.
func BenchmarkBootWith100Plugins(b *testing.B) {
	none, many := b.TempDir(), b.TempDir()
	bin := filepath.Join(b.TempDir(), "numbered")
	if out, err := exec.Command("go", "build", "-o", bin, "./testdata/numbered").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(many, "plugins"), 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		name := fmt.Sprintf("numbered-%02d", i)
		text := fmt.Sprintf("#!/bin/sh\nNUMBERED=%s exec %s\n", name, bin)
		if err := os.WriteFile(filepath.Join(many, "plugins", name), []byte(text), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	config := filepath.Join(many, "geomill.yaml") // the sandbox keeps scripts from what is not theirs
	if err := os.WriteFile(config, []byte(`plugin-config: {"*": {read: [`+filepath.Dir(bin)+"]}}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	first := boot(b, many, "--config", config)
	var with, without, ratios []float64
	for range rounds {
		n, m := boot(b, none), boot(b, many, "--config", config)
		without, with, ratios = append(without, n.Seconds()*1e3), append(with, m.Seconds()*1e3), append(ratios, m.Seconds()/n.Seconds())
	}
	h := startHost(b, many, nil, "--config", config)
	list := string(newWeb(b, "http://"+h.addr).must(b, 200, "GET", "/processes?limit=1000", "").body)
	h.stop()
	if n := strings.Count(list, `"id":"numbered-`); n != 100 {
		b.Fatalf("%d processes are listed", n)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(first.Seconds()*1e3, "ms-first")
	b.ReportMetric(median(without), "ms@0")
	b.ReportMetric(median(with), "ms@100")
	b.ReportMetric(median(ratios), "x@100")
}

// boot starts a host, stops it again, and returns how long it took until it
// knew all of its processes.
func boot(b *testing.B, dir string, args ...string) time.Duration {
	b.Helper()
	begin := time.Now()
	h := startHost(b, dir, nil, args...)
	c, err := dial(h.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.conn.Close()
	if err := c.do(get("/processes")); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begin)
	h.stop()
	return took
}
