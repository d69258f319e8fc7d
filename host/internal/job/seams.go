package job

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"time"

	"geomill/sdk/ogc"
)

// Catalog knows the processes that can be executed now.
type Catalog interface {
	// Process returns a process by id. It fails with ErrNoSuchProcess, or
	// with an *UnavailableError when the process, which is then returned too,
	// is known but its plugin cannot run it now.
	Process(id string) (*Process, error)
	// Processes returns all processes sorted by id, the unavailable ones
	// included. The caller does not change what it gets.
	Processes() []*Process
	// Await waits until the process is known, or, with an empty id, all are
	// that the host has when it starts. It waits at the start of the host
	// only, for a bounded time, and returns at once ever after; what did not
	// come by then is not known. It fails with the cause of the end of ctx.
	Await(ctx context.Context, id string) error
}

// Store keeps job records, orders and outputs. It is narrow and dumb: the
// rules are in Service. Package jobtest holds its meaning as a test suite.
type Store interface {
	// Create writes a new job with its order and returns it with its
	// Revision, once it is on disk. It fails with ErrExists when the id is
	// taken, also by a deleted job.
	Create(ctx context.Context, j Job, o Order) (Job, error)
	// Update replaces the record if its Revision is still the stored one,
	// and fails with ErrConflict if not, with ErrNoSuchJob if it is gone. It
	// returns once the change is on disk. outputs, when not nil, are stored
	// with it in the same transaction; a file among them is taken over, not
	// copied. Its old name may stay, as another attempt may need it until the
	// change is on disk; the caller removes it. After a failed Update the store keeps
	// nothing of them.
	Update(ctx context.Context, j Job, outputs map[string]Value) (Job, error)
	// Get returns a job. It fails with ErrNoSuchJob, or with ErrGone for a
	// job that was deleted not long ago.
	Get(ctx context.Context, id string) (Job, error)
	// Order returns what the job was asked to do.
	Order(ctx context.Context, id string) (Order, error)
	// Output returns one output of a successful job. It fails with
	// ErrNotAvailable when the job has no such output.
	Output(ctx context.Context, id, name string) (Value, error)
	// Reusable returns the newest successful job with this Digest, which is
	// not empty, that a plugin of this hash ran. It fails with ErrNoSuchJob
	// when there is none.
	Reusable(ctx context.Context, digest, pluginHash string) (Job, error)
	// List returns at most limit jobs that match, newest first.
	List(ctx context.Context, f Filter, c Cursor, limit int) (Page, error)
	// Delete removes the job, its order and outputs, if the revision is
	// still the stored one; Get then fails with ErrGone for a while.
	Delete(ctx context.Context, id string, revision uint64) error
	// Watch yields the changes with a revision above from, oldest first,
	// and then those to come, until ctx ends. The store remembers a bounded
	// number of changes: when from is older than that, or the reader is too
	// slow, it yields ErrBehind and ends; the caller lists and watches anew
	// from the newest revision it has seen.
	Watch(ctx context.Context, from uint64) iter.Seq2[Change, error]
	// Revision returns that of the newest change; Watch from there yields
	// those to come only.
	Revision(ctx context.Context) (uint64, error)
}

// Change is one write to a Store.
type Change struct {
	Revision uint64
	Job      Job  // as it is after the change
	Deleted  bool // Job is then as it was before
}

// Filter selects jobs. The zero value selects all; values within one member
// are alternatives, members combine with AND (spec 5.2).
type Filter struct {
	ProcessIDs []string
	Statuses   []ogc.Status
	// CreatedFrom and CreatedTo bound Created, inclusive; zero is open.
	CreatedFrom, CreatedTo time.Time
	// MinDuration and MaxDuration bound the run time, inclusive: Finished (or
	// Now, while running) minus Started. Jobs that never started do not match
	// when one is set.
	MinDuration, MaxDuration *time.Duration
	Now                      time.Time
}

// Cursor is a place in the list of jobs: the zero value is its start.
type Cursor struct {
	// After is the id of the job next to which the page begins, exclusive.
	After string
	// Newer turns the direction: the page holds the jobs just newer than
	// After. It is still ordered newest first.
	Newer bool
}

// Page is a part of the list of jobs.
type Page struct {
	Jobs []Job
	// Older and Newer say whether matching jobs follow in that direction.
	Older, Newer bool
}

// Queue brings accepted jobs to someone who runs them.
//
// Which of the tickets that are due is the next follows from three rules. A
// ticket is held back, and holds up no other, while its process has no room.
// Priorities share the claims by their weights. Among tickets of one priority
// the callers take turns: a caller with new tickets comes after those that had
// some, and whoever is served comes last again. What a caller has for one process
// with one priority is claimed in the order it is due.
type Queue interface {
	// Enqueue adds a ticket. Adding the same job id again changes nothing.
	// It fails with ErrBusy when the queue is full.
	Enqueue(ctx context.Context, t Ticket) error
	// Claim waits until at least one ticket is ready and returns at most
	// free of them. It ends with ctx's error. room, unless nil, says how many
	// leases a process may have at once, where 0 is any number; it is asked
	// under the queue's lock.
	Claim(ctx context.Context, free int, room func(processID string) int) ([]Lease, error)
	// Cancel removes a queued ticket and reports true, or tells the holder
	// of the lease (its next Heartbeat fails with ErrCancelled).
	Cancel(ctx context.Context, id string) (removed bool, err error)
	// Depth returns how many tickets wait, due or not, and how many of them
	// are the caller's.
	Depth(ctx context.Context, caller string) (all, callers int, err error)
	// Standing returns where a ticket waits. It costs so little that it can be
	// asked for every job of a page.
	Standing(ctx context.Context, id string) (Standing, error)
}

// Standing is where a ticket waits. The zero value stands for one that does not.
type Standing struct {
	// Position is about how many tickets are claimed up to this one, itself
	// included, were all to have room and none to be added. It is exact while
	// one caller with one priority has tickets.
	Position int
	// Of is how many tickets are due.
	Of int
	// Due is set, and the others are not, for a ticket that is not due yet.
	Due time.Time
}

// Ticket stands for a job in a queue.
type Ticket struct {
	JobID     string
	ProcessID string
	Caller    string // who takes turns with others
	Priority  Priority
	NotBefore time.Time // zero: at once
	// Readmit marks a job that was accepted before: the limit of the queue
	// does not hold for it.
	Readmit bool
}

// Lease is the right to run one job. It must be renewed by Heartbeat within
// the queue's lease time, or another may claim the job.
type Lease interface {
	Ticket() Ticket
	// Heartbeat renews the lease. It fails with ErrLost when another may
	// hold the job by now and with ErrCancelled after Queue.Cancel.
	Heartbeat(ctx context.Context) error
	// Done ends the lease and removes the ticket.
	Done(ctx context.Context) error
	// Release ends the lease and puts the ticket back, due after delay.
	Release(ctx context.Context, delay time.Duration) error
}

// Executor runs one attempt of a job.
type Executor interface {
	// Execute runs the attempt, hands its events to ev (from one goroutine)
	// and returns its outputs. Files among them are in the attempt's
	// directory and are the caller's. When ctx ends it stops the work and
	// returns with ctx's cause at the latest a bounded time after the
	// attempt's Grace. Failures are *Failure or *UnavailableError.
	Execute(ctx context.Context, a Attempt, ev Events) (map[string]Value, error)
}

// Resumer is an Executor of attempts that can go on while no host runs.
type Resumer interface {
	// Resumable returns the attempt of a job that an earlier host began and
	// that has gone on, or ended, since; nil when there is none. Each can be
	// asked for once.
	Resumable(jobID string, attempt int) *Resumption
	// Resume is Execute for such an attempt, whose inputs are in place.
	Resume(ctx context.Context, a Attempt, ev Events) (map[string]Value, error)
	// Forget is called when the outcome of an attempt that could have gone on
	// is recorded.
	Forget(jobID string)
	// Abandon ends those attempts that were not asked for.
	Abandon()
}

// Resumption is what a host has to know of an attempt that it takes over.
type Resumption struct {
	Process *Process  // as of the start
	Began   time.Time // when the attempt did
}

// Attempt is one run of one job.
type Attempt struct {
	JobID   string
	Number  int // 1 for the first
	Process *Process
	Inputs  map[string]Value
	// Outputs lists what is wanted, with the media type if the client chose
	// one; nil means everything.
	Outputs map[string]string
	// JobDir is the directory of the job (absolute), which has Dir and
	// Checkpoint in it and nothing of another job; see PlaceIn. Like Dir it need
	// not exist.
	JobDir string
	// Dir is the directory of the attempt (absolute). It need not exist:
	// whoever needs it first makes it. The service removes it.
	Dir string
	// Checkpoint is a directory (absolute) that all attempts of the job share,
	// or empty when it has no other attempt. Like Dir it need not exist.
	Checkpoint string
	Grace      time.Duration // between asking the work to stop and stopping it
	// Leave is closed when the host stops, if the attempt may go on without it;
	// Execute then returns ErrDetached at once, unless ctx has ended. Nil: the
	// attempt ends with the host.
	Leave <-chan struct{}
	// Console takes the lines of the standard streams (FromStdout, FromStderr)
	// that are this job's for certain, before Execute returns, from any
	// goroutine; fields is a JSON object or nil. Nil when nobody keeps them.
	Console func(stream string, level slog.Level, line string, fields json.RawMessage)
}

// Events receives what an attempt reports while it runs.
type Events interface {
	Progress(percent float64, message string)
	// Log takes one line; fields is a JSON object or nil.
	Log(level slog.Level, message string, fields json.RawMessage)
	// Moved says, before the attempt starts, that another version of its
	// process runs it, as that was replaced meanwhile. It may add inputs to
	// those of the attempt. The attempt ends with the error, if there is one.
	Moved(p *Process) error
}
