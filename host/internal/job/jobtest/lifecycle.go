package jobtest

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// Lifecycle lets jobs live through random events, on hosts that die, hang and
// follow one another on a store, and holds a job.Service to the status machine.
// Time is made up, so that what happens follows from what is drawn. Of so many
// runs that are drawn one is made: opening some stores takes long.
func Lifecycle(t *testing.T, oneIn int, open OpenStore) {
	rapid.Check(t, func(rt *rapid.T) {
		if rapid.IntRange(1, oneIn).Draw(rt, "one in") > 1 {
			return
		}
		var fault any
		synctest.Test(t, func(t *testing.T) {
			defer func() { fault = recover() }() // how rapid ends a run that failed
			l := &life{
				t: t, store: open(t), dir: t.TempDir(), queue: NewMemoryQueue(1000, time.Minute), records: map[string]*tracked{},
				catalog: machineCatalog{lived(t, "once", 0), lived(t, "again", 2)},
			}
			l.open(rt)
			defer l.end()
			rt.Repeat(map[string]func(*rapid.T){
				"":          l.check,
				"submit":    l.submit,
				"sync":      l.submitSync,
				"succeed":   l.succeed,
				"fail":      l.fail,
				"progress":  l.progress,
				"late":      l.late,
				"dismiss":   l.dismiss,
				"leave":     l.leave,
				"duplicate": l.duplicate,
				"kill":      l.kill,
				"fuse":      l.lightFuse,
				"stop":      l.stop,
				"cut off":   l.cutOff,
				"wait":      l.wait,
			})
			l.finishAll(rt)
		})
		if fault != nil {
			panic(fault)
		}
	})
}

// lived is a process whose jobs may be run again so often.
func lived(t testing.TB, id string, retries int) *job.Process {
	p, err := job.NewProcess(ogc.Process{
		ProcessSummary: ogc.ProcessSummary{ID: id, Version: "1"},
		Outputs:        map[string]ogc.Output{"out": {Schema: json.RawMessage(`{}`)}},
	}, job.Policy{RetryAttempts: retries}, job.Plugin{Name: "p", Version: "1", Hash: "h"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const lifeSlots = 2

// life is what has happened in one run of the test, and what should be.
type life struct {
	t       testing.TB
	store   job.Store
	dir     string
	catalog machineCatalog

	queue   *MemoryQueue
	host    *machine
	past    []*machine     // cut off, but not dead
	calls   sync.WaitGroup // sync requests
	clients []client

	mu       sync.Mutex
	ids      []string // in the order of creation
	records  map[string]*tracked
	attempts []*trial
	wrong    []string // what has been seen that must not be
}

// client waits for the end of a sync request.
type client struct {
	m     *machine
	leave context.CancelFunc
}

// tracked is what is known of a job.
type tracked struct {
	doubled bool    // claimed twice: there may be a ticket left that is due
	job     job.Job // as last written
	known   bool    // its client has its id
	deleted bool
	ran     int // attempts that began and were not turned away
}

// open starts the next host.
func (l *life) open(rt *rapid.T) {
	m := &machine{life: l, turn: make(chan struct{}, 1), ended: make(chan struct{}), extra: make(chan job.Lease)}
	var err error
	if m.Service, err = job.NewService(job.Config{
		Catalog: l.catalog, Store: gatedStore{l.store, m}, Queue: gatedQueue{l.queue, m}, Executor: m,
		Logger: slog.New(slog.DiscardHandler), Dir: l.dir, Slots: lifeSlots, Drain: time.Millisecond,
	}); err != nil {
		rt.Fatal(err)
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	l.host = m
	err = m.Recover(m.ctx)
	running := list0(l.t, l.store, job.Filter{Statuses: []ogc.Status{ogc.Running}}).Jobs
	go func() {
		defer close(m.ended)
		_ = m.Run(m.ctx)
	}()
	synctest.Wait()
	if err != nil || len(running) > 0 {
		rt.Fatalf("Recover: %v; %+v run after it", err, running)
	}
}

// end stops every host.
func (l *life) end() {
	for _, m := range append(l.past, l.host) {
		l.shut(m, true)
	}
	l.calls.Wait()
}

// shut ends a host: at once, or in order.
func (l *life) shut(m *machine, killed bool) {
	if killed {
		m.becomes(func() { m.dead = true })
	}
	for _, a := range l.ongoing() {
		if a.m == m {
			if a.stubborn.Swap(false) || killed {
				close(a.killed)
			}
		}
	}
	for _, c := range l.clients {
		if c.m == m {
			c.leave() // a host that stops ends its requests first
		}
	}
	synctest.Wait()
	m.cancel()
	<-m.ended
	synctest.Wait()
}
