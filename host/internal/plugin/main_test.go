package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"geomill/host/internal/job"

	"go.uber.org/goleak"
)

// chaos is the path of the built chaos plugin, and scratch a short path for
// everything else.
var chaos, scratch string

func TestMain(m *testing.M) {
	if dir := os.Getenv("TEST_VICTIM_HOST"); dir != "" {
		victimHost(dir)
		return
	}
	os.Exit(func() int {
		var err error
		if scratch, err = os.MkdirTemp("", "gm"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(scratch)
		if err := os.Chmod(scratch, passable); err != nil { // for plugins with users of their own
			panic(err)
		}
		chaos = filepath.Join(scratch, "chaos")
		if out, err := exec.Command("go", "build", "-o", chaos, "./testdata/chaos").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build chaos plugin: %v\n%s", err, out)
			return 1
		}
		code := m.Run()
		if err := goleak.Find(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// patience bounds every wait; only a hang is longer.
const patience = time.Minute

// bench is a plugins directory with a host on it.
type bench struct {
	t    testing.TB
	host *Host
	dir  string
	logs *logBuffer
	cfg  Config
	stop func()
}

// quick is a configuration for tests: what is wrong is noticed soon, what only
// takes long on a busy machine is not taken for wrong.
func quick(t testing.TB) Config {
	t.Helper()
	base, err := os.MkdirTemp(scratch, "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	dir := filepath.Join(base, "plugins")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return Config{
		Dir: dir, CacheDir: filepath.Join(base, "cache"), RunDir: filepath.Join(base, "run"), WorkDir: filepath.Join(base, "work"),
		// For scripts that hand over to the chaos plugin.
		Options:          func(string) Options { return Options{Read: []string{chaos}} },
		HandshakeTimeout: patience, ConnectTimeout: patience, ReadyTimeout: patience, MaxInstances: 2,
		HeartbeatEvery: 200 * time.Millisecond, HeartbeatMisses: 20, BackoffFirst: 10 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
		TermAfter: time.Second, KillAfter: 2 * time.Second, StopTimeout: time.Second,
		ExitGrace: time.Second, ReportWait: 10 * time.Second, // a busy machine is late
		Settle: 30 * time.Millisecond, RescanEvery: 100 * time.Millisecond,
	}
}

// serve runs a host on cfg until the test ends and waits until it is ready.
func serve(t testing.TB, cfg Config) *bench {
	t.Helper()
	b := begin(t, cfg)
	select {
	case <-b.host.Ready():
	case <-time.After(patience):
		t.Fatal("host is not ready")
	}
	return b
}

// begin is serve without the wait.
func begin(t testing.TB, cfg Config) *bench {
	t.Helper()
	b := &bench{t: t, dir: cfg.Dir, logs: &logBuffer{}}
	cfg.Log = slog.New(slog.NewJSONHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.host, b.cfg = h, h.cfg
	if err := h.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("host did not stop")
		}
	})
	t.Cleanup(func() {
		b.stop()
		if t.Failed() {
			t.Log(b.logs.String())
		}
	})
	return b
}

// install puts a copy of the chaos plugin into dir, by rename. The edition is
// the version it reports.
func install(t testing.TB, dir, name, edition string) string {
	t.Helper()
	b, err := os.ReadFile(chaos)
	if err != nil {
		t.Fatal(err)
	}
	if edition == "" {
		edition = name // what is the same byte for byte is known by the other's description
	}
	return place(t, dir, name, append(b, fmt.Sprintf("\x00%015d#v=%s", 0, edition)...), 0o755)
}

func place(t testing.TB, dir, name string, content []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	// A program that is open for writing does not start, and a fork for another test
	// keeps it open for a moment.
	syscall.ForkLock.RLock()
	err := os.WriteFile(path+".tmp", content, mode)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// run executes a process and returns what it put out.
func (b *bench) run(ctx context.Context, id string) (answer, error) {
	return b.runWith(ctx, id, nil, 200*time.Millisecond)
}

func (b *bench) runWith(ctx context.Context, id string, in map[string]job.Value, grace time.Duration) (answer, error) {
	b.t.Helper()
	p, err := b.host.Process(id)
	if p == nil {
		return answer{}, fmt.Errorf("process %s: %w", id, err)
	}
	out, err := b.host.Execute(ctx, b.attempt(p, in, grace), &events{})
	if err != nil {
		return answer{}, err
	}
	a := answer{raw: out}
	json.Unmarshal(out["out"].JSON, &a)
	return a, nil
}

// attempt is the first of a new job.
func (b *bench) attempt(p *job.Process, in map[string]job.Value, grace time.Duration) job.Attempt {
	id := newID()
	dir := filepath.Join(filepath.Dir(b.dir), "jobs", id)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		b.t.Fatal(err)
	}
	return job.Attempt{JobID: id, Number: 1, Process: p, Inputs: in, JobDir: dir, Dir: filepath.Join(dir, "1"), Grace: grace}
}

type answer struct {
	PID     int
	Parent  int
	Version string
	raw     map[string]job.Value
}

var ids = struct {
	sync.Mutex
	n int
}{}

func newID() string {
	ids.Lock()
	defer ids.Unlock()
	ids.n++
	return fmt.Sprintf("job-%d", ids.n)
}

func (b *bench) status(file string) Status {
	for _, s := range b.host.Plugins() {
		if s.File == file {
			return s
		}
	}
	return Status{}
}

// eventually polls until ok, for the time of patience.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not seen within %s: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// recorded waits for the first record with this message.
func (b *bench) recorded(message string) (r map[string]any) {
	b.t.Helper()
	eventually(b.t, "record: "+message, func() bool { r = b.logs.record(message); return r != nil })
	return r
}

// gone reports whether a process has ended; a zombie has.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	rest := string(b[bytes.LastIndexByte(b, ')')+2:])
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

type events struct {
	mu    sync.Mutex
	lines []string
	seen  chan struct{}

	moved   *job.Process // what the attempt was moved to
	refusal error        // of that
}

func (e *events) Progress(_ float64, message string) { e.add(message) }

func (e *events) Log(_ slog.Level, message string, _ json.RawMessage) { e.add(message) }

func (e *events) Moved(p *job.Process) error {
	e.moved = p
	return e.refusal
}

func (e *events) add(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = append(e.lines, line)
	if e.seen != nil && len(e.lines) == 1 {
		close(e.seen)
	}
}

// logBuffer keeps JSON log records.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// record returns the first record with this message.
func (l *logBuffer) record(message string) map[string]any {
	for line := range strings.Lines(l.String()) {
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil && m["msg"] == message {
			return m
		}
	}
	return nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
