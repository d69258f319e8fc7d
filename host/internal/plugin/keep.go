package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"geomill/host/internal/plugin/atomicfile"
)

const (
	keepFile   = "plugins.json"
	keepFormat = 1
	// keptMode lets a plugin's own user execute what it cannot reach by name.
	keptMode      = 0o555
	keptPlainMode = 0o444
)

// Previous is the version that served before the one that serves now, kept to
// go back to.
type Previous struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Hash    string    `json:"hash"` // SHA-256, hexadecimal
	Since   time.Time `json:"since"`
}

// ruling is the decision that one content of a plugin's file is not served.
type ruling struct {
	Hash    string `json:"hash"`              // of that content
	Instead string `json:"instead,omitempty"` // hash of the kept content that serves in its place; empty: none
	Reason  string `json:"reason"`
	// Firm rulings are the host's: only a forced reload lifts them. Others are
	// the operator's, who takes them back with any reload.
	Firm bool `json:"firm,omitempty"`
	// Breaks says that it is about breaking clients, which the operator may allow.
	Breaks bool `json:"breaks,omitempty"`
}

// keep remembers, beyond the end of the host, the previous version of each
// plugin, with its executable, and the ruling about its file. In the memory of
// the host alone it remembers rulings, but keeps no version.
type keep struct {
	dir string // empty: in memory only

	mu  sync.Mutex
	doc keepDoc
}

type keepDoc struct {
	Format  int                   `json:"format"`
	Plugins map[string]keptPlugin `json:"plugins"` // by file name
}

type keptPlugin struct {
	Previous *Previous `json:"previous,omitempty"`
	Ruling   *ruling   `json:"ruling,omitempty"`
}

// openKeep reads what is remembered in dir. The error says why that could not be
// used; nothing is then remembered.
func openKeep(dir string) (*keep, error) {
	k := &keep{dir: dir, doc: keepDoc{Format: keepFormat, Plugins: map[string]keptPlugin{}}}
	if dir == "" {
		return k, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, keepFile))
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	var doc keepDoc
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		return k, fmt.Errorf("read previous versions of plugins: %w", err)
	}
	if doc.Format == keepFormat && doc.Plugins != nil {
		k.doc = doc
	}
	return k, nil
}

// of returns what is remembered about a plugin.
func (k *keep) of(file string) keptPlugin {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.doc.Plugins[file]
}

// rule sets the ruling about a plugin's file, or lifts it with nil.
func (k *keep) rule(file string, r *ruling) error {
	return k.change(file, func(p *keptPlugin) { p.Ruling = r })
}

// change changes what is remembered about a plugin, and writes it down. What is
// left of nothing is forgotten.
func (k *keep) change(file string, how func(*keptPlugin)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.doc.Plugins[file]
	before := p
	how(&p)
	if p == before {
		return nil
	}
	k.doc.Plugins[file] = p
	if p == (keptPlugin{}) {
		delete(k.doc.Plugins, file)
	}
	if k.dir == "" {
		return nil
	}
	text, err := json.MarshalIndent(k.doc, "", "  ")
	if err == nil {
		err = atomicfile.WriteText(filepath.Join(k.dir, keepFile), text)
	}
	if err != nil {
		return fmt.Errorf("remember plugin %s: %w", file, err)
	}
	return nil
}

// save keeps a copy of an executable as the previous version of its plugin, in
// the place of the one before.
func (k *keep) save(exe *executable, d description) error {
	if k.dir == "" {
		return errors.New("no directory is set for it")
	}
	exe, err := exe.clone()
	if err != nil {
		return err
	}
	defer exe.close()
	dir := k.dirOf(exe.name)
	if err := exe.copyTo(filepath.Join(dir, exe.hash)); err != nil {
		return err
	}
	err = k.change(exe.name, func(p *keptPlugin) {
		p.Previous = &Previous{Name: d.Info.Name, Version: d.Info.Version, Hash: exe.hash, Since: time.Now()}
	})
	return errors.Join(err, k.tidy(dir, exe.hash))
}

// copyTo makes a copy of what a plugin consists of: a file, or a directory with
// the files of a manifest.
func (e *executable) copyTo(path string) error {
	if e.bundle == nil {
		return e.copyFile(path, keptMode)
	}
	for _, t := range e.bundle.tools {
		if err := t.copyFile(filepath.Join(path, filepath.Base(t.path)), keptMode); err != nil {
			return err
		}
	}
	return e.copyFile(filepath.Join(path, e.bundle.base), keptPlainMode)
}

func (e *executable) copyFile(path string, mode fs.FileMode) error {
	if fi, err := os.Stat(path); err == nil && fi.Size() == e.id.Size {
		return nil
	}
	sum := sha256.New()
	return atomicfile.Write(path, mode, func(w io.Writer) error {
		_, err := io.Copy(io.MultiWriter(w, sum), io.NewSectionReader(e.file, 0, e.id.Size))
		if err == nil && hex.EncodeToString(sum.Sum(nil)) != e.content {
			err = errChanged
		}
		return err
	})
}

// tidy removes all copies of a plugin but one.
func (k *keep) tidy(dir, but string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != but {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

var errNoCopy = errors.New("no copy of it is kept")

// open opens the kept executable of a plugin, which has to have the hash still.
// path is what the plugin is told of its own.
func (k *keep) open(file, path, hash string, uid int) (*executable, error) {
	if k.dir == "" {
		return nil, errNoCopy
	}
	c, err := keptCandidate(file, filepath.Join(k.dirOf(file), hash), uid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoCopy
	}
	if err != nil {
		return nil, fmt.Errorf("use the copy of it: %w", err)
	}
	exe, err := openExecutable(c, uid, unhashed)
	if err != nil {
		return nil, err
	}
	if exe.hash != hash {
		exe.close()
		return nil, errChanged
	}
	exe.path = path
	return exe, nil
}

// keptCandidate looks at a copy of a plugin.
func keptCandidate(file, path string, uid int) (candidate, error) {
	c := candidate{file: file, path: path}
	fi, err := os.Lstat(c.path)
	if err == nil && fi.IsDir() {
		name := file
		if IsYAML(file) {
			name = strings.TrimSuffix(file, filepath.Ext(file))
		}
		return keptManifest(c, name, uid)
	}
	if err == nil && fi.Mode().Perm() != keptMode { // of an earlier version of the host
		if err = os.Chmod(c.path, keptMode); err == nil {
			fi, err = os.Lstat(c.path)
		}
	}
	if err != nil {
		return c, err
	}
	c.id = identify(fi)
	return c, nil
}

// keptManifest looks at a directory with a copy of a manifest and its tools.
func keptManifest(c candidate, name string, uid int) (candidate, error) {
	base, tools, wrong := manifestOf(c.path, name)
	if wrong == nil && base == "" {
		wrong = &unfit{reason: "there is no manifest in " + c.path}
	}
	if wrong != nil {
		return c, wrong
	}
	c.path = filepath.Join(c.path, base)
	if c, wrong = examineManifest(c, tools, uid); wrong != nil {
		return c, wrong
	}
	return c, nil
}

// unhashed is for who trusts no hash from before.
func unhashed(string, identity) string { return "" }

// forget drops all about a plugin that is gone.
func (k *keep) forget(file string) error {
	err := k.change(file, func(p *keptPlugin) { *p = keptPlugin{} })
	if k.dir != "" {
		err = errors.Join(err, os.RemoveAll(k.dirOf(file)))
	}
	return err
}

func (k *keep) dirOf(file string) string {
	return filepath.Join(k.dir, url.PathEscape(file)+".d")
}

// clone returns another hold on the same opened file.
func (e *executable) clone() (*executable, error) {
	f, err := e.duplicate()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	files, err := e.bundle.clone()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &executable{name: e.name, path: e.path, id: e.id, content: e.content, hash: e.hash, bundle: files, file: f}, nil
}
