package trust

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"geomill/host/internal/plugin/atomicfile"
)

const (
	lockFormat = 1
	lockBytes  = 16 << 20 // largest lock file that is read
	// What is kept: contents of a plugin that nobody pinned, contents of a
	// plugin that the operator pinned, and plugins.
	maxSeen, maxPinned, maxPlugins = 32, 256, 4096
)

// Lock is the lock file: the accepted contents of each plugin. A change is on
// disk when its method returns. All methods are safe for concurrent use, but
// only one process may have the file open for changes.
type Lock struct {
	path string // empty: in memory only

	mu   sync.Mutex
	pins map[string][]Pin // by name in the plugins directory; the last accepted is last
}

// document is the lock file as it is written.
type document struct {
	Format  int              `json:"format"`
	Plugins map[string][]Pin `json:"plugins"`
}

// Open reads the lock file at path, which may be missing. A broken one is an
// error: without it, contents would be trusted that never were.
func Open(path string) (*Lock, error) {
	l := &Lock{path: path, pins: map[string][]Pin{}}
	if path == "" {
		return l, nil
	}
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read lock file: %w", err)
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("lock file %s is writable by group or others: chmod 600 %s", path, path)
	}
	if fi.Size() > lockBytes {
		return nil, fmt.Errorf("lock file %s is larger than %d bytes", path, lockBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read lock file: %w", err)
	}
	if l.pins, err = parse(text); err != nil {
		return nil, fmt.Errorf("lock file %s cannot be used: %w; repair it, or remove it to trust anew", path, err)
	}
	return l, nil
}

// parse reads the text of a lock file.
func parse(text []byte) (map[string][]Pin, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	if d.Format != lockFormat {
		return nil, fmt.Errorf("its format is %d, not %d", d.Format, lockFormat)
	}
	for plugin, pins := range d.Plugins {
		if err := checkName(plugin); err != nil {
			return nil, err
		}
		for _, p := range pins {
			if err := checkHash(p.Hash); err != nil {
				return nil, fmt.Errorf("plugin %s: %w", plugin, err)
			}
			if p.How.rank() == 0 {
				return nil, fmt.Errorf("plugin %s: %q is no way to accept a content", plugin, p.How)
			}
		}
	}
	if d.Plugins == nil {
		d.Plugins = map[string][]Pin{}
	}
	return d.Plugins, nil
}

func checkHash(hash string) error {
	if b, err := hex.DecodeString(hash); err != nil || len(b) != 32 || hex.EncodeToString(b) != hash {
		return fmt.Errorf("%q is not a SHA-256 in 64 lower-case hexadecimal digits", hash)
	}
	return nil
}

func checkName(plugin string) error {
	if plugin == "" || plugin == "." || plugin == ".." || filepath.Base(plugin) != plugin {
		return fmt.Errorf("%q is no name of a plugin in its directory", plugin)
	}
	return nil
}

// Pins returns the accepted contents of a plugin, the last accepted last.
func (l *Lock) Pins(plugin string) []Pin {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.pins[plugin])
}

// Record writes down that a content of a plugin runs, accepted as Judge has
// said. A better way in which it was accepted before stays.
func (l *Lock) Record(plugin string, p Pin) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := !slices.ContainsFunc(l.pins[plugin], func(o Pin) bool { return o.Hash == p.Hash })
	if p.How == Operator && taken {
		return nil // back by the operator, since it was judged
	}
	return l.record(plugin, p)
}

// Pin accepts a content on behalf of the operator, under every policy.
func (l *Lock) Pin(plugin, hash string, now time.Time) (Pin, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.record(plugin, Pin{Hash: hash, Accepted: now, How: Operator}); err != nil {
		return Pin{}, err
	}
	pins := l.pins[plugin]
	return pins[slices.IndexFunc(pins, func(p Pin) bool { return p.Hash == hash })], nil
}

func (l *Lock) record(plugin string, p Pin) error {
	if err := errors.Join(checkName(plugin), checkHash(p.Hash)); err != nil {
		return err
	}
	pins := slices.Clone(l.pins[plugin])
	p.Accepted = p.Accepted.UTC().Truncate(time.Second)
	at := slices.IndexFunc(pins, func(o Pin) bool { return o.Hash == p.Hash })
	if n := count(pins, Operator); p.How == Operator && n >= maxPinned && (at < 0 || pins[at].How != Operator) {
		return fmt.Errorf("%d contents of %s are pinned already: geomill plugin unpin %s", n, plugin, plugin)
	}
	if at < 0 {
		return l.write(plugin, trim(append(pins, p)))
	}
	old := pins[at]
	p = merge(old, p, at == len(pins)-1)
	if p == old {
		return nil
	}
	if p.Accepted.Equal(old.Accepted) {
		pins[at] = p
		return l.write(plugin, pins)
	}
	return l.write(plugin, append(slices.Delete(pins, at, at+1), p))
}

// merge returns the entry of a content that was accepted before as old.
func merge(old, p Pin, newest bool) Pin {
	if p.Name == "" && p.Version == "" {
		p.Name, p.Version = old.Name, old.Version
	}
	if p.How.rank() < old.How.rank() || p.How == old.How && (newest || p.How != Seen) {
		p.How, p.Key, p.Accepted = old.How, old.Key, old.Accepted
	}
	return p
}

func count(pins []Pin, how How) int {
	n := 0
	for _, p := range pins {
		if p.How == how {
			n++
		}
	}
	return n
}

// trim drops the eldest of what nobody pinned.
func trim(pins []Pin) []Pin {
	for _, how := range []How{Seen, Signature} {
		surplus := count(pins, how) - maxSeen
		pins = slices.DeleteFunc(pins, func(p Pin) bool {
			if p.How != how || surplus <= 0 {
				return false
			}
			surplus--
			return true
		})
	}
	return pins
}

// Forget takes back the acceptance of one content of a plugin, or of all if
// hash is empty, and returns what is no longer accepted.
func (l *Lock) Forget(plugin, hash string) ([]Pin, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var gone, left []Pin
	for _, p := range l.pins[plugin] {
		if hash == "" || p.Hash == hash {
			gone = append(gone, p)
		} else {
			left = append(left, p)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	return gone, l.write(plugin, left)
}

// write replaces the entries of a plugin, on disk and then in memory.
func (l *Lock) write(plugin string, pins []Pin) error {
	next := maps.Clone(l.pins)
	if next[plugin] = pins; len(pins) == 0 {
		delete(next, plugin)
	}
	if len(next) > maxPlugins {
		return fmt.Errorf("record plugin %s: the lock file lists %d plugins already: geomill plugin unpin those that are gone", plugin, maxPlugins)
	}
	if l.path != "" {
		text, err := json.MarshalIndent(document{lockFormat, next}, "", "  ")
		if err == nil {
			err = atomicfile.WriteText(l.path, append(text, '\n'))
		}
		if err != nil {
			return fmt.Errorf("write lock file: %w", err)
		}
	}
	l.pins = next
	return nil
}
