package job

import (
	"context"

	"geomill/sdk/ogc"
)

// Archive is what a Store offers to keep within bounds what it holds. It is a
// part of a Store, as Outbox is; package jobtest holds its meaning as a test
// suite.
type Archive interface {
	// Usage returns how much is kept. It costs little, however many jobs
	// there are.
	Usage() Usage
	// Ended returns the first finished jobs of some groups, at most limit, in
	// the order of their revisions, which is the order in which they ended.
	// They are above the revision after.
	Ended(ctx context.Context, groups []Group, after uint64, limit int) ([]Job, error)
	// Remove deletes finished jobs as Delete does, many at once, and returns
	// the ids of those that it has deleted. It leaves those whose revision is
	// not the stored one, and those that are gone.
	Remove(ctx context.Context, jobs []Job) ([]string, error)
	// Hold keeps the output files of a job where they are, even when the job
	// is removed meanwhile, until as many calls of release.
	Hold(id string) (release func())
	// Tidy removes files that no record leads to and returns how many jobs
	// they were of. It looks at every stored file.
	Tidy(ctx context.Context) (int, error)
}

// Usage is how much a Store keeps.
type Usage struct {
	Finished map[Group]Kept
	// Active is the bytes of accepted and running jobs, Held those of removed
	// jobs whose files are still held.
	Active, Held int64
	// Revision is that of the last write.
	Revision uint64
}

// Group is the finished jobs of a process with one status.
type Group struct {
	ProcessID string
	Status    ogc.Status
}

// Kept is a number of jobs and their Size together.
type Kept struct {
	Jobs  int
	Bytes int64
}

// Add returns the sum of both.
func (k Kept) Add(other Kept) Kept { return Kept{k.Jobs + other.Jobs, k.Bytes + other.Bytes} }

// Bytes returns the size of all that is kept.
func (u Usage) Bytes() int64 {
	n := u.Active + u.Held
	for _, k := range u.Finished {
		n += k.Bytes
	}
	return n
}

// recordSize is about what the database needs for a job without inputs and
// outputs, in bytes.
const recordSize = 1 << 10

// Size returns about how many bytes the job takes, its log included. It depends on
// nothing that changes while the job is finished.
func (j Job) Size() int64 {
	n := recordSize + j.InputSize + j.LogSize
	for _, o := range j.Outputs {
		n += o.Size
	}
	return n
}

// inlineSize is the bytes of an order's inputs that are no files.
func (o Order) inlineSize() (n int64) {
	for _, v := range o.Inputs {
		if v.File == "" {
			n += v.Len()
		}
	}
	return n
}
