package jobtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// queueRules checks who is next.
func queueRules(t *testing.T, open OpenQueue) {
	for name, test := range map[string]func(*testing.T, OpenQueue){
		"a process has no more leases than it has room":     queueRoom,
		"the end of a lease makes room":                     queueRoomAgain,
		"callers take turns":                                queueTurns,
		"who comes last waits for one round":                queueOneRound,
		"priorities share the claims":                       queuePriorities,
		"what was accepted before is taken when it is full": queueReadmit,
		"depth counts what a caller has":                    queueDepth,
		"place tells how many come before":                  queuePlace,
		"place tells when a ticket is due":                  queuePlaceDelayed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// add enqueues one ticket; what names it is its job, process and caller.
func add(t testing.TB, q job.Queue, id, process, caller string, p job.Priority) {
	t.Helper()
	if err := q.Enqueue(within(t), job.Ticket{JobID: id, ProcessID: process, Caller: caller, Priority: p}); err != nil {
		t.Fatalf("Enqueue(%s): %v", id, err)
	}
}

// next claims one ticket and returns its job.
func next(t testing.TB, q job.Queue, room func(string) int) (string, job.Lease) {
	t.Helper()
	leases, err := q.Claim(within(t), 1, room)
	if err != nil || len(leases) != 1 {
		t.Fatalf("Claim: %d leases, %v", len(leases), err)
	}
	return leases[0].Ticket().JobID, leases[0]
}

func inOrder(t testing.TB, q job.Queue, room func(string) int, ids ...string) {
	t.Helper()
	for _, want := range ids {
		if id, _ := next(t, q, room); id != want {
			t.Fatalf("claimed %s, want %s of %v", id, want, ids)
		}
	}
}

// narrow gives the process "narrow" room for two.
func narrow(process string) int {
	if process == "narrow" {
		return 2
	}
	return 0
}

func queueRoom(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	for n := range 4 {
		add(t, q, fmt.Sprint("n", n), "narrow", "", job.High)
	}
	add(t, q, "a", "wide", "", job.Low)
	add(t, q, "b", "wide", "", job.Low)
	leases, err := q.Claim(within(t), 10, narrow)
	if err != nil || len(leases) != 4 {
		t.Fatalf("Claim: %d leases, %v; want two of each process", len(leases), err)
	}
	for _, l := range leases {
		if id := l.Ticket().JobID; id == "n2" || id == "n3" {
			t.Errorf("%s was claimed, for which there is no room", id)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if more, err := q.Claim(ctx, 1, narrow); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("another claim: %d leases, %v; want it to wait", len(more), err)
	}
	depth(t, q, 2)
}

func queueRoomAgain(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	for n := range 4 {
		add(t, q, fmt.Sprint("n", n), "narrow", "", "")
	}
	_, first := next(t, q, narrow)
	_, second := next(t, q, narrow)
	got := make(chan string, 2)
	claims := make(chan struct{})
	go func() {
		defer close(claims)
		for range 2 {
			leases, err := q.Claim(within(t), 1, narrow)
			if err != nil || len(leases) != 1 {
				got <- fmt.Sprintf("%d leases, %v", len(leases), err)
				continue
			}
			got <- leases[0].Ticket().JobID
		}
	}()
	if err := first.Done(within(t)); err != nil {
		t.Fatal(err)
	}
	if id := <-got; id != "n2" {
		t.Errorf("after Done: %s, want n2", id)
	}
	if err := second.Release(within(t), time.Hour); err != nil {
		t.Fatal(err)
	}
	if id := <-got; id != "n3" {
		t.Errorf("after Release: %s, want n3", id)
	}
	<-claims
}

func queueTurns(t *testing.T, open OpenQueue) {
	q := open(t, 20, longLease)
	for n := range 4 {
		add(t, q, fmt.Sprint("a", n), "p", "anna", "")
	}
	for n := range 2 {
		add(t, q, fmt.Sprint("b", n), "q", "bert", "")
	}
	add(t, q, "c0", "p", "cleo", "")
	inOrder(t, q, nil, "a0", "b0", "c0", "a1", "b1")
	add(t, q, "d0", "p", "dora", "") // after anna, who was here before her
	inOrder(t, q, nil, "a2", "d0", "a3")
}

func queueOneRound(t *testing.T, open OpenQueue) {
	const many = 500
	q := open(t, 2*many, longLease)
	for n := range many {
		add(t, q, fmt.Sprint("a", n), fmt.Sprint("p", n%7), "anna", "")
	}
	inOrder(t, q, nil, "a0", "a1", "a2")
	add(t, q, "b", "p0", "bert", "")
	inOrder(t, q, nil, "a3", "b", "a4", "a5")
	add(t, q, "c", "new", "cleo", "")
	inOrder(t, q, nil, "a6", "c")
}

func queuePriorities(t *testing.T, open OpenQueue) {
	const rounds = 3
	q := open(t, 1000, longLease)
	total := 0
	for _, p := range job.Priorities() {
		total += p.Weight()
		for n := range rounds * 21 {
			add(t, q, fmt.Sprint(p, n), "p", "", p)
		}
	}
	count := map[job.Priority]int{}
	for range rounds * total {
		_, l := next(t, q, nil)
		count[l.Ticket().Priority]++
	}
	for _, p := range job.Priorities() {
		if want := rounds * p.Weight(); count[p] < want-1 || count[p] > want+1 {
			t.Errorf("%d claims of priority %s, want %d of %d", count[p], p, want, rounds*total)
		}
	}
	add(t, q, "new", "p", "", job.High)
	if _, l := next(t, q, nil); l.Ticket().Priority == job.Low {
		t.Error("low came first right after it had its share")
	}
}

func queueReadmit(t *testing.T, open OpenQueue) {
	q := open(t, 1, longLease)
	enqueue(t, q, "a")
	if err := q.Enqueue(within(t), job.Ticket{JobID: "b", ProcessID: "p", Readmit: true}); err != nil {
		t.Fatalf("Enqueue: %v", err)
	}
	if err := q.Enqueue(within(t), job.Ticket{JobID: "c", ProcessID: "p"}); !errors.Is(err, job.ErrBusy) {
		t.Fatalf("Enqueue of a new one: %v, want ErrBusy", err)
	}
	claimed(t, q, "a", "b")
}

func queueDepth(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	want := func(all, annas int) {
		t.Helper()
		if n, of, err := q.Depth(within(t), "anna"); n != all || of != annas || err != nil {
			t.Fatalf("Depth = %d, %d, %v; want %d, %d", n, of, err, all, annas)
		}
	}
	want(0, 0)
	add(t, q, "a", "p", "anna", job.High)
	add(t, q, "b", "p", "bert", "")
	if err := q.Enqueue(within(t), job.Ticket{JobID: "c", Caller: "anna", NotBefore: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	want(3, 2)
	_, l := next(t, q, nil)
	want(2, 1)
	cancelled(t, q, "c", true)
	want(1, 0)
	if err := l.Release(within(t), time.Hour); err != nil {
		t.Fatal(err)
	}
	want(2, 1)
}

func placed(t testing.TB, q job.Queue, id string) job.Standing {
	t.Helper()
	p, err := q.Standing(within(t), id)
	if err != nil {
		t.Fatalf("Standing(%s): %v", id, err)
	}
	return p
}

func queuePlace(t *testing.T, open OpenQueue) {
	q := open(t, 1000, longLease)
	for n := range 100 {
		add(t, q, fmt.Sprint("a", n), fmt.Sprint("p", n%3), "anna", "")
	}
	_, _ = next(t, q, nil)
	for n := 1; n < 100; n++ {
		if got, want := placed(t, q, fmt.Sprint("a", n)), (job.Standing{Position: n, Of: 99}); got != want {
			t.Errorf("place of a%d: %+v, want %+v", n, got, want)
		}
	}
	if got := placed(t, q, "a0"); got != (job.Standing{}) {
		t.Errorf("place of a claimed ticket: %+v", got)
	}
	if got := placed(t, q, "nobody"); got != (job.Standing{}) {
		t.Errorf("place of an unknown ticket: %+v", got)
	}
	add(t, q, "b", "p0", "bert", "")
	if got := placed(t, q, "b"); got.Position > 2 || got.Of != 100 {
		t.Errorf("place of another caller's: %+v, want at most 2 of 100", got)
	}
	add(t, q, "low", "p0", "bert", job.Low)
	if high, low := placed(t, q, "b"), placed(t, q, "low"); low.Position <= high.Position || low.Position > low.Of {
		t.Errorf("place of low priority: %+v, of normal: %+v", low, high)
	}
}

func queuePlaceDelayed(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	due := time.Now().Add(time.Hour)
	if err := q.Enqueue(within(t), job.Ticket{JobID: "a", NotBefore: due}); err != nil {
		t.Fatal(err)
	}
	if got := placed(t, q, "a"); !got.Due.Equal(due) || got.Position != 0 || got.Of != 0 {
		t.Errorf("place of a ticket that is not due: %+v, want %s", got, due)
	}
}
