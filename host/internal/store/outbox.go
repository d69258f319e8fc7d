package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	badger "github.com/dgraph-io/badger/v4"

	"geomill/host/internal/job"
)

var _ job.Outbox = (*Store)(nil)

func deliveryKey(i id, e job.Event) []byte {
	return append(idKey([]byte{deliveryPrefix}, i), e...)
}

// pendingKey sorts by host, then by the time when a delivery is due.
func pendingKey(i id, d *job.Delivery) []byte {
	key := append(append([]byte{pendingPrefix}, d.Host()...), 0)
	key = binary.BigEndian.AppendUint64(key, uint64(max(d.Due.UnixNano(), 0)))
	return append(idKey(key, i), d.Event...)
}

// splitPending is the inverse of pendingKey, but for the time.
func splitPending(key []byte) (host string, i id, e job.Event, ok bool) {
	name, rest, ok := bytes.Cut(key[1:], []byte{0})
	if !ok || len(rest) < 8+len(i) {
		return "", i, "", false
	}
	rest = rest[8:]
	return string(name), id(rest[:len(i)]).complement(), job.Event(rest[len(i):]), true
}

// delivery is one to be written, as far as its author can prepare it.
type delivery struct {
	id    id
	key   []byte
	value []byte
	due   []byte // its key among the pending ones, or nil
}

func prepareDelivery(d job.Delivery) (*delivery, error) {
	i, ok := parseID(d.JobID)
	if !ok {
		return nil, job.ErrNoSuchJob
	}
	if host := d.Host(); host == "" || strings.ContainsRune(host, 0) || d.Event == "" {
		return nil, fmt.Errorf("callback %q to %q cannot be stored", d.Event, d.URI)
	}
	value, err := encodeJSON(d)
	if err != nil {
		return nil, fmt.Errorf("encode callback: %w", err)
	}
	p := &delivery{id: i, key: deliveryKey(i, d.Event), value: value}
	if d.State == job.Pending {
		p.due = pendingKey(i, &d)
	}
	return p, nil
}

// plan adds the delivery to an edit, in place of what is stored of it.
func (p *delivery) plan(txn *badger.Txn, e *edit) error {
	event := job.Event(p.key[1+len(p.id):])
	old, err := readDelivery(txn, p.id, event)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
	case err != nil:
		return err
	case old.State == job.Pending:
		e.take(pendingKey(p.id, &old))
	}
	e.set(p.key, p.value)
	if p.due != nil {
		e.set(p.due, nil)
		e.outbox = append(e.outbox, outboxChange{key: p.due, added: true})
	}
	return nil
}

// take removes a key of the pending ones.
func (e *edit) take(key []byte) {
	e.deletes = append(e.deletes, key)
	e.outbox = append(e.outbox, outboxChange{key: key})
}

// planForget removes the deliveries of a job.
func planForget(txn *badger.Txn, e *edit, i id) error {
	for _, event := range job.AllEvents() {
		d, err := readDelivery(txn, i, event)
		if errors.Is(err, badger.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		e.deletes = append(e.deletes, deliveryKey(i, event))
		if d.State == job.Pending {
			e.take(pendingKey(i, &d))
		}
	}
	return nil
}

// readDelivery fails with badger.ErrKeyNotFound when there is none.
func readDelivery(txn *badger.Txn, i id, e job.Event) (d job.Delivery, err error) {
	item, err := txn.Get(deliveryKey(i, e))
	if err != nil {
		return d, err
	}
	err = item.Value(func(b []byte) error { return json.Unmarshal(b, &d) })
	if err != nil {
		return d, fmt.Errorf("decode callback %s of job %s: %w", e, i, err)
	}
	d.JobID, d.Event = i.String(), e
	return d, nil
}

// Finish implements job.Outbox.
func (s *Store) Finish(ctx context.Context, j job.Job, outputs map[string]job.Value, d job.Delivery) (job.Job, error) {
	p, err := prepareDelivery(d)
	if err != nil {
		return job.Job{}, fmt.Errorf("finish job %s: %w", j.ID, err)
	}
	return s.update(ctx, j, outputs, p)
}

// Record implements job.Outbox.
func (s *Store) Record(ctx context.Context, d job.Delivery) error {
	p, err := prepareDelivery(d)
	if err == nil {
		err = s.submit(ctx, 0, func(b *batch) (edit, error) {
			there, err := exists(b.txn, jobKey(p.id))
			if err != nil {
				return edit{}, err
			}
			if !there {
				return edit{}, job.ErrNoSuchJob
			}
			var e edit
			err = p.plan(b.txn, &e)
			return e, err
		})
	}
	if err != nil {
		return fmt.Errorf("record callback of job %s: %w", d.JobID, err)
	}
	return nil
}

// Deliveries implements job.Outbox.
func (s *Store) Deliveries(ctx context.Context, jobID string) (all []job.Delivery, err error) {
	i, ok := parseID(jobID)
	if !ok {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = s.view(func(txn *badger.Txn) error {
		for _, e := range job.AllEvents() {
			d, err := readDelivery(txn, i, e)
			if errors.Is(err, badger.ErrKeyNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, d)
		}
		return nil
	})
	return all, err
}

// Pending implements job.Outbox. It reads what it returns and hardly more.
func (s *Store) Pending(ctx context.Context, after string, hosts, each int) (all []job.Delivery, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for len(all) == 0 {
		last, starts := s.outbox.next(after, hosts)
		if len(starts) == 0 {
			return nil, nil
		}
		if all, err = s.hostsPending(starts, each); err != nil {
			return nil, fmt.Errorf("read outbox: %w", err)
		}
		after = last // when all of them have been made meanwhile
	}
	return all, nil
}

// hostsPending returns the first deliveries of each host, at most n.
func (s *Store) hostsPending(starts [][]byte, n int) (all []job.Delivery, err error) {
	err = s.view(func(txn *badger.Txn) error {
		it := newIterator(txn, []byte{pendingPrefix}, false)
		defer it.Close()
		for _, start := range starts {
			host := start[:1+bytes.IndexByte(start, 0)]
			it.Seek(start)
			for range n {
				if !it.ValidForPrefix(host) {
					break
				}
				_, i, event, ok := splitPending(it.Item().Key())
				if !ok {
					return fmt.Errorf("key %q of a callback", it.Item().Key())
				}
				d, err := readDelivery(txn, i, event)
				if err != nil {
					return err
				}
				all = append(all, d)
				it.Next()
			}
		}
		return nil
	})
	return all, err
}
