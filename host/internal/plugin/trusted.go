package plugin

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"geomill/host/internal/plugin/trust"
)

// ErrNoSuchPlugin is the error for a name that the plugins directory lacks.
var ErrNoSuchPlugin = errors.New("no such plugin")

// Verification is what is known about the trust in a plugin.
type Verification struct {
	File    string       `json:"file"` // name in the plugins directory
	Path    string       `json:"path"` // of the file that was hashed
	Policy  trust.Policy `json:"trust"`
	Found   string       `json:"found"`             // SHA-256 of the file now
	Serving string       `json:"serving,omitempty"` // SHA-256 of what serves; empty if nothing does
	Pins    []trust.Pin  `json:"pins"`              // accepted contents, the last accepted last
	// Refusal says why the file, as it is now, may not run; nil if it may.
	Refusal *trust.Refusal `json:"refusal,omitempty"`
}

// TrustPolicy returns the policy that the plugin in a file goes by.
func (h *Host) TrustPolicy(file string) trust.Policy { return h.cfg.optionsOf(file).policy() }

// judge decides whether an opened file may run. Once it has proved to be a
// plugin, the pin is for trust.Lock.Record.
func (h *Host) judge(exe *executable, policy trust.Policy) (trust.Pin, error) {
	exe.mu.Lock()
	defer exe.mu.Unlock()
	c := trust.Content{Plugin: exe.name, Path: exe.path, Hash: exe.hash,
		Bytes: exe.bytes}
	if exe.bundle != nil {
		for _, e := range append([]*executable{exe}, exe.bundle.tools...) {
			c.Files = append(c.Files, trust.Content{Path: filepath.Join(filepath.Dir(exe.path), e.base()), Hash: e.content, Bytes: e.bytes})
		}
	}
	if d, ok := h.cache.describe(exe.hash); ok {
		c.Name, c.Version = d.Info.Name, d.Info.Version
	}
	pin, err := h.lock.Judge(policy, h.keys, c, time.Now())
	if err == nil && pin.How == trust.Signature {
		err = exe.unchanged() // what was hashed is what the signature is of
	}
	return pin, err
}

func (e *executable) bytes() io.Reader { return io.NewSectionReader(e.file, 0, e.id.Size) }

// Verify reads a plugin's file anew and compares it with what is accepted and
// with what serves.
func (h *Host) Verify(file string) (Verification, error) {
	exe, err := h.open(file)
	if err != nil {
		return Verification{}, fmt.Errorf("verify plugin: %w", err)
	}
	defer exe.close()
	v := Verification{File: file, Path: exe.path, Policy: h.cfg.optionsOf(file).policy(), Found: exe.hash, Pins: h.lock.Pins(file)}
	if _, err := h.judge(exe, v.Policy); err != nil {
		refusal, ok := errors.AsType[*trust.Refusal](err)
		if !ok {
			return v, fmt.Errorf("verify plugin: %w", err)
		}
		v.Refusal = refusal
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.entries[file]; e != nil && e.serving != nil {
		v.Serving = e.serving.exe.hash
	}
	return v, nil
}

// Trust accepts what a plugin's file holds now, under every policy, and has it
// admitted at once.
func (h *Host) Trust(file string) (trust.Pin, error) {
	exe, err := h.open(file)
	if err != nil {
		return trust.Pin{}, fmt.Errorf("trust plugin %s: %w", file, err)
	}
	defer exe.close()
	return h.Pin(file, exe.hash)
}

// Pin accepts the content of a plugin with this SHA-256, be it there or not,
// under every policy. A file that has it is admitted at once.
func (h *Host) Pin(file, hash string) (trust.Pin, error) {
	if !h.usable.Load() {
		return trust.Pin{}, errNotOpen
	}
	p, err := h.lock.Pin(file, hash, time.Now())
	if err != nil {
		return trust.Pin{}, fmt.Errorf("pin plugin: %w", err)
	}
	h.log.Info("plugin pinned", "plugin", file, "hash", hash)
	h.reconsider(file)
	return p, nil
}

// Unpin takes back the acceptance of one content of a plugin, or of all if
// hash is empty, and returns what it took back. What may no longer run stops
// being offered.
func (h *Host) Unpin(file, hash string) ([]trust.Pin, error) {
	if !h.usable.Load() {
		return nil, errNotOpen
	}
	gone, err := h.lock.Forget(file, hash)
	if err != nil {
		return nil, fmt.Errorf("unpin plugin %s: %w", file, err)
	}
	if len(gone) == 0 {
		return nil, nil
	}
	h.log.Info("plugin unpinned", "plugin", file, "hashes", len(gone))
	h.reconsider(file)
	return gone, nil
}

// Pins returns the accepted contents of a plugin, the last accepted last.
func (h *Host) Pins(file string) []trust.Pin {
	if !h.usable.Load() {
		return nil
	}
	return h.lock.Pins(file)
}

var errNotOpen = errors.New("plugins are not open")

// open opens and hashes what a plugin's file holds now, whatever is cached.
func (h *Host) open(file string) (*executable, error) {
	if !h.usable.Load() {
		return nil, errNotOpen
	}
	found, skips, err := discover(h.cfg.Dir, h.uid)
	if err != nil {
		return nil, err
	}
	for _, s := range skips {
		if s.file == file {
			return nil, s.unfit
		}
	}
	for _, c := range found {
		if c.file == file {
			return openExecutable(c, h.uid, unhashed)
		}
	}
	return nil, ErrNoSuchPlugin
}

// reconsider has the follower judge a plugin anew.
func (h *Host) reconsider(file string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reconsiderLocked(file)
}

func (h *Host) reconsiderLocked(file string) {
	h.doubted[file] = true
	select {
	case h.stirred <- struct{}{}:
	default: // it will look anyhow
	}
}

// rejudge applies what the operator has decided about plugins meanwhile: what was
// refused is tried again, and what serves and is no longer trusted has to go.
func (f *follower) rejudge() {
	h := f.h
	h.mu.Lock()
	defer h.mu.Unlock()
	for file := range h.doubted {
		e := h.entries[file]
		if e != nil && e.admitting {
			continue // its result will be looked at
		}
		delete(h.doubted, file)
		switch {
		case e == nil:
			continue
		case e.refused != "":
			e.tried, e.retry = sighting{}, retry{}
		}
		if e.serving == nil {
			continue
		}
		_, err := h.judge(e.serving.exe, e.serving.sup.options.policy())
		if _, distrusted := errors.AsType[*trust.Refusal](err); distrusted {
			gone := e.serving
			e.serving = nil
			f.refuse(e, err)
			f.publish()
			h.leave(gone, "its plugin is no longer trusted")
		}
	}
}
