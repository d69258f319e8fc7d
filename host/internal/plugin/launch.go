package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"geomill/host/internal/plugin/journal"
	"geomill/host/internal/plugin/sandbox"
	"geomill/host/internal/plugin/users"
	"geomill/sdk/wire"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
)

// launcher starts instances.
type launcher struct {
	cfg     *Config
	users   *users.Book
	runDir  string
	machine *sandbox.Machine
	program *executable // serves manifests; nil: nobody does
	dog     *watchdog
	groups  *groups
	count   atomic.Int64 // instances started

	ledgers ledgers
}

// connection is a started plugin, connected and identified. Its owner ends it
// with stop or kill, exactly one of them.
type connection struct {
	child   *child
	plugin  *goplugin.Client
	client  *wire.Client
	dialed  dialed
	synced  []*stream // what the plugin's SDK passes on of its standard streams
	info    wire.Info
	cfg     *Config
	options Options
	log     *slog.Logger
	work    *workDir // until an instance has it

	number int64
	ledger *ledger
	state  atomic.Pointer[stateAt]
}

// stateAt is a state since a time.
type stateAt struct {
	state State
	since time.Time
}

// enter notes that the instance is now in a state, and why unless that is
// clear.
func (c *connection) enter(to State, why error) {
	t := Transition{Time: time.Now(), Instance: c.number, PID: c.child.pid(), To: to}
	if was := c.state.Swap(&stateAt{to, t.Time}); was != nil {
		t.From = was.state
	}
	if why != nil {
		t.Reason = why.Error()
	}
	c.ledger.note(t)
	c.log.Debug("plugin instance "+string(to), "pid", t.PID)
}

// errHandshakeLate is the cause when a plugin said nothing in time.
var errHandshakeLate = errors.New("no handshake in time")

// dial executes a plugin and connects to it. The error says what the plugin
// did wrong, with its last words.
func (l *launcher) dial(ctx context.Context, exe *executable, o Options) (*connection, error) {
	number := l.count.Add(1)
	log := l.cfg.Log.With(slog.String("plugin", exe.name), slog.Int64("instance", number))
	if reason := l.refusal(o); reason != "" {
		return nil, errors.New(reason)
	}
	uid, err := l.userOf(exe)
	if err != nil {
		return nil, err
	}
	newWork := sync.OnceValues(func() (*workDir, error) { return l.newWorkDir(number, uid, log) })
	go newWork() // disks may be slow, and go-plugin makes a directory too
	c := &connection{cfg: l.cfg, options: o, log: log, number: number, ledger: l.ledgers.of(exe.name)}
	c.child = newChild(exe, &console{log: log}, append(o.Limits.environment(), l.cfg.Env...), l.runDir+"/"+strconv.FormatInt(number, 10))
	c.child.program = l.program
	c.child.limits, c.child.dog, c.child.groups = o.Limits, l.dog, l.groups
	c.child.machine = l.machine
	stdout, stderr := c.child.console.stream("stdout"), c.child.console.stream("stderr")
	stdout.synced, stderr.synced = true, true
	c.synced = []*stream{stdout, stderr}
	c.child.console.log = journal.Said(log)
	c.plugin = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  handshakeConfig,
		VersionedPlugins: pluginSets,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		GRPCDialOptions:  append(wire.GRPCDialOptions(), grpc.WithContextDialer(c.child.dial), grpc.WithChainStreamInterceptor(c.dialed.note)),
		Logger:           newHCLogger(log, slog.LevelDebug),
		StartTimeout:     l.cfg.HandshakeTimeout + time.Second, // ours comes first
		SyncStdout:       stdout,
		SyncStderr:       stderr,
		SkipHostEnv:      true,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: l.runDir},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, dir string) (runner.Runner, error) {
			if c.work, err = newWork(); err != nil {
				return nil, err
			}
			c.child.spec = l.spec(exe, o, c.work)
			return c.child, c.child.prepare(spec.Env, dir)
		},
	})
	c.enter(StateStarting, nil)
	if err := c.connect(ctx); err != nil {
		if x := c.child.excess.Load(); x != nil {
			err = x
		}
		c.enter(StateCrashed, err)
		c.work, _ = newWork()
		c.kill()
		exe.installed.Store(nil) // perhaps its interpreter is another by now
		return nil, c.hint(err)
	}
	return c, nil
}

// connect goes from exec to an identified plugin. go-plugin's steps have no
// deadline that holds, so a watchdog kills the process; then they return.
func (c *connection) connect(ctx context.Context) error {
	shake, cancel := context.WithTimeoutCause(ctx, c.cfg.HandshakeTimeout, errHandshakeLate)
	defer cancel()
	watchdog := context.AfterFunc(shake, func() { c.child.signal(syscall.SIGKILL) })
	_, err := c.plugin.Start()
	watchdog()
	if err != nil || shake.Err() != nil {
		return c.explainStart(shake, err)
	}
	c.enter(StateConnecting, nil)
	dialing, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	watchdog = context.AfterFunc(dialing, func() { c.child.signal(syscall.SIGKILL) })
	defer watchdog()
	protocol, err := c.plugin.Client()
	if err == nil {
		err = c.identify(dialing, protocol)
	}
	if err == nil && dialing.Err() != nil {
		err = context.Cause(dialing)
	}
	if err != nil {
		return c.explainConnect(dialing, err)
	}
	return nil
}

func (c *connection) identify(ctx context.Context, protocol goplugin.ClientProtocol) error {
	raw, err := protocol.Dispense(wire.ServiceName)
	if err != nil {
		return err
	}
	c.client = raw.(*wire.Client)
	if c.info, err = c.client.Info(ctx); err != nil {
		return err
	}
	if err := named(c.info); err != nil {
		return err
	}
	if err := c.child.exe.keepsTo(c.info); err != nil {
		return err
	}
	return nil
}

// explainStart says why there is no handshake, rather than what go-plugin
// makes of it.
func (c *connection) explainStart(ctx context.Context, err error) error {
	if !c.child.started() {
		if ctx.Err() != nil && errors.Is(err, errKilled) {
			return context.Cause(ctx)
		}
		return err
	}
	// Whatever the plugin had to say it has said, or never will.
	c.child.signal(syscall.SIGKILL)
	<-c.child.drained
	garbage, objection := c.child.handshake.wrong(), c.child.objection()
	switch {
	case garbage != "":
		return fmt.Errorf("wrote %q to standard output where the plugin handshake belongs; %s%s", garbage, noPlugin, c.lastWords())
	case errors.Is(context.Cause(ctx), errHandshakeLate):
		return fmt.Errorf("no plugin handshake within %s; %s%s", c.cfg.HandshakeTimeout, noPlugin, c.lastWords())
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case objection != "":
		return errors.New(objection)
	case len(c.child.handshake.line) == 0:
		if reason := ended(c.child.executed().look(), strings.Join(c.child.console.last(consoleLines), "\n"), c.child.exe.name); reason != "" {
			return errors.New(reason)
		}
		return fmt.Errorf("ended before the plugin handshake (%s); %s%s", c.child.status(), noPlugin, c.lastWords())
	}
	return fmt.Errorf("%w%s", foreignHandshake(err), c.lastWords())
}

func (c *connection) explainConnect(ctx context.Context, err error) error {
	if refused := c.child.dialError.Load(); refused != nil {
		return fmt.Errorf("connect to plugin: %w", *refused)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("connect to plugin: no answer within %s%s", c.cfg.ConnectTimeout, c.lastWords())
	}
	return fmt.Errorf("connect to plugin: %w%s", err, c.lastWords())
}

// lastWords returns the end of what the plugin wrote, ready to be appended to
// a reason.
func (c *connection) lastWords() string {
	lines := c.child.console.ending(3)
	if len(lines) == 0 {
		return ""
	}
	return "; it last wrote: " + strings.Join(lines, " | ")
}

// kill ends the process group at once and returns when it is gone.
func (c *connection) kill() {
	c.child.signal(syscall.SIGKILL)
	c.clean()
}

// stop asks the plugin to take no more jobs and to end, asks the process group
// with SIGTERM after term and kills it after kill. It returns when it is gone.
func (c *connection) stop(session *wire.Session, term, kill time.Duration) {
	c.child.mu.Lock()
	c.child.stopping = true
	c.child.mu.Unlock()
	c.child.noteOffspring()
	c.child.notePeak()
	defer time.AfterFunc(term, func() { c.child.signal(syscall.SIGTERM) }).Stop()
	defer time.AfterFunc(kill, func() { c.child.signal(syscall.SIGKILL) }).Stop()
	ctx, cancel := context.WithTimeout(context.Background(), term)
	defer cancel()
	if _, err := c.client.Drain(ctx, 0); err != nil {
		c.log.Debug("drain plugin instance", "error", err)
	}
	if session != nil {
		session.Close()
	}
	c.clean()
}

// clean runs go-plugin's Kill, which first asks the plugin to shut down. It
// returns because somebody ends the process: kill, or the timers of stop.
func (c *connection) clean() {
	c.plugin.Kill()
	c.dialed.close()
	if c.child.started() {
		<-c.child.drained
	}
	for _, s := range c.synced {
		s.close()
	}
	if err := c.child.removeDir(); err != nil {
		c.log.Warn("files of a plugin instance stay behind", "error", err)
	}
	if c.work != nil {
		c.work.remove()
	}
	c.enter(StateGone, nil)
}

// status says how the process ended, such as "exit status 2".
func (c *child) status() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil || c.cmd.ProcessState == nil {
		return "not started"
	}
	return c.cmd.ProcessState.String()
}
