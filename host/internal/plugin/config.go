package plugin

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/journal"
	"geomill/host/internal/plugin/users"
)

// Config says where plugins are and how patient the host is with them. Zero
// values mean the defaults given.
type Config struct {
	// Dir is the plugins directory. It may appear later.
	Dir string
	// CacheDir keeps what is known about plugins between starts of the host;
	// empty keeps nothing.
	CacheDir string
	// KeepDir keeps the previous version of each plugin, to go back to; empty
	// keeps none.
	KeepDir string
	// LockFile keeps which contents of plugins are accepted; empty keeps that
	// no longer than the host runs.
	LockFile string
	// TrustKeys are public minisign keys, or files that hold some, whose
	// signatures count where Options.Trust is trust.Signed.
	TrustKeys []string
	// RunDir is a private directory (0700) for sockets, with a short path.
	// Default: geomill-UID in the system's directory for temporary files, or
	// in /tmp when that one's path is too long.
	RunDir string
	// WorkDir has a directory for each instance, in which its jobs have theirs
	// while they run; see job.Attempt.PlaceIn. Empty: they stay where they are.
	WorkDir string
	// Private are directories of the host of which no plugin may read more than is
	// its own, whatever Options allow.
	Private []string
	// Users are those that plugins run as, each as one of its own, if the host runs
	// as root; UsersFile keeps which has which. None: plugins run as the host's user.
	Users     users.Range
	UsersFile string
	// Program is the path of the program geomill, which serves manifests of command
	// line tools; empty: nobody does.
	Program string
	// Env is added to the small environment of plugins, as NAME=value. The
	// environment of the host is not passed on.
	Env []string
	// Policy is what the operator makes of what the author of a process
	// wishes; nil takes every wish.
	Policy func(processID string, wish job.Policy) job.Policy
	// Options is what the operator decides about a plugin, by its name in Dir;
	// nil decides nothing. It and Policy may answer otherwise later: an admitted
	// version keeps the answers that it was admitted with, until Reconfigure.
	Options func(file string) Options
	// LookupEnv finds the environment variables that settings refer to; nil takes
	// the host's own.
	LookupEnv func(name string) (string, bool)
	Log       *slog.Logger
	journal   *journal.Book            // what Log is told of plugins
	conceal   func(text string) string // takes out what is in Env
	// CheckJSON reads to the end of what is to be one JSON value and says what
	// is wrong with it, in memory that does not grow with it. Files that a
	// plugin declares as JSON pass it, since they go into documents as they
	// are; nil lets all pass.
	CheckJSON func(io.Reader) error

	// HideStderr keeps what plugins wrote out of the failures that clients
	// read.
	HideStderr bool

	// MaxConcurrency is how many jobs one shared instance is sent at once,
	// whatever the process (256).
	MaxConcurrency int
	// MaxInstances is how many instances run for a process that does not
	// share one and sets no limit itself (the number of CPUs).
	MaxInstances int
	// Admissions is how many unknown plugins are admitted at the same time,
	// besides those that requests or they themselves wait for (2).
	Admissions int

	HandshakeTimeout time.Duration // from exec to the handshake line (10 s)
	ConnectTimeout   time.Duration // from there to a configured plugin (5 s)
	HeartbeatEvery   time.Duration // between checks, and for each answer (5 s)
	HeartbeatMisses  int           // in a row, until the plugin is killed (3)

	BackoffFirst  time.Duration // after the first crash, then doubled (0.2 s)
	BackoffMax    time.Duration // (60 s)
	HealthyAfter  time.Duration // a run that forgives earlier crashes (60 s)
	CrashLimit    int           // crashes within CrashWindow that lead to quarantine (5)
	CrashWindow   time.Duration // (60 s)
	QuarantineFor time.Duration // until one start is tried again (5 min)
	MaxStartWait  time.Duration // how much backoff a job waits for rather than being refused (1 s)
	SlotWait      time.Duration // how long a job waits when its process or instance is at its limit (30 s)

	Idle        time.Duration // see Options.Idle (5 min)
	PoisonGrace time.Duration // see Options.PoisonGrace (30 s)

	DrainTimeout time.Duration // for the jobs of an instance that is to end (15 min)
	TermAfter    time.Duration // from asking an instance to end to SIGTERM (2 s)
	KillAfter    time.Duration // ... and to SIGKILL (5 s)
	ExitGrace    time.Duration // from a cut connection to the exit that tells why (250 ms)
	ReportWait   time.Duration // of a job, to learn how its plugin died (2 s)
	StopTimeout  time.Duration // for running jobs when the host stops (10 s)

	// TurnTime is how long an admission keeps others from theirs: one that
	// goes on waits for its plugin rather than for a processor (1 s).
	TurnTime     time.Duration
	Settle       time.Duration // how long a new file must not have changed (0.5 s)
	RescanEvery  time.Duration // (30 s)
	ReadyTimeout time.Duration // until Ready although a plugin hangs (15 s)
	// TrialTime is how long a version that has taken over from another must not
	// crash twice, or else that one is back (30 s).
	TrialTime  time.Duration
	RetryFirst time.Duration // until a plugin that could not be started is tried again, then doubled (30 s)
	RetryMax   time.Duration // (10 min)
}

// prepare checks the configuration and fills in the defaults.
func (c *Config) prepare() error {
	if c.Dir == "" {
		return errors.New("plugins directory is not set")
	}
	if c.Log == nil {
		return errors.New("logger is not set")
	}
	for _, e := range c.Env {
		name, _, ok := strings.Cut(e, "=")
		if !ok || name == "" || strings.ContainsRune(e, 0) {
			return fmt.Errorf("environment of plugins: %q is not NAME=value", e)
		}
		if strings.HasPrefix(name, "PLUGIN_") || strings.HasPrefix(name, "GEOMILL_") {
			return fmt.Errorf("environment of plugins: %s is the host's to set", name)
		}
	}
	c.keepJournal()
	if c.LookupEnv == nil {
		c.LookupEnv = os.LookupEnv
	}
	if c.RunDir == "" {
		c.RunDir = defaultRunDir()
	}
	for _, dir := range []*string{&c.Dir, &c.CacheDir, &c.LockFile, &c.KeepDir, &c.RunDir, &c.WorkDir, &c.UsersFile} {
		if *dir == "" {
			continue
		}
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return fmt.Errorf("find directory %s: %w", *dir, err)
		}
		*dir = abs
	}
	c.fill()
	if c.KillAfter < c.TermAfter {
		return fmt.Errorf("KillAfter %s comes before TermAfter %s", c.KillAfter, c.TermAfter)
	}
	return nil
}

func (c *Config) fill() {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&c.HandshakeTimeout, 10 * time.Second},
		{&c.ConnectTimeout, 5 * time.Second},
		{&c.HeartbeatEvery, 5 * time.Second},
		{&c.BackoffFirst, 200 * time.Millisecond},
		{&c.BackoffMax, time.Minute},
		{&c.HealthyAfter, time.Minute},
		{&c.CrashWindow, time.Minute},
		{&c.QuarantineFor, 5 * time.Minute},
		{&c.MaxStartWait, time.Second},
		{&c.SlotWait, 30 * time.Second},
		{&c.Idle, 5 * time.Minute},
		{&c.PoisonGrace, 30 * time.Second},
		{&c.DrainTimeout, 15 * time.Minute},
		{&c.TermAfter, 2 * time.Second},
		{&c.KillAfter, 5 * time.Second},
		{&c.ExitGrace, 250 * time.Millisecond},
		{&c.ReportWait, 2 * time.Second},
		{&c.StopTimeout, 10 * time.Second},
		{&c.TurnTime, time.Second},
		{&c.Settle, 500 * time.Millisecond},
		{&c.RescanEvery, 30 * time.Second},
		{&c.ReadyTimeout, 15 * time.Second},
		{&c.TrialTime, 30 * time.Second},
		{&c.RetryFirst, 30 * time.Second},
		{&c.RetryMax, 10 * time.Minute},
	} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	for _, n := range []struct {
		value    *int
		fallback int
	}{
		{&c.MaxConcurrency, 256},
		{&c.MaxInstances, runtime.GOMAXPROCS(0)},
		{&c.Admissions, 2},
		{&c.HeartbeatMisses, 3},
		{&c.CrashLimit, 5},
	} {
		if *n.value <= 0 {
			*n.value = n.fallback
		}
	}
}
