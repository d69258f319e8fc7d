package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/atomicfile"
	"geomill/host/internal/removal"
	"geomill/sdk/ogc"
)

const (
	recordSuffix = ".json"
	// recordLink is the name, in the run directory of a detached instance, of a
	// link to its record: whoever finds it dangling knows that the instance is
	// nobody's.
	recordLink = "record"
)

// instanceRecord is what a host has to know to find a detached instance of one before it.
// It is beside the directory of the instance, out of its reach.
type instanceRecord struct {
	Dir    string `json:"dir"`           // in the run directory; the mark of its processes
	Root   string `json:"root"`          // directory of the instance
	PID    int    `json:"pid"`           // 0: it was about to start
	Born   uint64 `json:"born"`          // clock ticks since the boot
	Boot   string `json:"boot"`          // id of the boot
	Nonce  string `json:"nonce"`         // what it answers when it is asked for its instance id
	Socket string `json:"socket"`        // where it listens
	UID    int    `json:"uid,omitempty"` // that it runs as; 0: the host's

	JobID       string      `json:"job"`
	Attempt     int         `json:"attempt"`
	Began       time.Time   `json:"began"`
	Description ogc.Process `json:"description"`
	Policy      job.Policy  `json:"policy"`
	Plugin      job.Plugin  `json:"plugin"`
	File        string      `json:"file"` // of the plugin, by its name in the plugins directory
	Seen        uint64      `json:"seen"` // number of the last message of the job that was kept
}

func (r *instanceRecord) path() string { return r.Root + recordSuffix }

// save writes the record in one piece.
func (r *instanceRecord) save() error {
	b, err := json.Marshal(r)
	if err == nil {
		err = atomicfile.WriteText(r.path(), b)
	}
	if err != nil {
		return fmt.Errorf("save record of detached instance: %w", err)
	}
	return nil
}

func readRecord(path string) (*instanceRecord, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &instanceRecord{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if r.path() != path {
		return nil, fmt.Errorf("%s is the record of something else", path)
	}
	return r, nil
}

// bootID returns what tells this run of the machine from others.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // none is not that of a record
	return string(bytes.TrimSpace(b))
}

// alive reports whether the process of the record, and none that has got its
// number since, runs.
func (r *instanceRecord) alive() bool {
	if r.PID == 0 || r.Boot == "" || r.Boot != bootID() {
		return false
	}
	var c census
	p, ok := c.look(r.PID)
	return ok && p.born == r.Born && p.bears(r.Dir)
}

// forget removes the record, the directory of the instance and that of its
// socket.
func (r *instanceRecord) forget() error {
	return errors.Join(removal.Tree(r.Root), removal.Tree(r.Dir), removal.Tree(r.path()))
}

// makeDetachedDir makes the run directory of a detached instance, which outlives
// that of the host, with the link to its record.
func (h *Host) makeDetachedDir(uid int) (*instanceRecord, error) {
	fresh, err := os.MkdirTemp(h.cfg.RunDir, "n")
	if err != nil {
		return nil, fmt.Errorf("make run directory: %w", err)
	}
	name := "d" + strings.TrimPrefix(filepath.Base(fresh), "n")
	r := &instanceRecord{Dir: filepath.Join(h.cfg.RunDir, name), Root: filepath.Join(h.cfg.WorkDir, name), Boot: bootID(), UID: uid}
	err = os.MkdirAll(r.Root, 0o700)
	if err == nil {
		err = r.save()
	}
	if err == nil {
		err = os.Symlink(r.path(), filepath.Join(fresh, recordLink))
	}
	if err == nil {
		err = give(uid, fresh, r.Root)
	}
	if err == nil {
		err = os.Rename(fresh, r.Dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make run directory: %w", err), os.RemoveAll(fresh), r.forget())
	}
	return r, nil
}

// findDetached reads the records that earlier hosts left, and ends what was about
// to start or is nobody's.
func (h *Host) findDetached() {
	h.found = map[string]*instanceRecord{}
	records, _ := filepath.Glob(filepath.Join(h.cfg.WorkDir, "d*"+recordSuffix)) // the pattern is right
	for _, path := range records {
		r, err := readRecord(path)
		switch {
		case err != nil:
			h.log.Error("a detached instance is lost", "error", err)
			_ = os.Remove(path)
		case r.PID == 0:
			h.endProcesses(r.Dir)
			_ = errors.Join(removal.Tree(r.Dir), os.Remove(path)) // its jobs' files are brought home
		default:
			h.found[r.JobID] = r
		}
	}
	links, _ := filepath.Glob(filepath.Join(h.cfg.RunDir, "d*", recordLink))
	for _, link := range links {
		if _, err := os.Stat(link); errors.Is(err, fs.ErrNotExist) {
			h.endProcesses(filepath.Dir(link))
			_ = removal.Tree(filepath.Dir(link))
		}
	}
}

func (h *Host) endProcesses(mark string) {
	hunt(h.log, func(p process) bool { return p.bears(mark) })
}

// Keeps reports whether a path in WorkDir is that of a detached instance which
// may go on.
func (h *Host) Keeps(path string) bool {
	for _, r := range h.found {
		if path == r.Root || path == r.path() {
			return true
		}
	}
	return false
}
