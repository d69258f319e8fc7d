package store

import (
	"container/heap"

	"geomill/host/internal/job"
)

// turns orders the tickets that are due. It knows no time and no lock. Every
// operation costs the logarithm of what waits.
//
// A class (priority) has the processes with room that have tickets in it, as a
// heap; each of these its callers, as a heap; each of these its tickets, in a
// list. The heaps go by turn, the lowest first. A caller that is served gets a
// later turn, which its places in other heaps learn of only when they come to
// the top: turns only get later, so what is at the top with its present turn is
// the first.
type turns struct {
	classes   [3]class // highest priority first
	processes map[string]*process
	passed    uint64 // pass of the class that was served last
}

// class is the tickets of one priority.
type class struct {
	stride  uint64 // by how much a claim moves pass
	pass    uint64 // the class with the lowest is served; see claim
	open    heapOf[*lineup]
	callers map[string]*caller
	turn    uint64 // the last that was given
	size    int
	lengths lengths // of what callers have
}

// caller is who has tickets in a class.
type caller struct {
	name         string
	turn         uint64
	size         int
	joined, left uint64 // tickets, ever
}

// process counts the leases of a process, whatever the priority.
type process struct {
	id      string
	leased  int
	full    bool // its lineups are in no heap
	lineups [3]lineup
}

// lineup is the tickets of one process in one class.
type lineup struct {
	seat
	process *process
	lines   map[string]*line
	byTurn  heapOf[*line]
}

// line is what one caller has in a lineup, oldest first.
type line struct {
	seat
	caller      *caller
	first, last *ticket
}

func newTurns() turns {
	t := turns{processes: map[string]*process{}}
	for rank, p := range job.Priorities() {
		t.classes[rank] = class{stride: uint64(job.High.Weight() / p.Weight()), callers: map[string]*caller{}}
	}
	return t
}

func rankOf(p job.Priority) int {
	switch p {
	case job.High:
		return 0
	case job.Low:
		return 2
	}
	return 1
}

func (ts *turns) size() (n int) {
	for i := range ts.classes {
		n += ts.classes[i].size
	}
	return n
}

func (ts *turns) process(id string) *process {
	p := ts.processes[id]
	if p == nil {
		p = &process{id: id}
		for rank := range p.lineups {
			p.lineups[rank] = lineup{process: p, seat: seat{at: nowhere}}
		}
		ts.processes[id] = p
	}
	return p
}

// forget drops a process that has neither tickets nor leases.
func (ts *turns) forget(p *process) {
	for rank := range p.lineups {
		if len(p.lineups[rank].lines) > 0 {
			return
		}
	}
	if p.leased == 0 {
		delete(ts.processes, p.id)
	}
}

// join puts a ticket at the end of its line.
func (ts *turns) join(t *ticket) {
	rank := rankOf(t.Priority)
	c, p := &ts.classes[rank], ts.process(t.ProcessID)
	who, u := c.arrive(t.Caller), &p.lineups[rank]
	l := u.lines[t.Caller]
	if l == nil {
		if u.lines == nil {
			u.lines = map[string]*line{}
		}
		l = &line{caller: who, seat: seat{turn: turn{who.turn, who.joined}}}
		u.lines[t.Caller] = l
		heap.Push(&u.byTurn, l)
	}
	t.line, t.number = l, who.joined
	t.before, t.after = l.last, nil
	if l.last == nil {
		l.first = t
	} else {
		l.last.after = t
	}
	l.last = t
	if !p.full {
		c.enlist(u)
	}
}

// arrive counts one more ticket of a caller. Who had none comes after all others.
func (c *class) arrive(name string) *caller {
	who := c.callers[name]
	if who == nil {
		c.turn++
		who = &caller{name: name, turn: c.turn}
		c.callers[name] = who
	}
	c.lengths.change(who.size, who.size+1)
	who.size++
	who.joined++
	c.size++
	return who
}

func (c *class) depart(who *caller) {
	c.lengths.change(who.size, who.size-1)
	who.size--
	who.left++
	c.size--
	if who.size == 0 {
		delete(c.callers, who.name)
	}
}

// enlist puts a lineup with tickets where its first turn belongs.
func (c *class) enlist(u *lineup) {
	first := u.byTurn[0].turn
	switch {
	case u.at == nowhere:
		u.turn = first
		heap.Push(&c.open, u)
	case first.before(u.turn):
		u.turn = first
		heap.Fix(&c.open, u.at)
	}
}

// leave takes a ticket out of its line, wherever it stands there.
func (ts *turns) leave(t *ticket) {
	rank := rankOf(t.Priority)
	c, p, l := &ts.classes[rank], ts.processes[t.ProcessID], t.line
	u := &p.lineups[rank]
	if t.before == nil {
		l.first = t.after
	} else {
		t.before.after = t.after
	}
	if t.after == nil {
		l.last = t.before
	} else {
		t.after.before = t.before
	}
	t.line, t.before, t.after = nil, nil, nil
	c.depart(l.caller)
	if l.first != nil {
		return
	}
	heap.Remove(&u.byTurn, l.at)
	delete(u.lines, l.caller.name)
	if len(u.lines) == 0 && u.at != nowhere {
		heap.Remove(&c.open, u.at)
	}
	ts.forget(p)
}

// claim takes out the ticket whose turn it is and counts its lease, or returns
// nil when no process with a ticket has room.
func (ts *turns) claim(room func(processID string) int) *ticket {
	var served *class
	var from *lineup
	for rank := range ts.classes {
		c := &ts.classes[rank]
		if u := ts.top(c, room); u != nil && (served == nil || max(c.pass, ts.passed) < max(served.pass, ts.passed)) {
			served, from = c, u
		}
	}
	if served == nil {
		return nil
	}
	// A class that had nothing for a while has not saved up for it.
	ts.passed = max(served.pass, ts.passed)
	served.pass = ts.passed + served.stride
	l := from.byTurn[0]
	served.turn++
	l.caller.turn = served.turn
	from.process.leased++
	t := l.first
	ts.leave(t)
	return t
}

// top returns the lineup of a class whose turn it is, with the line whose turn it
// is on top. Processes without room leave their heaps on the way.
func (ts *turns) top(c *class, room func(processID string) int) *lineup {
	for len(c.open) > 0 {
		u := c.open[0]
		if room != nil {
			if n := room(u.process.id); n > 0 && u.process.leased >= n {
				ts.shut(u.process)
				continue
			}
		}
		l := u.byTurn[0]
		now := turn{l.caller.turn, l.first.number}
		switch {
		case l.turn != now:
			l.turn = now
			heap.Fix(&u.byTurn, 0)
		case u.turn != l.turn:
			u.turn = l.turn
			heap.Fix(&c.open, 0)
		default:
			return u
		}
	}
	return nil
}

func (ts *turns) shut(p *process) {
	p.full = true
	for rank := range p.lineups {
		if u := &p.lineups[rank]; u.at != nowhere {
			heap.Remove(&ts.classes[rank].open, u.at)
		}
	}
}

// release counts the end of a lease of a process.
func (ts *turns) release(id string) {
	p := ts.processes[id]
	p.leased--
	if p.full {
		p.full = false
		for rank := range p.lineups {
			if u := &p.lineups[rank]; len(u.lines) > 0 {
				ts.classes[rank].enlist(u)
			}
		}
	}
	ts.forget(p)
}

// turn says who is next: first the caller that waits the longest, then the oldest
// ticket among those of one caller.
type turn struct{ caller, ticket uint64 }

func (t turn) before(other turn) bool {
	if t.caller != other.caller {
		return t.caller < other.caller
	}
	return t.ticket < other.ticket
}

// seat is a place in a heap that goes by turn.
type seat struct {
	turn turn
	at   int
}

func (s *seat) seated() *seat { return s }

// nowhere is the place of what is in no heap.
const nowhere = -1

// heapOf implements heap.Interface.
type heapOf[T interface{ seated() *seat }] []T

func (h heapOf[T]) Len() int { return len(h) }

func (h heapOf[T]) Less(i, j int) bool { return h[i].seated().turn.before(h[j].seated().turn) }

func (h heapOf[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].seated().at, h[j].seated().at = i, j
}

// Push implements heap.Interface.
func (h *heapOf[T]) Push(x any) {
	v := x.(T)
	v.seated().at = len(*h)
	*h = append(*h, v)
}

// Pop implements heap.Interface.
func (h *heapOf[T]) Pop() any {
	old := *h
	last := len(old) - 1
	v := old[last]
	v.seated().at = nowhere
	var none T
	old[last] = none
	*h = old[:last]
	return v
}
