package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	badger "github.com/dgraph-io/badger/v4"
)

// Logs hands over the logs of the snapshot's jobs, under their paths in the
// store. A log only grows: it may have lines that are newer than the snapshot, and
// is left out when its job was removed meanwhile.
func (n *Snapshot) Logs(ctx context.Context, add Add) error {
	dirs, err := filepath.Glob(n.store.path(logsDir, "??"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := n.logsIn(ctx, dir, add); err != nil {
			return fmt.Errorf("logs: %w", err)
		}
	}
	return nil
}

func (n *Snapshot) logsIn(ctx context.Context, path string, add Add) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(heldBatch)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := errors.Join(ctx.Err(), n.addLog(filepath.Join(path, name), add)); err != nil {
				return err
			}
		}
	}
}

func (n *Snapshot) addLog(path string, add Add) error {
	i, ok := parseID(filepath.Base(path))
	if !ok {
		return nil
	}
	_, err := n.txn.Get(jobKey(i))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	name, err := filepath.Rel(n.store.config.Dir, path)
	if err != nil {
		return err
	}
	// A line that a crash had cut may be cut off meanwhile: empty lines stand for it.
	return add(filepath.ToSlash(name), info.Size(), io.MultiReader(f, lineFeeds{}))
}

// lineFeeds is an endless reader.
type lineFeeds struct{}

func (lineFeeds) Read(b []byte) (int, error) {
	for n := range b {
		b[n] = '\n'
	}
	return len(b), nil
}
