// Package archive is the format of a backup: a tar file, compressed with zstd,
// of regular files that are called parts. The first, geomill-backup.json, says
// which format follows, who wrote it and when; the last, end.json, holds a digest
// of the names, sizes and contents of all others, so that a backup that was cut
// off or altered is told from a whole one. Both ends stream: memory does not grow
// with the backup. The package knows nothing of what the parts mean and imports
// nothing of the host. Its central types are Writer and Reader.
package archive

import (
	"errors"
	"fmt"
	"hash"
	"time"
)

// Format is the version of the format that Writer writes and Reader reads.
const Format = 1

const (
	manifestName = "geomill-backup.json"
	endName      = "end.json"

	maxStatement = 64 << 10 // bytes of the first part and of the last
	maxName      = 1 << 10  // bytes of the name of a part
	windowSize   = 1 << 20  // bytes the compression looks back
	maxWindow    = 8 << 20  // bytes a reader lets it look back
)

// ErrDamaged is the error of a backup that is not as it was written.
var ErrDamaged = errors.New("the backup is damaged or cut off")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
}

// Manifest is what a backup says of itself.
type Manifest struct {
	Format  int       `json:"format"`
	Program string    `json:"geomill"` // version of the program that wrote it
	Created time.Time `json:"created"`
}

// Summary is the last part of a backup. Parts and Bytes count what is between
// it and the manifest.
type Summary struct {
	Parts  int    `json:"parts"`
	Bytes  int64  `json:"bytes"`
	Jobs   int    `json:"jobs"`
	SHA256 string `json:"sha256"`
}

// include puts the name and the size of a part into a digest; its content
// follows. No two lists of parts give the same bytes.
func include(digest hash.Hash, name string, size int64) {
	fmt.Fprintf(digest, "%d:%s:%d:", len(name), name, size)
}
