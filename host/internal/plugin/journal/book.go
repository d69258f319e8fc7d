package journal

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Book keeps the lines. All methods are safe for concurrent use.
type Book struct {
	hide func(text string) string

	mu    sync.Mutex
	pages map[string]*page // by plugin
}

// page is what is kept of one plugin.
type page struct {
	lines     []Line // oldest first
	bytes     int
	written   time.Time
	followers map[*follower]struct{}
}

// follower is one who reads on. While it has missed lines it is sent none, so that
// it learns of the gap where the gap is.
type follower struct {
	lines  chan Line
	missed int
}

// NewBook returns an empty book. From every text that comes in, hide takes out
// what operators must not see either; it is called often and at once.
func NewBook(hide func(text string) string) *Book {
	return &Book{hide: hide, pages: map[string]*page{}}
}

// Has reports whether there are lines of a plugin.
func (b *Book) Has(plugin string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pages[plugin] != nil
}

// Last returns at most n of the last lines of a plugin, oldest first.
func (b *Book) Last(plugin string, n int) []Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.pages[plugin]; p != nil {
		return p.last(n)
	}
	return nil
}

func (p *page) last(n int) []Line {
	return slices.Clone(p.lines[max(0, len(p.lines)-n):])
}

// Follow yields at most n of the last lines of a plugin and then those that come,
// until ctx ends. A line says how many were left out when the reader is too slow.
func (b *Book) Follow(ctx context.Context, plugin string, n int) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		f := &follower{lines: make(chan Line, ahead)}
		last, leave := b.join(plugin, n, f)
		defer leave()
		for _, l := range last {
			if !yield(l) {
				return
			}
		}
		for {
			select {
			case <-ctx.Done():
				return
			case l := <-f.lines:
				if !yield(l) {
					return
				}
			}
			if missed := b.missed(f); missed > 0 && !yield(gap(missed)) {
				return
			}
		}
	}
}

func gap(missed int) Line {
	return Line{Time: time.Now(), Level: slog.LevelWarn,
		Message: fmt.Sprintf("%d lines are left out: they came faster than they were read", missed)}
}

// join adds a follower, who leaves by calling leave.
func (b *Book) join(plugin string, n int, f *follower) (last []Line, leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.page(plugin)
	p.followers[f] = struct{}{}
	return p.last(n), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(p.followers, f)
	}
}

// missed returns how many lines a follower has missed who has read all that it was
// sent.
func (b *Book) missed(f *follower) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(f.lines) > 0 {
		return 0
	}
	missed := f.missed
	f.missed = 0
	return missed
}

func (b *Book) add(plugin string, l Line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.page(plugin)
	p.written = l.Time
	p.lines = append(p.lines, l)
	p.bytes += l.size()
	for len(p.lines) > maxLines || p.bytes > maxBytes && len(p.lines) > 1 {
		p.bytes -= p.lines[0].size()
		p.lines[0] = Line{}
		p.lines = p.lines[1:]
	}
	for f := range p.followers {
		f.send(l)
	}
}

func (f *follower) send(l Line) {
	if f.missed == 0 {
		select {
		case f.lines <- l:
			return
		default:
		}
	}
	f.missed++
}

// page returns the page of a plugin, which is made if need be.
func (b *Book) page(plugin string) *page {
	p := b.pages[plugin]
	if p == nil {
		if len(b.pages) >= maxBooked {
			b.forget()
		}
		p = &page{written: time.Now(), followers: map[*follower]struct{}{}}
		b.pages[plugin] = p
	}
	return p
}

// forget drops the page that was not written to for longest and that nobody
// follows.
func (b *Book) forget() {
	oldest := ""
	for plugin, p := range b.pages {
		if len(p.followers) == 0 && (oldest == "" || p.written.Before(b.pages[oldest].written)) {
			oldest = plugin
		}
	}
	delete(b.pages, oldest)
}
