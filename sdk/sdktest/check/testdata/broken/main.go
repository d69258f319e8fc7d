// Command broken is a plugin made without an SDK that keeps the contract but for
// one thing, named by its file name: the check that it must fail, and after a dot
// in which way. As "sound" it breaks nothing.
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// broken is what this plugin does wrong.
var broken = filepath.Base(os.Args[0])

// is reports whether this is one of the faults.
func is(names ...string) bool {
	for _, name := range names {
		if name == broken {
			return true
		}
	}
	return false
}

func main() {
	if !wire.Started() {
		os.Exit(byHand())
	}
	p := newPlugin()
	p.watchSignals()
	go p.watchLifeline()
	p.serve()
}

func byHand() int {
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	switch {
	case command == "describe" && is("by-hand-describe"):
		fmt.Println("a plugin with two processes")
	case command == "describe":
		info := newPlugin().info()
		document := map[string]any{"name": info.GetName(), "version": info.GetVersion(), "processes": descriptions()}
		if is("describe-agrees") {
			document["version"] = "0.9.0"
		}
		_ = json.NewEncoder(os.Stdout).Encode(document)
	case command == "version" && is("by-hand-version"):
		return 1
	case command == "version":
		fmt.Println("broken 1.0.0")
	case is("by-hand.silent"):
		return 2
	default:
		fmt.Fprintln(os.Stderr, "broken is a plugin; its host starts it")
		if is("by-hand") {
			return 0
		}
		return 2
	}
	return 0
}

func (p *plugin) watchSignals() {
	if !is("sigint") {
		signal.Ignore(syscall.SIGINT)
	}
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		for range terminate {
			if !is("sigterm") {
				p.exit(0)
			}
		}
	}()
}

// exit ends the plugin with all that is its own.
func (p *plugin) exit(status int) {
	p.cancelAll()
	os.Remove(p.socket)
	os.Exit(status)
}

func (p *plugin) watchLifeline() {
	fd, err := strconv.Atoi(os.Getenv(wire.LifelineFD))
	if err != nil {
		return
	}
	syscall.CloseOnExec(fd)
	_, _ = io.Copy(io.Discard, os.NewFile(uintptr(fd), "lifeline"))
	switch {
	case is("lifeline"):
	case is("lifeline.children"):
		os.Exit(1)
	default:
		p.exit(1)
	}
}

func (p *plugin) serve() {
	switch {
	case is("handshake"):
		fmt.Fprintln(os.Stderr, "cannot find my data")
		os.Exit(3)
	case is("stdout-quiet"):
		fmt.Println("loading, please wait")
	}
	dir := os.Getenv("PLUGIN_UNIX_SOCKET_DIR")
	if is("socket") {
		dir = os.TempDir()
	}
	p.socket = filepath.Join(dir, "s")
	if is("socket-name") {
		p.socket += "-with-a-very-long-name"
	}
	listener, err := net.Listen("unix", p.socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server := p.server()
	if is("handshake.late") {
		time.Sleep(time.Minute)
	}
	go p.handshake()
	if err := server.Serve(listener); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	<-p.over
}

// handshake writes the line, with the version that fits.
func (p *plugin) handshake() {
	offered := os.Getenv("PLUGIN_PROTOCOL_VERSIONS")
	if is("protocol-versions") && offered == "99,1" || is("no-common-version") && offered == "99" {
		fmt.Fprintln(os.Stderr, "no such version")
		os.Exit(1)
	}
	network, version := "unix", 1
	switch {
	case is("handshake-line"):
		network = "tcp"
	case is("handshake-line.version"):
		version = 7
	case is("socket.unserved"):
		p.socket += "x"
	}
	fmt.Printf("1|%d|%s|%s|grpc|\n", version, network, p.socket)
}

// server has all services of the contract.
func (p *plugin) server() *grpc.Server {
	limit := wire.MaxMessageBytes
	if is("large-frame") {
		limit = 4 << 20
	}
	s := grpc.NewServer(grpc.MaxRecvMsgSize(limit), grpc.MaxSendMsgSize(limit))
	processv1.RegisterControlServiceServer(s, p)
	processv1.RegisterProcessServiceServer(s, p)
	state := grpc_health_v1.HealthCheckResponse_SERVING
	if is("health") {
		state = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	h := health.NewServer()
	h.SetServingStatus("plugin", state)
	grpc_health_v1.RegisterHealthServer(s, h)
	p.registerGoPlugin(s)
	return s
}

// instance is this process's id.
func instance() string {
	if is("instance-id") {
		return "always-the-same"
	}
	return rand.Text()
}

// description is a process description.
type description map[string]any

func descriptions() []description {
	text := map[string]any{"type": "string", "examples": []string{"a text that is longer than sixteen bytes"}}
	list := []description{
		{
			"id": "copy", "version": "1.0.0", "title": "Copy",
			"inputs":  map[string]any{"text": map[string]any{"schema": text}},
			"outputs": map[string]any{"text": map[string]any{"schema": map[string]any{"type": "string"}}},
		},
		{
			"id": "wait", "version": "1.0.0",
			"inputs":  map[string]any{"seconds": map[string]any{"schema": map[string]any{"type": "number", "examples": []float64{0}}}},
			"outputs": map[string]any{"waited": map[string]any{"schema": map[string]any{"type": "boolean"}}},
		},
	}
	switch {
	case is("processes"):
		return nil
	case is("processes.twins"):
		list[1]["id"] = "copy"
	case is("processes-stable"):
		list[0]["title"] = "Copy by " + strconv.Itoa(os.Getpid())
	case is("examples"):
		text["examples"] = []any{"a text that is longer than sixteen bytes", 7}
	case is("examples.refused"):
		text["examples"] = []any{"a text that is longer than sixteen bytes", "refuse me"}
	case is("descriptions"):
		list[0]["inputs"] = map[string]any{"text": map[string]any{"schema": []int{1}}}
	case is("descriptions.outputs"):
		list[0]["outputs"] = map[string]any{}
	}
	return list
}
