package host

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const keySize = 32 // bytes

// cursorKey returns the key that signs cursors. It is kept in a file, so that a
// client reads on in a list when the host was started anew meanwhile. Nobody else
// may use the directory at the same time.
func cursorKey(dir string) ([]byte, error) {
	name := filepath.Join(dir, cursorKeyFile)
	key, err := os.ReadFile(name)
	if err == nil && len(key) == keySize {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read cursor key: %w", err)
	}
	key = make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	if err := os.WriteFile(name, key, 0o600); err != nil {
		return nil, fmt.Errorf("write cursor key: %w", err)
	}
	return key, nil
}
