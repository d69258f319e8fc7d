// Package plugin finds plugins in a directory, admits them, starts, supervises
// and stops their processes, and runs jobs in them. Its central type is Host,
// which implements job.Catalog and job.Executor. Of Geomill it imports
// host/internal/job, sdk/ogc and sdk/wire, besides its own subpackages; it is the
// only package of the host that knows go-plugin.
//
// A file in the plugins directory, or the executable in a directory of versions
// side by side (layout.go), or a manifest with its tools (tools.go), becomes a version (admit.go): opened, hashed, judged
// (trusted.go), described. A version has a supervisor, which keeps its
// instances; an instance is one operating-system process (child.go) with one
// session. What is offered is an immutable table (catalog.go) that is replaced
// when a version comes or goes; running jobs finish on the version they began
// with.
//
// A version takes over from another only when it breaks no client and has taken
// a session (succeed.go); should it crash soon after, the one before, of which a
// copy is kept (keep.go), is back (trial.go). What the operator wants done
// (order.go) is done by the goroutine that follows the directory (follow.go).
//
// Nothing that an instance has started outlives it (offspring.go), and one whose
// job does not end when it must is ended itself (evict.go). What it may use is
// bounded: by the kernel (limits.go, groups.go), and by a look at it once in a
// while (watchdog.go, allowance.go). Jobs that do not share an instance get theirs
// from a pool (pool.go), which is kept filled and trimmed (tend.go). What happens is
// counted and remembered (ledger.go).
//
// Instances are confined (confine.go) and given the settings of their plugin
// (configure.go), whose secrets nobody else is shown (conceal.go). What jobs work
// with is in the directory of their instance (workdir.go). An instance whose job
// goes on without the host (detached.go) is nobody's but that job's: the next host
// finds it by its record (record.go, resume.go).
//
// A state of an instance ends with what is expected, or at its deadline:
//
//	state        expected                 deadline (Config)                 then
//	starting     handshake line           HandshakeTimeout                  crashed
//	connecting   its info                 ConnectTimeout                    crashed
//	configuring  settings accepted        ... together                      crashed
//	ready        recycled, replaced       HeartbeatMisses checks in a row   wedged
//	             or poisoned: draining
//	draining     its jobs end: stopping   DrainTimeout, or PoisonGrace      stopping
//	stopping     exit                     SIGTERM, SIGKILL: TermAfter,      gone
//	                                      KillAfter; sooner when expelled
//	wedged       exit, after its stacks   dumpPatience, then SIGKILL        gone
//	crashed      exit                     SIGKILL                           gone
//
// and of a plugin without an instance that is ready:
//
//	idle         a job, or Options.Warm   none                              starting
//	crashed      backoff                  BackoffMax                        idle
//	quarantined  a reset, another file    QuarantineFor: one start is tried idle
//
// A start that fails, and an instance that ends although it has no job, count
// against the plugin: BackoffFirst doubles, and CrashLimit of them within
// CrashWindow are a quarantine. A crash under jobs may be the doing of a client
// that must not take the plugin from others: jobs in a shared instance put the
// next start off for at most MaxStartWait, which jobs wait for, and one that had
// its instance alone pays for it alone.
package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/sandbox"
	"geomill/host/internal/plugin/trust"
)

// Host keeps the plugins of a directory. All methods are safe for concurrent
// use.
type Host struct {
	cfg      Config
	log      *slog.Logger
	uid      int
	cache    *cache
	keep     *keep
	lock     *trust.Lock
	keys     trust.Keys
	launcher *launcher
	watchdog *watchdog
	routes   atomic.Pointer[routes]
	ready    chan struct{}
	asked    chan string // ids of processes that requests wait for
	orders   chan *order
	failing  chan struct{} // holds one: a version has lost its trial
	began    atomic.Bool   // Open was called
	opened   atomic.Bool   // and neither Run nor Scan yet
	serves   bool          // jobs, rather than only a scan
	usable   atomic.Bool   // Open has succeeded
	runDir   *runDir
	found    map[string]*instanceRecord // by job: detached instances of earlier hosts, until Abandon

	closing context.Context // ends when stopping supervisors must hurry
	hurry   context.CancelFunc
	leaving sync.WaitGroup // versions on their way out

	mu      sync.Mutex
	entries map[string]*entry // by file name
	doubted map[string]bool   // those to be judged anew, by file name
	stirred chan struct{}     // there are some
	trouble string            // with the directory, which keeps changes in it from being seen
	scan    bool              // only looks: accepts nothing for others to go by
	// detached are the detached instances of this host, by job.
	detached map[string]*instanceRecord
}

var (
	_ job.Catalog  = (*Host)(nil)
	_ job.Executor = (*Host)(nil)
	_ job.Resumer  = (*Host)(nil)
)

// entry is a file in the plugins directory. Only the goroutine in Run or Scan
// changes it, holding Host.mu.
type entry struct {
	file, path, target string
	serving            *version // nil: none
	available          []string // version directories, the highest first
	refused            string   // why the newest content is not served
	accept             string   // the command that settles it, if one does
	distrust           *trust.Refusal
	since              time.Time

	latest    candidate // as last looked at
	seen      sighting  // the same
	seenSince time.Time
	signed    identity // the signature beside it
	tried     sighting // last admitted, or refused
	retry     retry    // when that is tried again
	admitting bool
	missing   time.Time // since when the file is gone; zero: it is there

	notice string   // why what the operator decides now is not in force, or empty
	orders []*order // that wait for the end of the admission
}

// problem says for people what is wrong with the file, or "".
func (e *entry) problem() string {
	if e.refused != "" && e.serving != nil {
		return "new content of the file is refused, the one before goes on: " + e.refused
	}
	return cmp.Or(e.refused, e.notice)
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Host, error) {
	if err := cfg.prepare(); err != nil {
		return nil, fmt.Errorf("configure plugins: %w", err)
	}
	h := &Host{cfg: cfg, log: cfg.Log, uid: os.Geteuid(), ready: make(chan struct{}), asked: make(chan string),
		orders: make(chan *order), failing: make(chan struct{}, 1), entries: map[string]*entry{},
		doubted: map[string]bool{}, stirred: make(chan struct{}, 1), detached: map[string]*instanceRecord{}}
	var err error
	if h.keys, err = trust.ParseKeys(cfg.TrustKeys); err != nil {
		return nil, fmt.Errorf("configure plugins: %w", err)
	}
	h.routes.Store(route(nil))
	h.closing, h.hurry = context.WithCancel(context.Background())
	return h, nil
}

// Ready is closed once the plugins found at the start are admitted or refused,
// or ReadyTimeout has passed.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// Open prepares the directories, so that an operator's mistake shows before
// anything runs. It can be called once; Run gives back what it takes.
func (h *Host) Open() error {
	if h.began.Swap(true) {
		return errors.New("plugins are served already, or were")
	}
	// A directory that is missing may come; a file is a mistake.
	if fi, err := os.Stat(h.cfg.Dir); err == nil && !fi.IsDir() {
		return fmt.Errorf("%s is not a directory", h.cfg.Dir)
	}
	lock, err := trust.Open(h.cfg.LockFile)
	if err != nil {
		return err
	}
	book, err := h.cfg.openUsers()
	if err != nil {
		return err
	}
	if h.runDir, err = openRunDir(h.cfg.RunDir, h.log); err != nil {
		return err
	}
	if err := h.cfg.letUsersPass(h.runDir.path); err != nil {
		h.runDir.close()
		return err
	}
	if h.cfg.WorkDir != "" {
		h.findDetached()
	}
	program, err := openProgram(h.cfg.Program)
	if err != nil {
		h.runDir.close()
		return err
	}
	h.lock = lock
	h.watchdog = newWatchdog(h.log)
	h.launcher = &launcher{cfg: &h.cfg, users: book, runDir: h.runDir.path, machine: sandbox.Probe(), program: program, dog: h.watchdog, groups: &groups{log: h.log}}
	h.launcher.complain()
	if h.cache, err = openCache(h.cfg.CacheDir); err != nil {
		h.log.Warn("what was known about plugins is lost; each is started once", "error", err)
	}
	if h.keep, err = openKeep(h.cfg.KeepDir); err != nil {
		h.log.Warn("what was decided about plugins is lost, and so are their versions before", "error", err)
	}
	h.opened.Store(true)
	h.usable.Store(true)
	return nil
}

// Run serves the plugins directory until ctx ends, and then stops every
// plugin: jobs may finish for StopTimeout. When it returns, none of the
// processes is left. It follows Open and can be called once.
func (h *Host) Run(ctx context.Context) error {
	if !h.opened.Swap(false) {
		return errors.New("plugins are not open")
	}
	defer h.close()
	h.serves = true
	w := newWatch(h.log, h.cfg.Dir)
	defer w.close()
	h.follow(ctx, w)
	return nil
}

// Scan looks at the plugins directory once, admitting what is new, stops
// everything and reports. It takes the place of Open and Run.
func (h *Host) Scan(ctx context.Context) ([]Status, error) {
	if err := h.Open(); err != nil {
		return nil, err
	}
	h.opened.Store(false)
	h.scan = true
	defer h.close()
	if _, _, err := discover(h.cfg.Dir, h.uid); err != nil {
		return nil, err
	}
	scan, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-h.ready:
			cancel()
		case <-scan.Done():
		}
	}()
	h.follow(scan, nil)
	return h.Plugins(), ctx.Err()
}

// close stops everything and gives back the directories.
func (h *Host) close() {
	h.stop()
	h.watchdog.close()
	h.saveCache()
	if h.launcher.program != nil {
		h.launcher.program.close()
	}
	h.runDir.close()
}

// stop ends all instances.
func (h *Host) stop() {
	limit := time.AfterFunc(h.cfg.StopTimeout, h.hurry)
	defer limit.Stop()
	h.mu.Lock()
	for _, e := range h.entries {
		h.leave(e.serving, "the host is shutting down")
	}
	h.mu.Unlock()
	h.leaving.Wait()
	h.hurry()
}

// leave closes a version that is no longer offered; its jobs may finish.
func (h *Host) leave(v *version, reason string) {
	if v != nil {
		v.sup.refuse(reason)
		h.leaving.Go(func() { v.sup.close(h.closing) })
	}
}

func (h *Host) saveCache() {
	if err := h.cache.save(); err != nil {
		h.log.Warn("descriptions of plugins are not kept", "error", err)
	}
}
