package wire_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"geomill/proto/processv1"
	"geomill/sdk/wire"
)

var benchInput = json.RawMessage(`{"name":"World","padding":"padding padding padding padding"}`)

// callers are the numbers of goroutines that call at once.
var callers = []int{1, 16, 64}

// BenchmarkSession measures one small job through the session, host and
// plugin being two operating-system processes, as in BenchmarkUnary.
func BenchmarkSession(b *testing.B) {
	conn, pid := child(b)
	session := open(b, conn)
	inputs := wire.ValuesOf(map[string]wire.Value{"in": {JSON: benchInput}})
	bench(b, pid, func(ctx context.Context, id string) error {
		out, err := session.Run(ctx, wire.Start{JobID: id, ProcessID: "echo", Attempt: 1, Inputs: inputs}, 0, discard{})
		if err == nil && len(out) != 1 {
			err = fmt.Errorf("%d outputs", len(out))
		}
		return err
	})
}

// BenchmarkUnary measures one small job by a unary call each.
func BenchmarkUnary(b *testing.B) {
	conn, pid := child(b)
	bench(b, pid, func(ctx context.Context, id string) error {
		start := &processv1.Start{ProcessId: "echo", Attempt: 1, Inputs: []*processv1.Value{
			{Id: "in", Kind: &processv1.Value_Json{Json: benchInput}},
		}}
		out := new(processv1.PluginMessage)
		err := conn.Invoke(ctx, "/unary/Run", &processv1.HostMessage{JobId: id, Kind: &processv1.HostMessage_Start{Start: start}}, out)
		if err == nil && !json.Valid(out.GetSucceeded().GetOutputs()[0].GetJson()) {
			err = fmt.Errorf("not JSON")
		}
		return err
	})
}

func bench(b *testing.B, pid int, call func(ctx context.Context, id string) error) {
	for _, n := range callers {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			before := cpuTime(b, pid)
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					for k := left.Add(-1); k >= 0; k = left.Add(-1) {
						if err := call(ctx, "0197f3c2-7a5e-7b1c-9d2e-"+strconv.FormatInt(k, 10)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64((cpuTime(b, pid)-before).Microseconds())/float64(b.N), "cpu-us/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// cpuTime returns what this process and pid have used.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	return time.Duration(own.Utime.Nano()+own.Stime.Nano()) + time.Duration(user+system)*tick
}
