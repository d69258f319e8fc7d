// Package host assembles the rooms into a server: configuration, the order in
// which the parts start and stop, and the server as a library that tests
// start. It is the only package that knows all others.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"geomill/host/internal/admin"
	"geomill/host/internal/api"
	"geomill/host/internal/callback"
	"geomill/host/internal/job"
	"geomill/host/internal/plugin"
	"geomill/host/internal/remote"
	"geomill/host/internal/store"
)

const (
	headerDeadline = 10 * time.Second // for the header of a request
	idleDeadline   = 2 * time.Minute  // between requests of a connection
	maxHeader      = 64 << 10         // bytes

	// In the data directory: which contents of plugins are accepted, and which users
	// plugins run as.
	trustFile = "plugins.lock"
	usersFile = "plugin-users.json"
)

// previousDir is the part of the data directory with the version before of each
// plugin.
const previousDir = "plugins-previous"

// News is what a host tells while it starts, and is told while it runs; each may
// be nil.
type News struct {
	// Listening is called once the host can answer, with the URL of the
	// landing page. Requests for processes wait until these are known.
	Listening func(url string)
	// Found is called after it, once the plugins that were there at the start
	// are admitted or refused, or took too long.
	Found func([]PluginStatus)
	// Reread reads the configuration again, at each Hangup. What it decides
	// about plugins and processes comes into force at once.
	Reread func() (Config, error)
	Hangup <-chan os.Signal
}

// PluginStatus is what the operator is told of a candidate.
type PluginStatus = plugin.Status

// Run serves until ctx ends, then drains and stops. The error says why it could
// not start, or what went wrong while it stopped.
func Run(ctx context.Context, c Config, log *slog.Logger, news News) (err error) {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	// What can fail for an operator's mistake comes first.
	listener, err := listen(c.Listen, stallLimit)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer listener.Close()
	p, err := assemble(c, log)
	if err != nil {
		return err
	}
	p.reread = news.Reread
	return p.run(ctx, listener, news)
}

// parts is an assembled host, in the order of starting.
type parts struct {
	config  Config
	log     *slog.Logger
	store   *store.Store
	plugins *plugin.Host
	jobs    *job.Service
	api     *api.API
	calls   *callback.Caller
	http    *http.Server
	admin   *admin.Server // or nil

	requests *requests
	decided  *decisions
	reread   func() (Config, error) // or nil
}

func assemble(c Config, log *slog.Logger) (_ *parts, err error) {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	dir := func(name string) string { return filepath.Join(data, name) }
	for _, name := range []string{jobsDir, "spool"} {
		if err := os.MkdirAll(dir(name), 0o700); err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
	}
	p := &parts{config: c, log: log, decided: decide(c)}
	pygeoapi := slices.Contains(c.Compat, CompatPygeoapi)
	if p.plugins, err = newPlugins(c, data, p.decided, log); err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	fetcher, err := remote.New(c.references())
	if err != nil {
		return nil, err
	}
	if p.store, err = store.Open(store.Config{Dir: dir(storeDir), JobsDir: dir(jobsDir), TombstoneTTL: c.Tombstone, MinFree: uint64(c.MinFree), Logger: log}); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.store.Close())
		}
	}()
	// The store is open, so no other host uses the data directory: what is in
	// the spool was left by one that was killed.
	if err = empty(dir("spool")); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if p.calls, err = newCaller(c, p.store, log); err != nil {
		return nil, err
	}
	if p.jobs, err = job.NewService(job.Config{
		Catalog: p.plugins, Executor: p.plugins, Store: p.store, Queue: store.NewQueue(store.QueueConfig{Limit: c.QueueLimit}),
		Callbacks: p.calls, Logs: p.store.Logs(), LogMaxBytes: c.LogMaxBytes, Logger: log, Dir: dir(jobsDir), WorkDir: dir(workDir),
		Slots: c.Slots, QueueLimit: c.QueueLimit, SyncSlots: c.SyncSlots, RecordSync: c.RecordSync || pygeoapi,
		CallerLimit: c.callerLimit(), QueueTimeout: c.QueueTimeout,
		Timeout: c.Timeout, MaxTimeout: c.MaxTimeout, Grace: c.Grace, Drain: c.Drain,
		Fetcher: fetcher, CheckJSON: api.CheckInput, FetchBytes: c.ReferenceMaxBytes, FetchTimeout: c.ReferenceTimeout,
		Archive: p.store, Retention: c.retentions(), Retain: job.Limit{Jobs: c.RetainCount, Bytes: c.RetainBytes}, DiskQuota: c.DiskQuota,
	}); err != nil {
		return nil, err
	}
	if p.api, err = newAPI(c, data, p.jobs, log); err != nil {
		return nil, err
	}
	p.requests = newRequests(p.api)
	p.http = &http.Server{
		Handler: p.requests, BaseContext: func(net.Listener) context.Context { return p.requests.ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headerDeadline, IdleTimeout: idleDeadline, MaxHeaderBytes: maxHeader,
	}
	p.http.RegisterOnShutdown(p.jobs.EndListeners) // else they would take the whole time of the drain
	p.admin = newAdmin(p, data)
	return p, nil
}

// newPlugins makes the part that runs plugins, as the operator has decided; data is
// the absolute path of the data directory.
func newPlugins(c Config, data string, decided *decisions, log *slog.Logger) (*plugin.Host, error) {
	p := c.admission(data, decided, log)
	p.KeepDir, p.WorkDir, p.CheckJSON = filepath.Join(data, previousDir), filepath.Join(data, workDir), api.CheckJSON
	p.StopTimeout, p.HideStderr = c.Drain, !c.ShowStderr
	return plugin.New(p)
}

// admission is what decides which plugins are admitted, and how they run.
func (c Config) admission(data string, decided *decisions, log *slog.Logger) plugin.Config {
	return plugin.Config{
		Dir: c.Plugins, CacheDir: filepath.Join(data, "cache"), Policy: decided.policy, Options: decided.options, Env: c.pluginEnv(os.LookupEnv),
		Program: c.Program, LockFile: filepath.Join(data, trustFile), TrustKeys: c.TrustKeys, Private: []string{data},
		Users: c.users(), UsersFile: filepath.Join(data, usersFile), Log: log,
	}
}

// newAPI makes the part that speaks HTTP; data is the absolute path of the data
// directory.
func newAPI(c Config, data string, jobs *job.Service, log *slog.Logger) (*api.API, error) {
	proxies, err := c.proxies()
	if err != nil {
		return nil, err
	}
	key, err := cursorKey(data)
	if err != nil {
		return nil, err
	}
	return api.New(api.Config{
		Service: jobs, BaseURL: c.BaseURL, Title: c.Title, Description: c.Description,
		MaxBody: c.MaxBody, SpoolDir: filepath.Join(data, "spool"), Logger: log, MaxListeners: c.MaxListeners,
		CursorKey: key, TrustedProxies: proxies, CallerHeader: c.CallerHeader, CORSOrigins: c.origins(), KVPExecute: c.KVPExecute, ForgetRemoved: c.ForgetRemoved,
		CITE10: slices.Contains(c.Compat, CompatCITE10), Pygeoapi: slices.Contains(c.Compat, CompatPygeoapi),
	})
}

func empty(dir string) error {
	left, err := os.ReadDir(dir)
	for _, e := range left {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// run starts the parts and stops them in the reverse order, each with a
// deadline of its own.
func (p *parts) run(ctx context.Context, listener net.Listener, news News) error {
	defer func() {
		if err := p.store.Close(); err != nil {
			p.log.Error("close store", "error", err)
		}
	}()
	if p.admin != nil {
		operator := goRun(p.admin.Run)
		defer operator.stop(p.log, "admin socket")
	}
	if err := p.plugins.Open(); err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	if err := p.jobs.BringHome(p.plugins.Keeps); err != nil {
		return fmt.Errorf("recover jobs: %w", err)
	}
	plugins := goRun(p.plugins.Run)
	defer plugins.stop(p.log, "plugins")
	heeds := goRun(func(ctx context.Context) error { return p.heed(ctx, news.Hangup) })
	defer heeds.stop(p.log, "configuration")
	if err := p.jobs.Recover(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("recover jobs: %w", err)
	}
	calls := goRun(func(ctx context.Context) error { return p.calls.Run(ctx, p.api) })
	defer calls.stop(p.log, "callbacks")
	jobs := goRun(p.runJobs)
	defer jobs.stop(p.log, "jobs")

	served := make(chan error, 1)
	go func() { served <- p.http.Serve(listener) }()
	if news.Listening != nil {
		news.Listening(p.url(listener))
	}
	if err := p.await(ctx, served, news); err != nil {
		return err
	}
	p.log.Info("stopping", "drain", p.config.Drain)
	jobs.cancel() // queued jobs no longer start while the last requests end
	calls.cancel()
	p.requests.end(p.http, p.config.Drain, p.config.Grace, p.log)
	<-served
	return nil
}

// runJobs runs queued jobs, once it is known which processes there are for them.
func (p *parts) runJobs(ctx context.Context) error {
	select {
	case <-p.plugins.Ready():
		return p.jobs.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// await waits until ctx ends, or for why no request is served any more.
func (p *parts) await(ctx context.Context, served <-chan error, news News) error {
	for ready := p.plugins.Ready(); ; {
		select {
		case <-ready:
			ready = nil
			found := p.plugins.Plugins()
			p.nameStrangers(found)
			if news.Found != nil {
				news.Found(found)
			}
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *parts) url(l net.Listener) string {
	if p.config.BaseURL != "" {
		return p.config.BaseURL
	}
	host, _, _ := net.SplitHostPort(p.config.Listen)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// running is a part that runs in a goroutine of its own.
type running struct {
	cancel context.CancelFunc
	ended  chan error
}

func goRun(run func(context.Context) error) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- run(ctx) }()
	return r
}

// stop ends the part and waits for it; every part bounds its own end.
func (r *running) stop(log *slog.Logger, name string) {
	r.cancel()
	if err := <-r.ended; err != nil && !errors.Is(err, context.Canceled) {
		log.Error("stop", "part", name, "error", err)
	}
}
