package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// fetchesAtOnce is how many references of one request are under way.
const fetchesAtOnce = 4

// fetching is what an intake needs for references.
type fetching struct {
	fetcher   Fetcher               // nil: there are no references
	checkJSON func(io.Reader) error // see Config.CheckJSON
	limit     int64                 // bytes of all references of a request
	patience  time.Duration         // for all references of a request
	log       *slog.Logger
}

var (
	errFetchTime = &RemoteError{Kind: RemoteTooSlow, Detail: "could not be fetched in the time that one request has for its references"}
	errFetchSize = &RemoteError{Kind: RemoteTooLarge, Detail: "makes the references of this request larger than this server takes together"}
)

// resolve fetches the references of a request that has no faults so far, and
// makes values of them that are checked like others. Faults are gathered; the
// error is for what is neither the client's doing nor another server's.
func (in *intake) resolve(ctx context.Context, values map[string]Value) error {
	if err := in.fetch(ctx); err != nil {
		return err
	}
	for _, p := range in.refs {
		if err := in.admit(ctx, p); err != nil {
			return err
		}
	}
	if len(in.faults) > 0 {
		return nil
	}
	for _, p := range in.refs {
		if p.place < 0 {
			v, err := in.settle(p)
			if err != nil {
				return err
			}
			values[p.id] = v
		}
	}
	for _, j := range in.joins {
		v, err := in.join(j)
		if err != nil {
			return err
		}
		values[j.id] = v
	}
	return nil
}

// fetch gets the content of every reference, however many of them fail.
func (in *intake) fetch(outer context.Context) error {
	ctx, cancel := context.WithTimeoutCause(outer, in.patience, errFetchTime)
	defer cancel()
	var left atomic.Int64
	left.Store(in.limit)
	slots := make(chan struct{}, fetchesAtOnce)
	var all sync.WaitGroup
	for i, p := range in.refs {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			p.err = in.fetchOne(ctx, p, i, &left)
		})
	}
	all.Wait()
	if outer.Err() != nil {
		return context.Cause(outer)
	}
	for _, p := range in.refs {
		if _, ok := errors.AsType[*RemoteError](p.err); p.err != nil && !ok {
			return fmt.Errorf("fetch input %s: %w", p.id, p.err)
		}
	}
	return nil
}

func (in *intake) fetchOne(ctx context.Context, p *pending, n int, left *atomic.Int64) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.file = filepath.Join(in.dir, p.id+"+"+strconv.Itoa(n)) // no id has a plus sign in it
	l := landing{name: p.file, left: left}
	got, err := in.fetcher.Fetch(ctx, p.ref, &l)
	content, e := l.close()
	if err == nil {
		err = e
	}
	p.got, p.content = got, content
	return err
}
