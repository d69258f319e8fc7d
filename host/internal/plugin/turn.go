package plugin

import (
	"context"
	"sync"
	"time"
)

// turn waits until a candidate may be admitted, and returns what ends its turn.
// One that is known costs next to nothing, and one that is asked for is urgent:
// neither waits.
func (f *follower) turn(ctx context.Context, c candidate, asked <-chan struct{}) (end func(), err error) {
	if f.h.cache.knows(c) {
		return func() {}, nil
	}
	select {
	case f.turns <- struct{}{}:
	case <-asked:
		return func() {}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	leave := sync.OnceFunc(func() { <-f.turns })
	late := time.AfterFunc(f.h.cfg.TurnTime, leave)
	return func() {
		late.Stop()
		leave()
	}, nil
}

// prefer admits the file that has the name of a process before its turn.
func (f *follower) prefer(id string) {
	if asked, ok := f.asked[id]; ok {
		delete(f.asked, id)
		close(asked)
	}
}
