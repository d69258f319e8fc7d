package job

import (
	"context"
	"io"
)

// Logs keeps the log of each job: text that only grows, in whole lines. It is as
// narrow and dumb as Store; what the lines mean is LogLine's. Package jobtest
// holds its meaning as a test suite.
type Logs interface {
	// Append adds whole lines, each with its line feed. It need not wait until
	// they are on disk. When it fails, a part of them may be there. A job has
	// one writer at a time.
	Append(ctx context.Context, jobID string, lines []byte) error
	// Open returns the log as it is now, for as long as the reader is open: it
	// may end in the middle of a line, which a crash has cut. The log of a job
	// without one is empty. The caller closes it.
	Open(ctx context.Context, jobID string) (LogReader, error)
	// Remove removes the log of a job, if there is one.
	Remove(ctx context.Context, jobID string) error
}

// LogReader reads a log, from its start at first.
type LogReader interface {
	io.ReadSeekCloser
	// Size returns the length of the log in bytes.
	Size() int64
}
