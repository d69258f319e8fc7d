package jobtest

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"geomill/host/internal/job"
)

// QueueModel checks by random use that a queue gives out, each time, the ticket
// whose turn it is.
func QueueModel(t *testing.T, open OpenQueue) {
	rapid.Check(t, func(r *rapid.T) {
		m := &queueModel{t: t, queue: open(t, 1<<20, longLease), turns: map[share]int{}, missed: map[job.Priority]int{}}
		r.Repeat(map[string]func(*rapid.T){
			"enqueue": m.enqueue,
			"claim":   m.claim,
			"end":     m.end,
			"cancel":  m.cancel,
			"":        m.check,
		})
	})
}

// queueModel is what the rules say of a queue.
type queueModel struct {
	t       *testing.T
	queue   job.Queue
	made    int
	waiting []job.Ticket // oldest first
	leases  []job.Lease
	turns   map[share]int
	turn    int
	missed  map[job.Priority]int // claims that passed over what had a ticket to claim
}

// modelRoom gives processes a, b and c room for so many, and d for any number.
func modelRoom(process string) int { return map[string]int{"a": 1, "b": 2, "c": 3}[process] }

// longestMiss is more claims than a priority waits for its share.
const longestMiss = 25

func shareOf(t job.Ticket) share { return share{t.Priority, t.Caller} }

func (m *queueModel) add(t job.Ticket) {
	if !slices.ContainsFunc(m.waiting, func(w job.Ticket) bool { return shareOf(w) == shareOf(t) }) {
		m.turn++
		m.turns[shareOf(t)] = m.turn
	}
	m.waiting = append(m.waiting, t)
}

func (m *queueModel) enqueue(r *rapid.T) {
	for range rapid.IntRange(1, 20).Draw(r, "tickets") {
		m.made++
		t := job.Ticket{
			JobID:     fmt.Sprint(m.made),
			ProcessID: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(r, "process"),
			Caller:    rapid.SampledFrom([]string{"", "anna", "bert", "cleo"}).Draw(r, "caller"),
			Priority:  rapid.SampledFrom(job.Priorities()).Draw(r, "priority"),
		}
		if err := m.queue.Enqueue(within(m.t), t); err != nil {
			r.Fatalf("Enqueue: %v", err)
		}
		m.add(t)
	}
}

// open returns the tickets whose process has room.
func (m *queueModel) open() (list []job.Ticket) {
	leased := map[string]int{}
	for _, l := range m.leases {
		leased[l.Ticket().ProcessID]++
	}
	for _, t := range m.waiting {
		if n := modelRoom(t.ProcessID); n == 0 || leased[t.ProcessID] < n {
			list = append(list, t)
		}
	}
	return list
}

func (m *queueModel) claim(r *rapid.T) {
	list := m.open()
	if len(list) == 0 {
		r.Skip("a claim would wait")
	}
	leases, err := m.queue.Claim(within(m.t), 1, modelRoom)
	if err != nil || len(leases) != 1 {
		r.Fatalf("Claim: %d leases, %v", len(leases), err)
	}
	got := leases[0].Ticket()
	want := -1
	for k, t := range list {
		if t.Priority == got.Priority && (want < 0 || m.turns[shareOf(t)] < m.turns[shareOf(list[want])]) {
			want = k
		}
	}
	if want < 0 || list[want] != got {
		r.Fatalf("claimed %+v of %+v, turns %v", got, list, m.turns)
	}
	for _, p := range job.Priorities() {
		switch {
		case p == got.Priority, !slices.ContainsFunc(list, func(t job.Ticket) bool { return t.Priority == p }):
			m.missed[p] = 0
		default:
			if m.missed[p]++; m.missed[p] > longestMiss {
				r.Fatalf("%d claims passed over priority %s", m.missed[p], p)
			}
		}
	}
	m.turn++
	m.turns[shareOf(got)] = m.turn
	m.waiting = slices.DeleteFunc(m.waiting, func(t job.Ticket) bool { return t.JobID == got.JobID })
	m.leases = append(m.leases, leases[0])
}

func (m *queueModel) end(r *rapid.T) {
	if len(m.leases) == 0 {
		r.Skip("nothing is leased")
	}
	k := rapid.IntRange(0, len(m.leases)-1).Draw(r, "lease")
	l := m.leases[k]
	m.leases = slices.Delete(m.leases, k, k+1)
	var err error
	if rapid.Bool().Draw(r, "release") {
		err = l.Release(within(m.t), 0)
		m.add(l.Ticket())
	} else {
		err = l.Done(within(m.t))
	}
	if err != nil {
		r.Fatalf("end of a lease: %v", err)
	}
}

func (m *queueModel) cancel(r *rapid.T) {
	if len(m.waiting) == 0 {
		r.Skip("nothing waits")
	}
	k := rapid.IntRange(0, len(m.waiting)-1).Draw(r, "ticket")
	if removed, err := m.queue.Cancel(within(m.t), m.waiting[k].JobID); err != nil || !removed {
		r.Fatalf("Cancel: %v, %v", removed, err)
	}
	m.waiting = slices.Delete(m.waiting, k, k+1)
}

// check asks what costs nothing to ask.
func (m *queueModel) check(r *rapid.T) {
	annas := 0
	for _, t := range m.waiting {
		if t.Caller == "anna" {
			annas++
		}
	}
	if all, of, err := m.queue.Depth(within(m.t), "anna"); err != nil || all != len(m.waiting) || of != annas {
		r.Fatalf("Depth = %d, %d, %v; want %d, %d", all, of, err, len(m.waiting), annas)
	}
	if len(m.waiting) == 0 {
		return
	}
	t := m.waiting[len(m.waiting)/2]
	if p, err := m.queue.Standing(within(m.t), t.JobID); err != nil || p.Position < 1 || p.Position > p.Of || p.Of != len(m.waiting) {
		r.Fatalf("Standing(%s) = %+v, %v of %d", t.JobID, p, err, len(m.waiting))
	}
}
