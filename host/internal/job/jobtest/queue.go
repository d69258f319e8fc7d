package jobtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"geomill/host/internal/job"
)

// patience bounds every wait of the suites. It is reached only by what hangs.
const patience = time.Minute

// OpenQueue makes an empty queue that takes at most limit waiting tickets and
// whose leases last for lease.
type OpenQueue func(t testing.TB, limit int, lease time.Duration) job.Queue

// Queue checks that what open returns is a job.Queue in the full sense.
func Queue(t *testing.T, open OpenQueue) {
	for name, test := range map[string]func(*testing.T, OpenQueue){
		"a ticket is claimed once":                         queueOnce,
		"tickets are claimed in the order they are due":    queueOrder,
		"at most the free number is claimed":               queueFree,
		"a ticket is not claimed before its time":          queueNotBefore,
		"enqueueing an id again changes nothing":           queueIdempotent,
		"a full queue is busy":                             queueBusy,
		"claim waits for a ticket":                         queueClaimWaits,
		"claim ends with its context":                      queueClaimContext,
		"an ended lease makes the ticket claimable":        queueLeaseEnds,
		"heartbeats keep a lease":                          queueHeartbeat,
		"done removes the ticket":                          queueDone,
		"release puts the ticket back after a delay":       queueRelease,
		"cancel removes a waiting ticket":                  queueCancelWaiting,
		"cancel tells the holder of a lease":               queueCancelLeased,
		"a cancelled ticket does not come back":            queueCancelledStaysAway,
		"cancelling an unknown id reports nothing removed": queueCancelUnknown,
		"concurrent claims share the tickets":              queueConcurrent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
	queueRules(t, open)
}

const (
	longLease  = time.Hour
	shortLease = 50 * time.Millisecond
)

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func enqueue(t testing.TB, q job.Queue, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := q.Enqueue(within(t), job.Ticket{JobID: id, ProcessID: "p"}); err != nil {
			t.Fatalf("Enqueue(%s): %v", id, err)
		}
	}
}

func claim(t testing.TB, q job.Queue, free int) []job.Lease {
	t.Helper()
	leases, err := q.Claim(within(t), free, nil)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	if len(leases) == 0 || len(leases) > free {
		t.Fatalf("Claim(%d) returned %d leases", free, len(leases))
	}
	return leases
}

func claimed(t testing.TB, q job.Queue, ids ...string) []job.Lease {
	t.Helper()
	leases := claim(t, q, len(ids))
	for k, id := range ids {
		if k >= len(leases) || leases[k].Ticket().JobID != id {
			t.Fatalf("claimed %d leases, want those of %v in this order", len(leases), ids)
		}
	}
	return leases
}

// nothingReady checks that a claim finds nothing now.
func nothingReady(t testing.TB, q job.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if leases, err := q.Claim(ctx, 1, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Claim returned %d leases, %v; want it to wait", len(leases), err)
	}
}

func depth(t testing.TB, q job.Queue, want int) {
	t.Helper()
	if n, _, err := q.Depth(within(t), ""); err != nil || n != want {
		t.Fatalf("Depth = %d, %v; want %d", n, err, want)
	}
}

func queueOnce(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	want := job.Ticket{JobID: "a", ProcessID: "p"}
	if err := q.Enqueue(within(t), want); err != nil {
		t.Fatal(err)
	}
	depth(t, q, 1)
	if got := claim(t, q, 5)[0].Ticket(); got != want {
		t.Errorf("claimed %+v, want %+v", got, want)
	}
	depth(t, q, 0)
	nothingReady(t, q)
}

func queueOrder(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	enqueue(t, q, "c", "a", "b")
	claimed(t, q, "c", "a", "b")
}

func queueFree(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	enqueue(t, q, "a", "b", "c")
	claimed(t, q, "a", "b")
	depth(t, q, 1)
	claimed(t, q, "c")
	if leases, err := q.Claim(within(t), 0, nil); err == nil {
		t.Errorf("Claim(0) returned %d leases and no error", len(leases))
	}
}

func queueNotBefore(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	due := time.Now().Add(80 * time.Millisecond)
	if err := q.Enqueue(within(t), job.Ticket{JobID: "later", NotBefore: due}); err != nil {
		t.Fatal(err)
	}
	enqueue(t, q, "now")
	claimed(t, q, "now")
	claimed(t, q, "later")
	if time.Now().Before(due) {
		t.Error("the ticket was claimed before its time")
	}
}

func queueIdempotent(t *testing.T, open OpenQueue) {
	q := open(t, 2, longLease)
	enqueue(t, q, "a", "b", "a", "b")
	depth(t, q, 2)
	claimed(t, q, "a", "b")
	enqueue(t, q, "a") // leased by now
	depth(t, q, 0)
	nothingReady(t, q)
}

func queueBusy(t *testing.T, open OpenQueue) {
	q := open(t, 2, longLease)
	enqueue(t, q, "a", "b")
	if err := q.Enqueue(within(t), job.Ticket{JobID: "c"}); !errors.Is(err, job.ErrBusy) {
		t.Fatalf("Enqueue into a full queue: %v, want ErrBusy", err)
	}
	claimed(t, q, "a")
	enqueue(t, q, "c")
	claimed(t, q, "b", "c")
}

func queueClaimWaits(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	got := make(chan string, 1)
	go func() {
		leases, err := q.Claim(within(t), 1, nil)
		if err != nil || len(leases) != 1 {
			got <- fmt.Sprintf("%d leases, %v", len(leases), err)
			return
		}
		got <- leases[0].Ticket().JobID
	}()
	enqueue(t, q, "a")
	if id := <-got; id != "a" {
		t.Errorf("the waiting claim got %s, want a", id)
	}
}

func queueClaimContext(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := q.Claim(ctx, 1, nil)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Claim ended with %v, want the context's error", err)
	}
	enqueue(t, q, "a")
	claimed(t, q, "a")
}

func queueLeaseEnds(t *testing.T, open OpenQueue) {
	q := open(t, 10, shortLease)
	enqueue(t, q, "a")
	first := claimed(t, q, "a")[0]
	second := claimed(t, q, "a")[0]
	for name, err := range map[string]error{
		"Heartbeat": first.Heartbeat(within(t)),
		"Release":   first.Release(within(t), 0),
		"Done":      first.Done(within(t)),
	} {
		if !errors.Is(err, job.ErrLost) {
			t.Errorf("%s on a lost lease: %v, want ErrLost", name, err)
		}
	}
	if err := second.Done(within(t)); err != nil && !errors.Is(err, job.ErrLost) {
		t.Errorf("Done of the second lease: %v", err)
	}
}

func queueHeartbeat(t *testing.T, open OpenQueue) {
	const lease = 400 * time.Millisecond
	q := open(t, 10, lease)
	enqueue(t, q, "a")
	held := claimed(t, q, "a")[0]
	ctx, cancel := context.WithTimeout(context.Background(), 3*lease)
	defer cancel()
	stolen := make(chan error, 1)
	go func() {
		_, err := q.Claim(ctx, 1, nil)
		stolen <- err
	}()
	tick := time.NewTicker(lease / 8)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case err := <-stolen:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("another claim ended with %v while the lease was renewed", err)
			}
			return
		case <-tick.C:
			err := held.Heartbeat(within(t))
			if time.Since(last) >= lease {
				t.Skip("the machine is too busy to renew a lease in time")
			}
			if err != nil {
				t.Fatalf("Heartbeat: %v", err)
			}
			last = time.Now()
		}
	}
}

func queueDone(t *testing.T, open OpenQueue) {
	q := open(t, 10, shortLease)
	enqueue(t, q, "a")
	retryLost(t, q, "a", func(l job.Lease) error { return l.Done(within(t)) })
	depth(t, q, 0)
	nothingReady(t, q)
	enqueue(t, q, "a")
	claimed(t, q, "a")
}

// retryLost claims a ticket and ends its lease; short leases may run out first.
func retryLost(t *testing.T, q job.Queue, id string, end func(job.Lease) error) {
	t.Helper()
	for ctx := within(t); ctx.Err() == nil; {
		err := end(claimed(t, q, id)[0])
		if err == nil {
			return
		}
		if !errors.Is(err, job.ErrLost) {
			t.Fatal(err)
		}
	}
	t.Fatal("no lease lasted")
}

func queueRelease(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	enqueue(t, q, "a", "b")
	leases := claimed(t, q, "a", "b")
	due := time.Now().Add(80 * time.Millisecond)
	if err := errors.Join(leases[0].Release(within(t), 80*time.Millisecond), leases[1].Release(within(t), 0)); err != nil {
		t.Fatalf("Release: %v", err)
	}
	depth(t, q, 2)
	claimed(t, q, "b")
	claimed(t, q, "a")
	if time.Now().Before(due) {
		t.Error("the released ticket was claimed before its delay had passed")
	}
	if err := leases[0].Heartbeat(within(t)); !errors.Is(err, job.ErrLost) {
		t.Errorf("Heartbeat of a released lease: %v, want ErrLost", err)
	}
}

func cancelled(t testing.TB, q job.Queue, id string, want bool) {
	t.Helper()
	if removed, err := q.Cancel(within(t), id); err != nil || removed != want {
		t.Fatalf("Cancel(%s) = %v, %v; want %v", id, removed, err, want)
	}
}

func queueCancelWaiting(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	enqueue(t, q, "a", "b", "c")
	cancelled(t, q, "b", true)
	cancelled(t, q, "b", false)
	depth(t, q, 2)
	claimed(t, q, "a", "c")
}

func queueCancelLeased(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	enqueue(t, q, "a")
	held := claimed(t, q, "a")[0]
	if err := held.Heartbeat(within(t)); err != nil {
		t.Fatalf("Heartbeat: %v", err)
	}
	cancelled(t, q, "a", false)
	for range 2 {
		if err := held.Heartbeat(within(t)); !errors.Is(err, job.ErrCancelled) {
			t.Errorf("Heartbeat after Cancel: %v, want ErrCancelled", err)
		}
	}
	if err := held.Done(within(t)); err != nil {
		t.Errorf("Done after Cancel: %v", err)
	}
}

func queueCancelledStaysAway(t *testing.T, open OpenQueue) {
	q := open(t, 10, longLease)
	enqueue(t, q, "a")
	held := claimed(t, q, "a")[0]
	cancelled(t, q, "a", false)
	if err := held.Release(within(t), 0); err != nil {
		t.Errorf("Release after Cancel: %v", err)
	}
	depth(t, q, 0)
	nothingReady(t, q)
}

func queueCancelUnknown(t *testing.T, open OpenQueue) {
	cancelled(t, open(t, 10, longLease), "a", false)
}

func queueConcurrent(t *testing.T, open OpenQueue) {
	const tickets, workers = 200, 8
	q := open(t, tickets, longLease)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				leases, err := q.Claim(ctx, 3, nil)
				if err != nil {
					return
				}
				for _, l := range leases {
					if err := l.Done(within(t)); err != nil {
						t.Errorf("Done: %v", err)
					}
					mu.Lock()
					seen[l.Ticket().JobID]++
					all := len(seen) == tickets
					mu.Unlock()
					if all {
						cancel()
					}
				}
			}
		})
	}
	for n := range tickets {
		enqueue(t, q, fmt.Sprint(n))
	}
	wg.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("ticket %s was claimed %d times", id, n)
		}
	}
	if len(seen) != tickets {
		t.Errorf("%d of %d tickets were claimed", len(seen), tickets)
	}
}
