package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"geomill/proto/processv1"
	"geomill/sdk/ogc"
	"geomill/sdk/wire/program"
)

// DefaultTimeout is how long all checks together may take.
const DefaultTimeout = time.Minute

// Config says what is checked, and with what.
type Config struct {
	// Path of the plugin's executable.
	Path string
	// Inputs of the jobs, by process: an object of plain values. A process
	// without gets inputs made of its schemas.
	Inputs map[string]map[string]json.RawMessage
	// Long are inputs of jobs that take ten seconds or more, by process. Without,
	// the checker looks for an input that sounds like a time to wait.
	Long map[string]map[string]json.RawMessage
	// Settings are handed to Configure, a JSON object or nil.
	Settings json.RawMessage
	// Env is what an operator lists for the plugin, NAME=VALUE.
	Env []string
	// Timeout of all checks together; 0: DefaultTimeout.
	Timeout time.Duration
	// Slack multiplies the limits of the contract, for a slow machine; 0: 1.
	Slack float64
	// Times are the limits that Slack multiplies.
	Times Times
	// Runs is how many jobs are run to see whether the plugin grows, as long as
	// they take 2 s together at most; 0: DefaultRuns.
	Runs int
	// Accepts are further rules of a host for descriptions; nil: none.
	Accepts func(ogc.Process) error
}

// Run checks a plugin. The error says why it could not even begin; whatever is
// wrong with the plugin is in the report.
func Run(ctx context.Context, c Config) (*Report, error) {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Slack == 0 {
		c.Slack = 1
	}
	if c.Runs == 0 {
		c.Runs = DefaultRuns
	}
	if c.Timeout < 0 || c.Slack < 0 || c.Runs < 0 {
		return nil, errors.New("timeout, slack and runs must be above 0")
	}
	var err error
	if c.Times, err = c.Times.filled(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("find plugin: %w", err)
	}
	file, err := look(path)
	if err != nil {
		return nil, err
	}
	c.Path = path
	dir, err := os.MkdirTemp("", "gm") // short: a socket path ends at 107 bytes
	if err != nil {
		return nil, fmt.Errorf("make directory for instances: %w", err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	p := &probe{Config: c, ctx: ctx, file: file, dir: dir, breaches: make(map[string]string)}
	defer p.retire()
	return p.run(), nil
}

// look reads the beginning of the file that is checked.
func look(path string) (program.File, error) {
	if info, err := os.Stat(path); err != nil {
		return program.File{}, fmt.Errorf("find plugin: %w", err)
	} else if !info.Mode().IsRegular() {
		return program.File{}, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return program.File{}, fmt.Errorf("read plugin: %w", err)
	}
	defer f.Close()
	return program.Look(f), nil
}

// probe drives one plugin through the table.
type probe struct {
	Config
	ctx  context.Context
	file program.File
	dir  string // below it are the sockets, homes and jobs of the instances

	started  int       // instances, so far
	jobs     int       // jobs, so far
	instance *instance // the current one, or nil
	first    *fault    // why the first instance could not be used

	info       *processv1.GetInfoResponse
	listed     *processv1.ListProcessesResponse
	processes  []*process
	ended      []*run     // the first job of each process
	described  *described // by hand, or nil
	cancelled  bool       // a long job was, and ended
	deaf       bool       // a long job was, and did not end
	litters    bool       // a cancelled job left processes
	oneVersion bool       // it cannot be offered several
	printed    int64      // bytes on standard output after the handshake

	mu       sync.Mutex        // sessions note what they see while checks run
	breaches map[string]string // by check
}

func (p *probe) run() *Report {
	began := time.Now()
	report := &Report{Path: p.Path, Complete: true}
	for _, c := range Table() {
		start := time.Now()
		v, untried := p.try(c), false
		if p.ctx.Err() != nil {
			// What was under way is as unknown as what was not begun.
			report.Complete, untried = false, true
			v = skipped("not tried: the time of %s is up", p.Timeout)
		}
		if v.outcome == Fail {
			p.retire()
			if c.Severity == Should {
				v.outcome = Warn
			}
		}
		report.Results = append(report.Results, Result{Check: c, Outcome: v.outcome, Seen: v.seen, Took: time.Since(start), untried: untried})
	}
	report.Name, report.Version, report.SDK = p.info.GetName(), p.info.GetVersion(), p.info.GetSdk()
	report.Took = time.Since(began)
	return report
}

func (p *probe) try(c Check) verdict {
	if p.ctx.Err() != nil {
		return verdict{}
	}
	return c.try(p)
}

// breach notes what a check about the conduct in all sessions is to tell: the
// first case will do.
func (p *probe) breach(check, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.breaches[check]; !known {
		p.breaches[check] = fmt.Sprintf(format, args...)
	}
}

// conduct is a check whose evidence came in passing, while jobs ran.
func conduct(id string) func(*probe) verdict {
	return conductOf(id, func(p *probe) (int, string) { return p.jobs, "job" })
}

// starts counts the evidence of checks about the starts of instances.
func starts(p *probe) (int, string) {
	if p.first != nil {
		return 0, "start"
	}
	return p.started, "start"
}

// conductOf is a check whose evidence came in so many cases.
func conductOf(id string, cases func(*probe) (int, string)) func(*probe) verdict {
	return func(p *probe) verdict {
		p.mu.Lock()
		seen, broken := p.breaches[id]
		p.mu.Unlock()
		if broken {
			return failed("%s", seen)
		}
		n, thing := cases(p)
		if n == 0 {
			return skipped("there was no %s", thing)
		}
		return passed("in %s", count(n, thing))
	}
}

// within returns a limit of the contract with the slack of this machine.
func (p *probe) within(d time.Duration) time.Duration {
	return time.Duration(float64(d) * p.Slack)
}

// patient bounds a wait that is not itself what is checked.
func (p *probe) patient(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, p.within(d))
}

// errNoStart is why checks of a plugin that does not start are skipped.
var errNoStart = errors.New("the plugin cannot be started")

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
