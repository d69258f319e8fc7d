package plugin

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// median returns the middle one of some times.
func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// settled waits until nothing starts or ends in the plugin.
func (b *bench) settled(spares int) {
	eventually(b.t, "spares", func() bool {
		s := b.status("chaos")
		return len(s.Instances) == 1+spares && len(b.ready()) == 1+spares
	})
}

// BenchmarkSpares is one small job of one client at a time, in turns in a shared
// instance and in a spare. Between jobs there is time for the next spare.
func BenchmarkSpares(b *testing.B) {
	bench := optedHost(b, Options{Warm: 1}, func(c *Config) {
		c.Policy = func(id string, p job.Policy) job.Policy {
			if p.Isolation = job.PerJob; id == "echo" {
				p.Isolation = job.Shared
			}
			return p
		}
	})
	took := map[string][]time.Duration{}
	for b.Loop() {
		for _, id := range []string{"echo", "once"} {
			bench.settled(1)
			begun := time.Now()
			if _, err := bench.run(b.Context(), id); err != nil {
				b.Fatal(err)
			}
			took[id] = append(took[id], time.Since(begun))
		}
	}
	shared, spare := median(took["echo"]), median(took["once"])
	b.ReportMetric(float64(shared.Microseconds()), "shared-us")
	b.ReportMetric(float64(spare.Microseconds()), "spare-us")
	b.ReportMetric(float64(spare)/float64(shared), "ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkWedged is from the verdict that an instance is wedged to its end,
// with its stacks in the log, and for one that keeps them to itself.
func BenchmarkWedged(b *testing.B) {
	for _, name := range []string{"chaos", "taciturn"} {
		b.Run(name, func(b *testing.B) {
			cfg := quick(b)
			install(b, cfg.Dir, name, "")
			bench := serve(b, cfg)
			var took []time.Duration
			for b.Loop() {
				a, err := bench.run(b.Context(), "echo")
				if err != nil {
					b.Fatal(err)
				}
				ended := bench.status(name).Counters.Ends["wedged"]
				if err := syscall.Kill(a.PID, syscall.SIGSTOP); err != nil {
					b.Fatal(err)
				}
				eventually(b, "the end", func() bool { return bench.status(name).Counters.Ends["wedged"] > ended })
				h := bench.status(name).History
				i := slices.IndexFunc(h, func(t Transition) bool { return t.To == StateWedged && t.PID == a.PID })
				j := slices.IndexFunc(h, func(t Transition) bool { return t.To == StateGone && t.PID == a.PID })
				took = append(took, h[j].Time.Sub(h[i].Time))
				if err := bench.host.Reset(name); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(median(took).Milliseconds()), "gone-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkCrash is from the death of an instance to the failure of its job.
func BenchmarkCrash(b *testing.B) {
	bench := optedHost(b, Options{})
	var took []time.Duration
	for b.Loop() {
		a, err := bench.run(b.Context(), "echo")
		if err != nil {
			b.Fatal(err)
		}
		failed, _ := bench.background("wait")
		died := time.Now()
		if err := syscall.Kill(a.PID, syscall.SIGKILL); err != nil {
			b.Fatal(err)
		}
		if err := <-failed; err == nil {
			b.Fatal("the job went on")
		}
		took = append(took, time.Since(died))
	}
	b.ReportMetric(float64(median(took).Microseconds())/1000, "seen-ms")
	b.ReportMetric(0, "ns/op")
}
