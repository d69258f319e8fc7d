package store

import (
	"math/bits"

	"geomill/host/internal/job"
)

// place tells about when a ticket will be claimed. It does not walk through what
// waits: the sums of lengths and the order of turns tell enough.
func (ts *turns) place(t *ticket) job.Standing {
	rank := rankOf(t.Priority)
	c, who := &ts.classes[rank], t.line.caller
	// The k-th ticket of its caller comes in the k-th round from now.
	k := clamp(int(t.number-who.left), 1, who.size)
	served := c.lengths.served(k - 1)
	// Whoever was given a turn since comes after it.
	callers := len(c.callers)
	seat := callers - clamp(int(c.turn-who.turn), 0, callers-1)
	served += (seat - 1) * c.lengths.longer(k) / callers
	position := min(served+1, c.size)
	before := position
	for other := range ts.classes {
		if d := &ts.classes[other]; d != c {
			before += min(d.size, position*int(c.stride)/int(d.stride))
		}
	}
	return job.Standing{Position: before, Of: ts.size()}
}

func clamp(v, least, most int) int { return max(least, min(v, most)) }

// lengths counts callers by how many tickets they have: those with 1, with 2 or
// 3, with 4 to 7 and so on.
type lengths [bits.UintSize]struct{ callers, tickets int }

// change notes that a caller has b tickets that had a.
func (s *lengths) change(a, b int) {
	from, to := &s[bits.Len(uint(a))], &s[bits.Len(uint(b))]
	if a > 0 {
		from.callers--
		from.tickets -= a
	}
	if b > 0 {
		to.callers++
		to.tickets += b
	}
}

// served returns about how many tickets n rounds take.
func (s *lengths) served(n int) (sum int) {
	for _, c := range s {
		sum += min(c.tickets, c.callers*n)
	}
	return sum
}

// longer returns about how many callers have n tickets or more.
func (s *lengths) longer(n int) (sum int) {
	for _, c := range s[bits.Len(uint(n)):] {
		sum += c.callers
	}
	return sum
}
