package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	jobtest.Queue(t, func(_ testing.TB, limit int, lease time.Duration) job.Queue {
		return NewQueue(QueueConfig{Limit: limit, Lease: lease})
	})
}

func TestQueueBehavesLikeTheModel(t *testing.T) {
	t.Parallel()
	jobtest.QueueModel(t, func(_ testing.TB, limit int, lease time.Duration) job.Queue {
		return NewQueue(QueueConfig{Limit: limit, Lease: lease})
	})
}

func TestQueueCloseEndsClaims(t *testing.T) {
	t.Parallel()
	q := NewQueue(QueueConfig{})
	if err := q.Enqueue(ctx(t), job.Ticket{JobID: "held"}); err != nil {
		t.Fatal(err)
	}
	held, err := q.Claim(ctx(t), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := q.Claim(ctx(t), 1, nil)
		ended <- err
	}()
	q.Close()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("the waiting claim ended with %v, want ErrClosed", err)
	}
	if err := q.Enqueue(ctx(t), job.Ticket{JobID: "late"}); !errors.Is(err, ErrClosed) {
		t.Errorf("Enqueue: %v, want ErrClosed", err)
	}
	if err := held[0].Done(ctx(t)); err != nil {
		t.Errorf("Done of a lease from before: %v", err)
	}
}

// Hours pass in no time here.
func TestLeasesLastExactlyTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(QueueConfig{Lease: time.Hour})
		start := time.Now()
		if err := q.Enqueue(t.Context(), job.Ticket{JobID: "a", NotBefore: start.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		claimAt := func(want time.Duration) job.Lease {
			t.Helper()
			leases, err := q.Claim(t.Context(), 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != want {
				t.Fatalf("claimed after %s, want %s", got, want)
			}
			return leases[0]
		}
		first := claimAt(time.Hour)
		time.Sleep(59 * time.Minute)
		if err := first.Heartbeat(t.Context()); err != nil {
			t.Fatal(err)
		}
		second := claimAt(2*time.Hour + 59*time.Minute)
		if err := first.Heartbeat(t.Context()); !errors.Is(err, job.ErrLost) {
			t.Errorf("Heartbeat of the lost lease: %v", err)
		}
		if _, err := q.Cancel(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := second.Heartbeat(t.Context()); !errors.Is(err, job.ErrLost) {
			t.Errorf("Heartbeat of an ended lease: %v", err)
		}
		if n, _, err := q.Depth(t.Context(), ""); n != 0 || err != nil {
			t.Errorf("a cancelled ticket came back: depth %d, %v", n, err)
		}
	})
}

func BenchmarkQueue(b *testing.B) {
	for _, waiting := range []int{0, 10_000, 100_000} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			q := NewQueue(QueueConfig{Limit: waiting + 1})
			for n := range waiting {
				t := job.Ticket{JobID: fmt.Sprint("w", n), ProcessID: fmt.Sprint(n % 50), Caller: fmt.Sprint(n % 1000)}
				if n%2 == 0 {
					t.NotBefore = time.Now().Add(time.Hour)
				}
				_ = q.Enqueue(b.Context(), t)
			}
			room := func(string) int { return 8 }
			for n := 0; b.Loop(); n++ {
				if err := q.Enqueue(b.Context(), job.Ticket{JobID: strconv.Itoa(n), ProcessID: strconv.Itoa(n % 50)}); err != nil {
					b.Fatal(err)
				}
				leases, err := q.Claim(b.Context(), 1, room)
				if err != nil || leases[0].Done(b.Context()) != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A time without a monotonic reading would be compared by the wall clock, and
// hold up those after it when that is set back.
func TestWhatIsDelayedWaitsByAClockThatNobodySets(t *testing.T) {
	t.Parallel()
	q := NewQueue(QueueConfig{})
	defer q.Close()
	wall := time.Now().Add(time.Hour).Round(0)
	if err := q.Enqueue(t.Context(), job.Ticket{JobID: "j", ProcessID: "p", NotBefore: wall}); err != nil {
		t.Fatal(err)
	}
	at := q.delayed[0].at
	if !strings.Contains(at.String(), " m=") || at.Sub(wall).Abs() > time.Second {
		t.Errorf("it waits until %s, want %s", at, wall)
	}
}
