// Package users gives plugins users of their own. Its central type is Book, which
// remembers which plugin has which, beyond the end of the host. The package
// imports nothing of Geomill.
package users

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"geomill/host/internal/plugin/atomicfile"
)

// Range is the users that plugins get, by their numbers, from First to Last. The
// zero Range has none.
type Range struct{ First, Last int }

// least is the first number that is neither root's nor a system's, and most the
// last that a kernel knows.
const (
	least = 1000
	most  = 1<<31 - 2
)

// ParseRange reads FIRST-LAST; nothing is the zero Range.
func ParseRange(text string) (Range, error) {
	if text == "" {
		return Range{}, nil
	}
	from, to, ok := strings.Cut(text, "-")
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	if !ok || err1 != nil || err2 != nil {
		return Range{}, fmt.Errorf("%q is not FIRST-LAST, such as 200000-265535", text)
	}
	if first < least || last > most || last < first {
		return Range{}, fmt.Errorf("%q is not a range of users between %d and %d", text, least, most)
	}
	return Range{first, last}, nil
}

// Zero reports whether there are no users.
func (r Range) Zero() bool { return r == Range{} }

// String returns FIRST-LAST, or nothing for the zero Range.
func (r Range) String() string {
	if r.Zero() {
		return ""
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

func (r Range) has(uid int) bool { return r.First <= uid && uid <= r.Last }

// format is the version of the file.
const format = 1

type document struct {
	Format int            `json:"format"`
	Users  map[string]int `json:"users"` // by the name of the plugin
}

// Book remembers the users of plugins. Its methods are safe for concurrent use. A
// nil Book has none.
type Book struct {
	path   string // empty: in memory only
	within Range

	mu    sync.Mutex
	users map[string]int
}

// Open reads what is remembered in a file, which need not exist yet; an empty
// path remembers nothing. A file that cannot be read is an error: with what is in
// it forgotten, a plugin could get the files of another.
func Open(path string, within Range) (*Book, error) {
	b := &Book{path: path, within: within, users: map[string]int{}}
	if within.Zero() {
		return b, nil
	}
	if err := b.load(); err != nil {
		return nil, fmt.Errorf("read users of plugins: %w", err)
	}
	return b, nil
}

// load reads the file, if there is one.
func (b *Book) load() error {
	if b.path == "" {
		return nil
	}
	text, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var d document
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err == nil && d.Format != format {
		err = fmt.Errorf("its format is %d, not %d", d.Format, format)
	}
	if err == nil {
		err = d.collide()
	}
	if err != nil {
		return fmt.Errorf("%w: mend or remove %s", err, b.path)
	}
	if d.Users != nil {
		b.users = d.Users
	}
	return nil
}

// collide reports two plugins with one user.
func (d document) collide() error {
	owners := map[int]string{}
	for name, uid := range d.Users {
		if other, taken := owners[uid]; taken {
			return fmt.Errorf("user %d is that of %s and of %s", uid, min(name, other), max(name, other))
		}
		owners[uid] = name
	}
	return nil
}

// Of returns the user of a plugin, by its name: the one that it had before, if
// that is in the range, or the one after the highest that anybody has, as long as
// there is one, and then any that nobody has. 0 is that of the host, when the
// range has none.
func (b *Book) Of(name string) (int, error) {
	if b == nil || b.within.Zero() {
		return 0, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if uid := b.users[name]; b.within.has(uid) {
		return uid, nil
	}
	uid, err := b.assign(name)
	if err != nil {
		return 0, fmt.Errorf("give the plugin a user: %w", err)
	}
	return uid, nil
}

// Known returns the user that a plugin has already, or 0.
func (b *Book) Known(name string) int {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if uid := b.users[name]; b.within.has(uid) {
		return uid
	}
	return 0
}

// assign gives a plugin a user and remembers it. Another process may do so for
// another plugin.
func (b *Book) assign(name string) (int, error) {
	unlock, err := b.lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	if err := b.load(); err != nil {
		return 0, err
	}
	if uid := b.users[name]; b.within.has(uid) {
		return uid, nil
	}
	uid, ok := b.free()
	if !ok {
		return 0, fmt.Errorf("none is left among %s: make the range larger", b.within)
	}
	before, had := b.users[name]
	b.users[name] = uid
	if err := b.save(); err != nil {
		if delete(b.users, name); had {
			b.users[name] = before
		}
		return 0, err
	}
	return uid, nil
}

// lock keeps other processes from the file, by its directory.
func (b *Book) lock() (unlock func(), err error) {
	if b.path == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(filepath.Dir(b.path), 0o700); err != nil {
		return nil, err
	}
	dir, err := os.Open(filepath.Dir(b.path))
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return func() { _ = dir.Close() }, nil // which unlocks it
}

// free finds a user that no plugin has. One that was given late is not given again
// early, in case that files of its plugin are left somewhere.
func (b *Book) free() (int, bool) {
	taken := make(map[int]bool, len(b.users))
	next := b.within.First
	for _, uid := range b.users {
		taken[uid] = true
		if b.within.has(uid) {
			next = max(next, uid+1)
		}
	}
	if next <= b.within.Last {
		return next, true
	}
	for uid := b.within.First; uid <= b.within.Last; uid++ {
		if !taken[uid] {
			return uid, true
		}
	}
	return 0, false
}

// save writes the file in one piece.
func (b *Book) save() error {
	if b.path == "" {
		return nil
	}
	text, err := json.MarshalIndent(document{format, b.users}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteText(b.path, append(text, '\n'))
}
