package plugin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"geomill/host/internal/plugin/atomicfile"
	"geomill/sdk/wire"
)

const (
	cacheFile    = "plugins.json"
	cacheFormat  = 3
	cacheEntries = 512      // files, and descriptions, kept
	cacheBytes   = 64 << 20 // largest cache file that is read
)

// description is what a plugin says about itself: all that a host needs to
// offer its processes without starting it.
type description struct {
	Info      wire.Info      `json:"info"`
	Processes []wire.Process `json:"processes"`
}

// cache remembers hashes by the identity of a file and descriptions by hash,
// in one file, so that a start of the host starts no plugin. It is only a
// cache: a lost or broken file costs one start of each plugin.
type cache struct {
	dir string // empty: in memory only

	mu    sync.Mutex
	doc   cacheDoc
	dirty bool
}

type cacheDoc struct {
	Format       int                      `json:"format"`
	Files        map[string]cachedFile    `json:"files"`        // by path
	Descriptions map[string]cachedDetails `json:"descriptions"` // by hash
}

type cachedFile struct {
	ID   identity  `json:"id"`
	Hash string    `json:"hash"`
	Used time.Time `json:"used"`
}

type cachedDetails struct {
	description
	Used time.Time `json:"used"`
}

// openCache reads the cache in dir. The error says why what was there could
// not be used; the cache is then empty and works.
func openCache(dir string) (*cache, error) {
	c := &cache{dir: dir}
	err := c.load()
	if err != nil || c.doc.Format != cacheFormat {
		c.doc = cacheDoc{}
	}
	c.doc.Format = cacheFormat
	if c.doc.Files == nil {
		c.doc.Files = map[string]cachedFile{}
	}
	if c.doc.Descriptions == nil {
		c.doc.Descriptions = map[string]cachedDetails{}
	}
	return c, err
}

func (c *cache) load() error {
	if c.dir == "" {
		return nil
	}
	path := filepath.Join(c.dir, cacheFile)
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read plugin cache: %w", err)
	}
	if fi.Size() > cacheBytes {
		return fmt.Errorf("read plugin cache: %s is larger than %d bytes", path, cacheBytes)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read plugin cache: %w", err)
	}
	if err := json.Unmarshal(b, &c.doc); err != nil {
		return fmt.Errorf("read plugin cache %s: %w", path, err)
	}
	return nil
}

// hash returns the hash of the file at path if its identity is the known one,
// else "".
func (c *cache) hash(path string, id identity) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.doc.Files[path]
	if !ok || f.ID != id {
		return ""
	}
	f.Used = time.Now()
	c.doc.Files[path] = f
	return f.Hash
}

// knows reports whether a candidate is described.
func (c *cache) knows(seen candidate) bool {
	hash := c.hash(seen.path, seen.id)
	if hash == "" {
		return false
	}
	if seen.manifest {
		files := []File{{filepath.Base(seen.path), hash}}
		for _, t := range seen.tools {
			files = append(files, File{filepath.Base(t.path), c.hash(t.path, t.id)})
		}
		hash = sum(files)
	}
	_, ok := c.describe(hash)
	return ok
}

// describe returns the description of the plugin with this hash.
func (c *cache) describe(hash string) (description, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.doc.Descriptions[hash]
	if ok {
		d.Used = time.Now()
		c.doc.Descriptions[hash] = d
	}
	return d.description, ok
}

// remember keeps what is known of an admitted plugin, and of all files that it
// consists of, until save writes it down.
func (c *cache) remember(e *executable, d description) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.putFileLocked(e.path, e.id, e.content, now)
	if e.bundle != nil {
		for _, t := range e.bundle.tools {
			c.putFileLocked(t.path, t.id, t.content, now)
		}
	}
	c.putLocked(e.hash, d, now)
}

func (c *cache) putFileLocked(path string, id identity, hash string, now time.Time) {
	if f, ok := c.doc.Files[path]; !ok || f.ID != id || f.Hash != hash {
		c.dirty = true
	}
	c.doc.Files[path] = cachedFile{id, hash, now}
}

func (c *cache) putLocked(hash string, d description, now time.Time) {
	if _, ok := c.doc.Descriptions[hash]; !ok {
		c.dirty = true
	}
	c.doc.Descriptions[hash] = cachedDetails{d, now}
}

// save writes the cache if it has changed, by an atomic rename.
func (c *cache) save() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirty || c.dir == "" {
		return nil
	}
	evict(c.doc.Files, func(f cachedFile) time.Time { return f.Used })
	evict(c.doc.Descriptions, func(d cachedDetails) time.Time { return d.Used })
	if err := c.write(); err != nil {
		return fmt.Errorf("write plugin cache: %w", err)
	}
	c.dirty = false
	return nil
}

func (c *cache) write() error {
	b, err := json.Marshal(c.doc)
	if err != nil {
		return err
	}
	return atomicfile.WriteText(filepath.Join(c.dir, cacheFile), b)
}

// evict removes the entries that were not used for longest until cacheEntries
// are left.
func evict[E any](m map[string]E, used func(E) time.Time) {
	if len(m) <= cacheEntries {
		return
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(used(m[a]).Compare(used(m[b])), cmp.Compare(a, b))
	})
	for _, k := range keys[:len(keys)-cacheEntries] {
		delete(m, k)
	}
}
