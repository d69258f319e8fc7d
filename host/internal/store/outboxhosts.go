package store

import (
	"bytes"
	"slices"
	"sync"

	badger "github.com/dgraph-io/badger/v4"
)

// outboxHosts knows for which hosts callbacks are pending, how many, and where
// among the keys of the host to begin. Its size is that of the hosts, not of
// the outbox. Without it each look would wade through what Badger leaves of
// callbacks that were made.
type outboxHosts struct {
	mu    sync.Mutex
	names []string // sorted
	at    map[string]*outboxHost
}

type outboxHost struct {
	pending int
	low     []byte // no key is below
}

// outboxChange is a key that was added to the pending ones or taken away.
type outboxChange struct {
	key   []byte
	added bool
}

func (o *outboxHosts) apply(changes []outboxChange) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range changes {
		host, _, _, ok := splitPending(c.key)
		if !ok {
			continue
		}
		h := o.at[host]
		switch {
		case c.added && h == nil:
			o.at[host] = &outboxHost{pending: 1, low: c.key}
			n, _ := slices.BinarySearch(o.names, host)
			o.names = slices.Insert(o.names, n, host)
		case c.added:
			h.pending++
			if bytes.Compare(c.key, h.low) < 0 {
				h.low = c.key
			}
		case h == nil:
		default:
			if h.pending--; h.pending <= 0 {
				delete(o.at, host)
				n, _ := slices.BinarySearch(o.names, host)
				o.names = slices.Delete(o.names, n, n+1)
			}
		}
	}
}

// next returns where to begin for each of at most n hosts after a name.
func (o *outboxHosts) next(after string, n int) (last string, starts [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	from, found := slices.BinarySearch(o.names, after)
	if found {
		from++
	}
	for _, host := range o.names[from:min(from+n, len(o.names))] {
		last = host
		starts = append(starts, o.at[host].low)
	}
	return last, starts
}

// loadOutbox reads the keys of what is pending.
func loadOutbox(txn *badger.Txn) *outboxHosts {
	o := &outboxHosts{at: map[string]*outboxHost{}}
	it := newIterator(txn, []byte{pendingPrefix}, false)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		o.apply([]outboxChange{{key: it.Item().KeyCopy(nil), added: true}})
	}
	return o
}
