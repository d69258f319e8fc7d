package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/settings"
	"geomill/sdk/wire"
)

// keepSeen is how often it is noted how much of a job's events was kept.
const keepSeen = time.Second

var errCannotDetach = errors.New("the plugin cannot go on without its host, as its policy asks: it lacks an instance id or the capability " + wire.CapabilityAttach)

// detachedRun is the host's end of a detached instance and its one job.
type detachedRun struct {
	*instanceRecord
	cfg     *Config
	log     *slog.Logger
	console *console
	child   *child // nil: an earlier host has started it
	limits  Limits // as far as this host holds it to any
	own     *settings.Settings

	conn    *grpc.ClientConn
	client  *wire.Client
	session *wire.Session
	seen    atomic.Uint64
	wedged  atomic.Bool
	stop    context.CancelFunc // of what goes on beside the job
	beside  sync.WaitGroup
}

func (h *Host) newDetachedRun(r *instanceRecord, log *slog.Logger) *detachedRun {
	d := &detachedRun{instanceRecord: r, cfg: &h.cfg, log: log, console: &console{log: log}}
	d.seen.Store(r.Seen)
	d.stop = func() {}
	return d
}

// place is the directory of the instance.
func (r *instanceRecord) place() *workDir { return &workDir{path: r.Root, uid: r.UID} }

// detaches reports whether an attempt is to go on without the host.
func (h *Host) detaches(a job.Attempt) bool { return a.Leave != nil && h.cfg.WorkDir != "" }

// executeDetached is Execute for an attempt that may outlive this host.
func (h *Host) executeDetached(ctx context.Context, a job.Attempt, ev job.Events) (map[string]job.Value, error) {
	o := h.routes.Load().byID[a.Process.ID]
	if o == nil {
		return nil, &job.Failure{Kind: job.Vanished, Detail: "the process " + a.Process.ID + " is no longer offered"}
	}
	if o.slots != nil {
		if err := take(ctx, o.slots, o.sup.cfg.SlotWait, "it"); err != nil {
			return nil, err
		}
		defer func() { <-o.slots }()
	}
	if o.process != a.Process { // replaced since the job was given to it
		if err := ev.Moved(o.process); err != nil {
			return nil, err
		}
		a.Process = o.process
	}
	d, err := h.launchDetached(ctx, o, a)
	if err != nil {
		return nil, err
	}
	placed, err := d.place().placeIn(a)
	if err != nil {
		d.end(0, 0)
		return nil, err
	}
	return h.see(ctx, d, a, placed, func(ev job.Events) (wire.Values, error) {
		return d.session.RunDetached(ctx, startOf(ctx, placed, d.place()), a.Grace, ev, &d.seen)
	}, ev)
}

// startDetached starts an instance for an attempt. Its record is whole before it
// gets the job.
func (h *Host) startDetached(ctx context.Context, o *offer, a job.Attempt) (*detachedRun, error) {
	if reason := h.launcher.refusal(o.sup.options); reason != "" {
		return nil, errors.New(reason)
	}
	uid, err := h.launcher.userOf(o.sup.exe)
	if err != nil {
		return nil, err
	}
	r, err := h.makeDetachedDir(uid)
	if err != nil {
		return nil, err
	}
	r.File = o.sup.exe.name
	r.JobID, r.Attempt, r.Began = a.JobID, a.Number, time.Now()
	r.Description, r.Policy, r.Plugin = a.Process.Process, a.Process.Policy, a.Process.Plugin
	d := h.newDetachedRun(r, h.cfg.Log.With(slog.String("plugin", o.sup.exe.name), slog.String("job", a.JobID)))
	d.limits = o.sup.options.Limits
	d.keepSecret(o.sup.options.settled)
	d.child = newChild(o.sup.exe, d.console, append(d.limits.environment(), h.cfg.Env...), r.Dir)
	d.child.program = h.launcher.program
	d.child.machine, d.child.spec = h.launcher.machine, h.launcher.spec(o.sup.exe, o.sup.options, d.place())
	d.child.detached, d.child.limits, d.child.dog = r.Root, d.limits, h.watchdog
	if err := d.launch(ctx, a); err != nil {
		d.end(0, 0)
		o.sup.exe.installed.Store(nil) // perhaps its interpreter is another by now
		return nil, errors.Join(err, r.forget())
	}
	h.mu.Lock()
	h.detached[a.JobID] = r
	h.mu.Unlock()
	d.log.Info("detached plugin instance started", "pid", r.PID)
	return d, nil
}

func (d *detachedRun) launch(ctx context.Context, a job.Attempt) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.HandshakeTimeout+d.cfg.ConnectTimeout)
	defer cancel()
	env := []string{
		wire.CookieKey + "=" + wire.CookieValue,
		fmt.Sprintf("PLUGIN_PROTOCOL_VERSIONS=%d", wire.ProtocolVersion), "PLUGIN_UNIX_SOCKET_DIR=" + d.Dir,
	}
	if err := d.child.prepare(env, d.Dir); err != nil {
		return err
	}
	if err := d.child.startDetached(ctx); err != nil {
		return err
	}
	var c census
	p, ok := c.look(d.child.pid())
	if !ok {
		return errDied
	}
	d.PID, d.Born = p.pid, p.born
	handshake, err := d.child.awaitHandshake(ctx)
	if err != nil {
		return err
	}
	d.Socket = *d.child.address.Load()
	if err := d.connect(ctx); err != nil {
		return err
	}
	problems, err := d.client.Configure(ctx, d.own.Reveal(), wire.Limits{MaxConcurrency: 1, InlineMaxBytes: wire.InlineMaxBytes})
	if err != nil {
		return conceal(err, d.own)
	}
	if len(problems) > 0 {
		return conceal(fmt.Errorf("refuses its settings: %s", objections(problems)), d.own)
	}
	if err := d.save(); err != nil {
		return err
	}
	d.follow(handshake, 0, a)
	return nil
}

// keepSecret has what the instance says shown without its secrets.
func (d *detachedRun) keepSecret(own *settings.Settings) {
	d.own = own
	d.console.secrets.Store(own)
}

// connect reaches the instance and makes sure that it is the one of the record,
// or notes who it is.
func (d *detachedRun) connect(ctx context.Context) (err error) {
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "unix", d.Socket)
		if err != nil {
			return nil, err
		}
		if err := checkPeer(conn.(*net.UnixConn), d.PID, d.UID); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, nil
	}
	d.conn, err = grpc.NewClient("passthrough:///plugin", append(wire.GRPCDialOptions(),
		grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			d.disconnect()
		}
	}()
	d.client = wire.NewClient(d.conn)
	info, err := d.client.Info(ctx)
	if err != nil {
		return err
	}
	if d.Nonce == "" {
		d.Nonce = info.InstanceID
	}
	if info.InstanceID == "" || info.InstanceID != d.Nonce || !slices.Contains(info.Capabilities, wire.CapabilityAttach) {
		return errCannotDetach
	}
	d.session, err = d.client.OpenSession(ctx)
	return err
}

func (d *detachedRun) disconnect() {
	if d.session != nil {
		d.session.Close()
	}
	if d.conn != nil {
		_ = d.conn.Close()
	}
	d.session, d.conn = nil, nil
}

// follow takes what the instance writes to the log, from these offsets on, looks
// whether it answers, and notes how far its job has been followed.
func (d *detachedRun) follow(stdout, stderr int64, a job.Attempt) {
	if a.Console != nil {
		d.console.tap.Store(&tap{take: a.Console, synced: true})
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = func() { cancel(); d.beside.Wait() }
	d.beside.Go(func() { tail(ctx, filepath.Join(d.Root, stdoutFile), stdout, d.console.stream("stdout")) })
	d.beside.Go(func() { tail(ctx, filepath.Join(d.Root, stderrFile), stderr, d.console.stream("stderr")) })
	session, client := d.session, d.client
	d.beside.Go(func() { d.beat(ctx, session, client) })
	d.beside.Go(func() { d.note(ctx) })
}

// beat ends the session when the instance does not answer.
func (d *detachedRun) beat(ctx context.Context, session *wire.Session, client *wire.Client) {
	tick := time.NewTicker(d.cfg.HeartbeatEvery)
	defer tick.Stop()
	for misses := 0; misses < d.cfg.HeartbeatMisses; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		asking, cancel := context.WithTimeout(ctx, d.cfg.HeartbeatEvery)
		misses++
		if _, err := client.Check(asking); err == nil {
			misses = 0
		}
		cancel()
	}
	d.wedged.Store(true)
	session.Close()
}

// note saves how far the job was followed a moment ago: what came since may not
// be kept yet. A host that attaches may get some of it twice.
func (d *detachedRun) note(ctx context.Context) {
	tick := time.NewTicker(keepSeen)
	defer tick.Stop()
	for before := d.Seen; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if before != d.Seen {
			d.Seen = before
			if err := d.save(); err != nil {
				d.log.Warn("a later host may repeat lines of a job's log", "error", err)
			}
		}
		before = d.seen.Load()
	}
}

// see follows a job that runs in a detached instance to its end, or until the
// host stops.
func (h *Host) see(ctx context.Context, d *detachedRun, a, placed job.Attempt, run func(job.Events) (wire.Values, error), ev job.Events) (map[string]job.Value, error) {
	session := d.session
	over, left := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-a.Leave:
			if ctx.Err() == nil {
				close(left)
				session.Close()
			}
		case <-over:
		}
	}()
	values, err := run(discreet(ev, d.own))
	close(over)
	if _, lost := errors.AsType[*wire.LostError](err); lost && ctx.Err() == nil {
		select {
		case <-left:
			d.stop()
			d.disconnect()
			d.log.Info("detached plugin instance goes on without the host", "pid", d.PID)
			return nil, job.ErrDetached
		default:
		}
		return h.settleDetached(ctx, d, a, placed, ev, errDied)
	}
	return h.concludeDetached(ctx, d, a, placed, values, err)
}

// concludeDetached takes over what a job has come to, and ends its instance.
func (h *Host) concludeDetached(ctx context.Context, d *detachedRun, a, placed job.Attempt, values wire.Values, err error) (map[string]job.Value, error) {
	term, kill := d.cfg.TermAfter, d.cfg.KillAfter
	if ctx.Err() != nil {
		term, kill = evictTerm, evictKill
	}
	out, err := h.comeHome(ctx, d, a, placed, values, err)
	d.end(term, kill)
	if err != nil {
		return nil, err
	}
	return out, h.takeOver(ctx, a, out)
}

// settleDetached ends an instance that cannot be followed any more. Its journal
// tells what came of the job; if it does not, cause did.
func (h *Host) settleDetached(ctx context.Context, d *detachedRun, a, placed job.Attempt, ev job.Events, cause error) (map[string]job.Value, error) {
	if !d.wedged.Load() {
		d.await(h.cfg.ExitGrace)
	}
	if d.alive() {
		cause = cutOff(cause)
		if d.wedged.Load() {
			cause = errWedged
		}
	}
	d.end(0, 0)
	values, ended, err := wire.Replay(ctx, d.Root, startOf(ctx, placed, d.place()), discreet(ev, d.own), &d.seen)
	if x := d.excess(); !ended && x != nil {
		err = x.of(a, cause)
	} else if !ended {
		out := &job.Failure{Kind: job.PluginDied, Detail: d.epitaph(cause), Cause: cmp.Or(err, cause), Crash: &job.Crash{}}
		if !h.cfg.HideStderr {
			out.Crash.Stderr = h.shown(d.lastLines(), placed)
		}
		err = out
	}
	return h.concludeDetached(ctx, d, a, placed, values, err)
}

// excess is why this host has killed the instance, or nil.
func (d *detachedRun) excess() *excess {
	if d.child == nil {
		return nil
	}
	return d.child.excess.Load()
}

func (d *detachedRun) epitaph(cause error) string {
	if d.child != nil && errors.Is(cause, errDied) {
		return fmt.Sprintf("%v (%s)", cause, d.child.status())
	}
	return cause.Error()
}

// lastLines returns the end of what the instance wrote.
func (d *detachedRun) lastLines() []string {
	c := &console{log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	tail(ctx, filepath.Join(d.Root, stderrFile), 0, c.stream("stderr"))
	return c.lastWords(0)
}

// comeHome takes over what a job has come to, with its files.
func (h *Host) comeHome(ctx context.Context, d *detachedRun, a, placed job.Attempt, values wire.Values, err error) (map[string]job.Value, error) {
	var out map[string]job.Value
	if err == nil {
		out = h.outputs(d.log, d.own, a, values)
		err = within(a.Process.Policy.Limits, out)
	} else {
		err = h.unlocated(verdict(ctx, a.Process.ID, d.limits, conceal(err, d.own)), placed)
	}
	if e := a.TakeHome(placed, out); e != nil {
		if err == nil {
			return nil, &job.Failure{Kind: job.ContractBroken, Detail: "the files that the plugin handed over are out of reach", Cause: e}
		}
		d.log.Error("files of a job are out of reach", "error", e)
	}
	return out, err
}
