package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geomill/sdk/wire"

	"github.com/google/go-cmp/cmp"
)

func TestCacheRemembersUntilTheFileChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := openCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	id := identity{Dev: 1, Inode: 2, Size: 3, Mtime: 4, Ctime: 5}
	d := description{Info: wire.Info{Name: "n", Version: "1"},
		Processes: []wire.Process{describeForTest("p")}}
	c.remember(&executable{path: "/plugins/p", id: id, content: "abc", hash: "abc"}, d)
	if err := c.save(); err != nil {
		t.Fatal(err)
	}
	if c, err = openCache(dir); err != nil {
		t.Fatal(err)
	}
	if got := c.hash("/plugins/p", id); got != "abc" {
		t.Errorf("hash is %q", got)
	}
	got, ok := c.describe("abc")
	if diff := cmp.Diff(d, got); !ok || diff != "" {
		t.Errorf("description: %v\n%s", ok, diff)
	}
	for name, other := range map[string]identity{
		"device": {9, 2, 3, 4, 5}, "inode": {1, 9, 3, 4, 5}, "size": {1, 2, 9, 4, 5}, "mtime": {1, 2, 3, 9, 5}, "ctime": {1, 2, 3, 4, 9},
	} {
		if got := c.hash("/plugins/p", other); got != "" {
			t.Errorf("another %s: %q", name, got)
		}
	}
}

func describeForTest(id string) wire.Process {
	p := wire.Process{Policy: wire.Policy{Isolation: wire.Exclusive, Timeout: time.Second}}
	p.Description.ID = id
	return p
}

func TestBrokenCacheIsEmptyAndWorks(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "{", "[]", `{"format":99,"files":{"x":{"hash":"h"}}}`, strings.Repeat("x", 100)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, cacheFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _ := openCache(dir)
		if got := c.hash("x", identity{}); got != "" {
			t.Errorf("%q: hash %q", content, got)
		}
		c.remember(&executable{path: "p", content: "h", hash: "h"}, description{})
		if err := c.save(); err != nil {
			t.Errorf("%q: %v", content, err)
		}
		again, err := openCache(dir)
		if _, ok := again.describe("h"); !ok || err != nil {
			t.Errorf("%q: not repaired: %v", content, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%q: directory holds %v", content, left)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c, err := openCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := range cacheEntries + 10 {
		c.remember(&executable{path: fmt.Sprint(i), content: fmt.Sprint(i), hash: fmt.Sprint(i)}, description{})
	}
	if err := c.save(); err != nil {
		t.Fatal(err)
	}
	if len(c.doc.Files) != cacheEntries || len(c.doc.Descriptions) != cacheEntries {
		t.Errorf("%d files, %d descriptions", len(c.doc.Files), len(c.doc.Descriptions))
	}
	if _, ok := c.describe(fmt.Sprint(cacheEntries + 9)); !ok {
		t.Error("the newest was evicted")
	}
}

func TestRunDirIsPrivateShortAndSweptWhenItsHostIsGone(t *testing.T) {
	t.Parallel()
	base := filepath.Join(filepath.Dir(quick(t).Dir), "run")
	alive, err := openRunDir(base, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer alive.close()
	dead, err := openRunDir(base, quiet())
	if err != nil {
		t.Fatal(err)
	}
	dead.lock.Close() // as the end of its process would
	next, err := openRunDir(base, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer next.close()
	for path, want := range map[string]bool{alive.path: true, dead.path: false, next.path: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := openRunDir(base, quiet()); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("open to others: %v", err)
	}
	if _, err := openRunDir("/"+strings.Repeat("x", maxRunDir), quiet()); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("long path: %v", err)
	}
}
