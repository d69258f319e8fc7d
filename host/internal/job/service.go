package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"geomill/sdk/ogc"

	"github.com/google/uuid"
)

// Config is what a Service is made of. The seams, Dir and Logger are required.
type Config struct {
	Catalog  Catalog
	Store    Store
	Queue    Queue
	Executor Executor
	Logger   *slog.Logger
	// Callbacks calls subscribers back; optional: without it none is called.
	Callbacks Callbacks
	// Logs keeps the logs of jobs; optional: without it a log is what the
	// record tells.
	Logs Logs
	// LogMaxBytes is the most that the log of a job takes, in bytes; default
	// 1 MiB, at least MinLogBytes.
	LogMaxBytes int64
	// Archive keeps finished jobs within the limits below; optional: without it
	// there are none.
	Archive Archive
	// Dir holds a directory per job with its large inputs and its attempts'
	// files. It is on the file system of the store's outputs.
	Dir string
	// WorkDir is where the executor places the directories of jobs while their
	// attempts run, each in a directory of its own, on the file system of Dir;
	// optional: see Attempt.PlaceIn.
	WorkDir string

	Slots      int           // queued jobs that run at once; default 2 a processor, at least 4
	SyncSlots  int           // sync executions at once; default 256
	Timeout    time.Duration // of an attempt without a policy of its own; default 1 h
	MaxTimeout time.Duration // that a request may ask for; default: the attempt's own, whatever that is
	Grace      time.Duration // between asking an attempt to stop and stopping it; default 5 s
	MaxWait    time.Duration // longest wait=N that is honoured; default 60 s
	Drain      time.Duration // how long running jobs may go on at a stop; default 10 s
	SweepEvery time.Duration // between searches for what no job needs and jobs that go; default 1 min
	// QueueLimit refuses async requests while so many jobs wait, before
	// anything is fetched or written; 0 leaves that to the queue.
	QueueLimit int
	// CallerLimit is how many jobs of one caller may wait, where there is a
	// QueueLimit; 0: as many as there are places.
	CallerLimit int
	// QueueTimeout is how long a job may wait for its first start, from when it
	// is due, unless its process says so; 0: for ever.
	QueueTimeout time.Duration
	// RecordSync keeps a record of every sync execution.
	RecordSync bool

	// Fetcher gets inputs by reference; nil accepts none.
	Fetcher Fetcher
	// CheckJSON reads to the end of what is to be one JSON value in UTF-8 and
	// says, for clients, what is wrong with it, in bounded memory. It is
	// required with a Fetcher.
	CheckJSON    func(io.Reader) error
	FetchBytes   int64         // of all references of a request together; default 1 GiB
	FetchTimeout time.Duration // of all references of a request together; default 60 s

	// Retention says what is kept of the finished jobs of a process; nil keeps
	// all. Retain holds for the jobs of all processes together (no Age).
	Retention func(processID string) Retention
	Retain    Limit
	// DiskQuota is how many bytes all jobs together may take: records, outputs,
	// logs and the files in Dir and WorkDir. Zero sets no limit.
	DiskQuota int64

	Now func() time.Time // default time.Now
	// Elapsed is the time since some fixed moment, on a clock that nobody sets;
	// default is since the start of the machine.
	Elapsed func() time.Duration
}

func (c *Config) validate() error {
	var missing []string
	for name, unset := range map[string]bool{
		"Catalog": c.Catalog == nil, "Store": c.Store == nil, "Queue": c.Queue == nil,
		"Executor": c.Executor == nil, "Logger": c.Logger == nil, "Dir": c.Dir == "",
	} {
		if unset {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("job service needs %s", strings.Join(missing, ", "))
	}
	if c.Fetcher != nil && c.CheckJSON == nil {
		return errors.New("job service needs CheckJSON with a Fetcher")
	}
	c.Dir = filepath.Clean(c.Dir)
	setDefault(&c.LogMaxBytes, 1<<20)
	if c.LogMaxBytes < MinLogBytes {
		return fmt.Errorf("job service: the limit of a log is %d bytes, less than %d", c.LogMaxBytes, MinLogBytes)
	}
	setDefault(&c.FetchBytes, 1<<30)
	setDefault(&c.FetchTimeout, time.Minute)
	setDefault(&c.Slots, max(4, 2*runtime.NumCPU()))
	setDefault(&c.SyncSlots, 256)
	setDefault(&c.Timeout, time.Hour)
	setDefault(&c.Grace, 5*time.Second)
	setDefault(&c.MaxWait, time.Minute)
	setDefault(&c.Drain, 10*time.Second)
	setDefault(&c.SweepEvery, time.Minute)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Elapsed == nil {
		c.Elapsed = sinceBoot
	}
	return nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Service holds every rule about jobs: it submits, runs, dismisses and recovers
// them.
type Service struct {
	Config
	live      *registry
	fetching  fetching
	turn      chan struct{} // held while a large input is checked
	syncSlots chan struct{}
	quit      chan struct{} // closed when Run gives up what still runs
	dirs      dirHold
	retaining retaining
	arriving  arrivals
	ends      ends
	overdue   *overdue
	leaving   chan struct{} // closed when the host stops
	resumed   []resumed     // found by Recover, for Run
}

// NewService checks the configuration. It starts nothing: see Run.
func NewService(c Config) (*Service, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &Service{
		Config:    c,
		live:      newRegistry(),
		fetching:  fetching{c.Fetcher, c.CheckJSON, c.FetchBytes, c.FetchTimeout, c.Logger},
		turn:      make(chan struct{}, 1),
		syncSlots: make(chan struct{}, c.SyncSlots),
		quit:      make(chan struct{}),
		retaining: retaining{now: make(chan struct{}, 1)},
		arriving:  arrivals{of: map[string]int{}},
		overdue:   newOverdue(),
		leaving:   make(chan struct{}),
	}, nil
}

// Processes returns all processes, sorted by id.
func (s *Service) Processes() []*Process { return s.Catalog.Processes() }

// Process returns one process, or an error as Catalog.Process.
func (s *Service) Process(id string) (*Process, error) { return s.Catalog.Process(id) }

// Await waits for processes at the start of the host, as Catalog.Await.
func (s *Service) Await(ctx context.Context, id string) error { return s.Catalog.Await(ctx, id) }

// Job returns a recorded job. It fails with ErrNoSuchJob or ErrGone.
func (s *Service) Job(ctx context.Context, id string) (Job, error) {
	j, err := s.Store.Get(ctx, id)
	if err != nil {
		return Job{}, err
	}
	j.Expires = s.expires(j)
	return s.placed(ctx, s.live.overlay(j, s.Now())), nil
}

// Jobs lists recorded jobs, newest first.
func (s *Service) Jobs(ctx context.Context, f Filter, c Cursor, limit int) (Page, error) {
	if f.Now.IsZero() {
		f.Now = s.Now()
	}
	p, err := s.Store.List(ctx, f, c, limit)
	for i, j := range p.Jobs {
		j.Expires = s.expires(j)
		p.Jobs[i] = s.placed(ctx, s.live.overlay(j, f.Now))
	}
	return p, err
}

// Submit checks a request against its process, creates a job and, unless it
// goes to the queue, runs it. It fails with an *InvalidError that names every
// fault, with ErrNoSuchProcess, an *UnavailableError or ErrBusy, and, when the
// job ran and failed within the request, with a *FailedError.
func (s *Service) Submit(ctx context.Context, r Request) (*Execution, error) {
	p, err := s.Catalog.Process(r.ProcessID)
	if err != nil && !passing(err) {
		return nil, err
	}
	held := err
	uid, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a job id: %w", err)
	}
	id := uid.String()
	mode, wait := Negotiate(p.JobControlOptions, r.Prefer, s.MaxWait)
	if held != nil && mode == Sync {
		return nil, held
	}
	arrived, err := s.arrive(ctx, mode, r.Caller)
	if err != nil {
		return nil, err
	}
	defer arrived.depart() // a panic is answered, and the host goes on
	s.live.hold(id)
	defer s.live.drop(id)
	order, err := s.prepare(ctx, p, id, r)
	if err != nil {
		s.removeDir(id)
		return nil, err
	}
	if p.Policy.Deterministic {
		x, err := s.reuse(ctx, p, id, &order, r)
		if err != nil {
			s.removeDir(id)
		}
		if x != nil || err != nil {
			return x, err
		}
	}
	var x *Execution
	if mode == Sync {
		x, err = s.runSync(ctx, p, id, order)
	} else {
		x, err = s.enqueue(ctx, p, id, r, order, wait, &arrived)
	}
	if x != nil {
		x.Timeout = order.Timeout
	}
	return x, err
}

// prepare checks inputs and outputs and makes the order of the job.
func (s *Service) prepare(ctx context.Context, p *Process, id string, r Request) (Order, error) {
	in := s.intake(p, id)
	o, err := in.order(ctx, r)
	if err != nil {
		return Order{}, err
	}
	if len(in.refs) > 0 && len(in.faults) == 0 {
		if err := in.resolve(ctx, o.Inputs); err != nil {
			return Order{}, err
		}
	}
	if err := in.invalid(); err != nil {
		return Order{}, err
	}
	if r.Prefer.Timeout > 0 {
		o.Timeout = s.timeLimit(p.Policy, r.Prefer.Timeout)
	}
	return o, nil
}

func (s *Service) intake(p *Process, id string) *intake {
	return &intake{process: p, dir: s.inputDir(id), turn: s.turn, fetching: s.fetching}
}

// enqueue records an accepted job and puts it in the queue; with wait above
// zero it stays for the end of the job, that long at most.
func (s *Service) enqueue(ctx context.Context, p *Process, id string, r Request, o Order, wait time.Duration, arrived *arrival) (*Execution, error) {
	j, ended, err := s.accept(ctx, p, id, r, o, wait > 0)
	arrived.depart()
	if err != nil {
		s.removeDir(id)
		return nil, err
	}
	if wait <= 0 {
		if j.NotBefore.After(j.Created) {
			j.Message = waitsUntil(j.NotBefore)
		}
		return &Execution{Job: j, Recorded: true}, nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ended:
		return s.recorded(ctx, id)
	case <-timer.C:
	case <-ctx.Done():
	}
	s.live.forget(id, ended)
	if j, err = s.Job(context.WithoutCancel(ctx), id); err != nil { // a host that stops answers too
		return nil, err
	}
	return &Execution{Job: j, Recorded: true}, nil
}

// accept creates the record and the ticket of a job. ended, when asked for, is
// closed at the end of the job.
func (s *Service) accept(ctx context.Context, p *Process, id string, r Request, o Order, await bool) (Job, <-chan struct{}, error) {
	if err := s.overQuota(); err != nil {
		return Job{}, nil, err
	}
	if err := s.syncInputs(o); err != nil {
		return Job{}, nil, err
	}
	now := s.Now()
	j := s.wishes(Job{
		ID: id, ProcessID: p.ID, Plugin: p.Plugin,
		Status: ogc.Accepted, Created: now, Updated: now, Callback: s.calledBack(o), Digest: o.Digest, InputSize: o.inlineSize(),
	}, p, r)
	j.retryPolicy(p.Policy)
	var ended <-chan struct{}
	if await {
		ended = s.live.await(id)
	}
	j, err := s.Store.Create(ctx, j, o)
	if err != nil {
		s.live.forget(id, ended)
		return Job{}, nil, fmt.Errorf("record job: %w", err)
	}
	s.limitWait(j)
	if err := s.Queue.Enqueue(ctx, j.ticket()); err != nil {
		s.overdue.forget(id)
		s.live.forget(id, ended)
		if e := s.Store.Delete(context.WithoutCancel(ctx), id, j.Revision); e != nil {
			err = errors.Join(err, e)
		}
		return Job{}, nil, fmt.Errorf("queue job: %w", err)
	}
	s.countInputs(o)
	return j, ended, nil
}
