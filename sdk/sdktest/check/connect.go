package check

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// maxSocketPath is how long the path of a socket may be, bytes.
const maxSocketPath = 107

// The steps of a start, each the name of the check that it is for.
const (
	stepHandshake = "handshake"
	stepQuiet     = "stdout-quiet"
	stepLine      = "handshake-line"
	stepSocket    = "socket"
	stepHealth    = "health"
	stepInfo      = "info"
	stepProcesses = "processes"
	stepConfigure = "configure"
)

var steps = []string{stepHandshake, stepQuiet, stepLine, stepSocket, stepHealth, stepInfo, stepProcesses, stepConfigure}

// fault is what was wrong with a start, and at which step.
type fault struct{ step, seen string }

func (f *fault) Error() string { return f.seen }

var handshakeLine = regexp.MustCompile(`^\d+\|\d+\|[a-z]+\|[^|]+\|`)

// begin starts an instance and goes through the steps up to its configuration.
// The instance is there, to be killed, unless it could not even be executed.
func (p *probe) begin(l limits) (*instance, error) {
	in, err := p.launch(l)
	if err != nil {
		return nil, &fault{stepHandshake, err.Error()}
	}
	for _, step := range []func(*instance) error{p.shake, p.connect, p.identify, p.configure} {
		if err := step(in); err != nil {
			return in, err
		}
	}
	return in, nil
}

// shake waits for the handshake line.
func (p *probe) shake(in *instance) error {
	limit := p.within(p.Times.Handshake)
	select {
	case line := <-in.first:
		return p.read(in, line)
	case <-time.After(limit):
		return &fault{stepHandshake, fmt.Sprintf("no line on standard output within %s%s", limit, in.lastWords())}
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// read checks the fields of the handshake line.
func (p *probe) read(in *instance, line string) error {
	text := strings.TrimSuffix(line, "\n")
	if text == "" && line == "" {
		in.gone(p.ctx, time.Second)
		words := in.lastWords()
		if reason := in.objection(); reason != "" {
			return &fault{stepHandshake, reason}
		}
		if reason, _ := p.file.Ended(in.errors.whole()); reason != "" {
			return &fault{stepHandshake, reason}
		}
		return &fault{stepHandshake, fmt.Sprintf("it ended before the handshake (%s)%s", in.status(), words)}
	}
	if !handshakeLine.MatchString(text) {
		return &fault{stepQuiet, fmt.Sprintf("standard output begins with %.120q, where the handshake line belongs", line)}
	}
	wrong := func(format string, args ...any) error {
		return &fault{stepLine, fmt.Sprintf("the line is %.200q: ", text) + fmt.Sprintf(format, args...)}
	}
	f := strings.Split(text, "|")
	switch {
	case !strings.HasSuffix(line, "\n"):
		return wrong("it does not end")
	case f[0] != "1":
		return wrong("the first field, go-plugin's own version, is not 1")
	case !slices.Contains(strings.Split(in.limits.versions, ","), f[1]):
		return wrong("the second field, the version of the protocol, is none of the offered %s", in.limits.versions)
	case f[2] != "unix":
		return wrong("the third field, the network, is not unix")
	case f[4] != "grpc":
		return wrong("the fifth field, the protocol, is not grpc")
	case len(f) > 5 && f[5] != "":
		return wrong("the sixth field, a certificate, is not empty")
	}
	in.socket = f[3]
	if f[1] != strconv.Itoa(wire.ProtocolVersion) {
		return wrong("this checker speaks version %d only", wire.ProtocolVersion)
	}
	if filepath.Dir(in.socket) != in.sockets {
		return &fault{stepSocket, fmt.Sprintf("the socket %s is not in PLUGIN_UNIX_SOCKET_DIR, %s", in.socket, in.sockets)}
	}
	if name := filepath.Base(in.socket); len(in.socket) > maxSocketPath || len(name) > 16 {
		p.breach("socket-name", "the file name %s has %d bytes", name, len(name))
	}
	return nil
}

// connect dials the socket and asks for the health of the server.
func (p *probe) connect(in *instance) error {
	ctx, cancel := p.patient(p.Times.Call)
	defer cancel()
	if err := p.tryDial(ctx, in); err != nil {
		return &fault{stepSocket, err.Error()}
	}
	// A window smaller than a host's fills sooner.
	options := []grpc.DialOption{
		grpc.WithStaticStreamWindowSize(64 << 10),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessageBytes), grpc.MaxCallSendMsgSize(wire.MaxMessageBytes)),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", in.socket)
		}),
	}
	var err error
	if in.conn, err = grpc.NewClient("passthrough:///plugin", options...); err != nil {
		return &fault{stepSocket, err.Error()}
	}
	answer, err := grpc_health_v1.NewHealthClient(in.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "plugin"})
	if err != nil {
		return &fault{stepHealth, "grpc.health.v1.Health/Check for the service plugin: " + plain(err) + in.lastWords()}
	}
	if s := answer.GetStatus(); s != grpc_health_v1.HealthCheckResponse_SERVING {
		return &fault{stepHealth, fmt.Sprintf("grpc.health.v1.Health/Check says %s of the service plugin", s)}
	}
	in.streams = openStreamsOf(p.ctx, in.conn)
	return nil
}

func (p *probe) tryDial(ctx context.Context, in *instance) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", in.socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	return checkPeer(conn.(*net.UnixConn), in.cmd.Process.Pid)
}

// identify asks who the plugin is and what it offers.
func (p *probe) identify(in *instance) error {
	ctx, cancel := p.patient(p.Times.Call)
	defer cancel()
	info, err := control(in).GetInfo(ctx, &processv1.GetInfoRequest{})
	if err != nil {
		return &fault{stepInfo, "GetInfo: " + plain(err) + in.lastWords()}
	}
	listed, err := processv1.NewProcessServiceClient(in.conn).ListProcesses(ctx, &processv1.ListProcessesRequest{})
	if err != nil {
		return &fault{stepProcesses, "ListProcesses: " + plain(err) + in.lastWords()}
	}
	in.info = info
	if p.info == nil {
		p.info, p.listed = info, listed
		p.processes = readProcesses(listed)
	}
	return nil
}

func (p *probe) configure(in *instance) error {
	ctx, cancel := p.patient(p.Times.Call)
	defer cancel()
	answer, err := control(in).Configure(ctx, &processv1.ConfigureRequest{
		SettingsJson: settings(p.info.GetSettingsSchemaJson(), p.Settings),
		Limits:       &processv1.Limits{MaxConcurrency: uint32(in.limits.jobs), InlineMaxBytes: uint64(in.limits.inline)},
	})
	if err != nil {
		return &fault{stepConfigure, "Configure: " + plain(err) + in.lastWords()}
	}
	if problems := answer.GetProblems(); len(problems) > 0 {
		return &fault{stepConfigure, "Configure refuses the settings: " + describeProblem(problems[0])}
	}
	return nil
}

func control(in *instance) processv1.ControlServiceClient {
	return processv1.NewControlServiceClient(in.conn)
}

// usual is how most instances are started.
var usual = limits{versions: "1", jobs: 16, inline: wire.InlineMaxBytes}

// detached is how one is started that goes on without its host.
var detached = limits{versions: "1", jobs: 1, inline: wire.InlineMaxBytes, detached: true}

// use returns an instance that works and has these limits: the current one, or
// another in its place.
func (p *probe) use(l limits) (*instance, error) {
	if in := p.instance; in != nil && in.limits == l && !in.ended() && (in.session == nil || !in.session.lost()) {
		return in, nil
	}
	p.retire()
	if p.first != nil {
		return nil, errNoStart
	}
	in, err := p.begin(l)
	p.instance = in
	if err != nil {
		p.retire()
		return nil, fmt.Errorf("another instance cannot be started: %w", err)
	}
	return in, nil
}

// retire ends the current instance at once.
func (p *probe) retire() {
	if p.instance != nil {
		p.instance.kill()
		p.printed += p.instance.printed.Load()
		p.instance = nil
	}
}

// step is a check of a step of the first start.
func step(id string) func(*probe) verdict {
	return func(p *probe) verdict {
		if id == steps[0] && p.first == nil {
			p.startFirst()
		}
		if p.first == nil {
			return passed("")
		}
		switch at := slices.Index(steps, p.first.step) - slices.Index(steps, id); {
		case at == 0:
			return failed("%s", p.first.seen)
		case at > 0:
			return passed("")
		}
		return skipped("%v", errNoStart)
	}
}

func (p *probe) startFirst() {
	in, err := p.begin(usual)
	p.instance = in
	if f, ok := err.(*fault); ok {
		p.first = f
	} else if err != nil {
		p.first = &fault{stepHandshake, err.Error()}
	}
}
