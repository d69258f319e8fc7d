package plugin

import (
	"bufio"
	"crypto/rand"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"geomill/host/internal/plugin/sandbox"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// BenchmarkStartRatio compares, in turns, the start of an instance of hello-world
// (from exec to a configured plugin), with and without its sandbox, to that of a program that
// serves gRPC and nothing else (from exec to the answer to its first call).
func BenchmarkStartRatio(b *testing.B) {
	build := func(to, what string) {
		if out, err := exec.Command("go", "build", "-o", to, what).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	raw := filepath.Join(scratch, "raw")
	build(raw, "./testdata/raw")
	l, exe := launchFrom(b, func(dir string) { build(dir+"/hello-world", "geomill/plugins/hello-world") })
	instance := func(mode sandbox.Mode) func() func() {
		return func() func() {
			conn, err := l.start(b.Context(), exe, Options{Sandbox: mode})
			if err != nil {
				b.Fatal(err)
			}
			return conn.kill
		}
	}
	kinds := []struct {
		name  string
		start func() (end func())
		took  []time.Duration
	}{
		{"raw", func() func() { return startRaw(b, raw) }, nil},
		{"off", instance(sandbox.Off), nil},
		{"on", instance(sandbox.On), nil},
	}
	syscall.Sync() // the disk is still busy with what was built
	for b.Loop() {
		for i := range kinds {
			k := &kinds[i]
			begun := time.Now()
			end := k.start()
			k.took = append(k.took, time.Since(begun))
			end()
		}
	}
	median := func(i int) float64 {
		slices.Sort(kinds[i].took)
		return float64(kinds[i].took[len(kinds[i].took)/2])
	}
	b.ReportMetric(0, "ns/op")
	for i, k := range kinds {
		b.ReportMetric(median(i)/1e6, k.name+"-ms")
		if i > 0 {
			b.ReportMetric(median(i)/median(0), k.name+"/raw")
		}
	}
}

func startRaw(b *testing.B, program string) (end func()) {
	b.Helper()
	address := filepath.Join(scratch, rand.Text())
	cmd := exec.Command(program, address)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = bufio.NewReader(out).ReadString('\n')
	}
	if err != nil {
		b.Fatal(err)
	}
	conn, err := grpc.NewClient("unix://"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err == nil {
		_, err = grpc_health_v1.NewHealthClient(conn).Check(b.Context(), &grpc_health_v1.HealthCheckRequest{})
	}
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		_ = conn.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
