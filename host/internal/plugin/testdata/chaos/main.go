// Command chaos is a plugin that misbehaves on demand, for the tests of the
// host. How it starts depends on its file name, what a job does on the process.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"geomill/sdk/ogc"
	"geomill/sdk/wire"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func main() {
	name := filepath.Base(os.Args[0])
	begin(name)
	go lifeline()
	var plugin goplugin.Plugin = &stock{server: wire.NewServer(handler{name})}
	if strings.HasPrefix(name, "rogue") {
		plugin = newRogue(name)
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: wire.ProtocolVersion, MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue,
		},
		Plugins: goplugin.PluginSet{wire.ServiceName: plugin},
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(o, append(wire.GRPCServerOptions(), grpc.ChainStreamInterceptor(sessions))...)...)
		},
		Logger: hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true, Level: hclog.Info}),
	})
	if strings.HasPrefix(name, "stubborn") {
		select {}
	}
}

// stock is a plugin as go-plugin's own users write them, other than those of the SDK.
type stock struct {
	goplugin.NetRPCUnsupportedPlugin
	server *wire.Server
}

func (s *stock) GRPCServer(_ *goplugin.GRPCBroker, r *grpc.Server) error {
	s.server.Register(r)
	return nil
}

func (s *stock) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no host")
}

// begin misbehaves before the handshake.
func begin(name string) {
	kind, _, _ := strings.Cut(name, "-")
	switch kind {
	case "garbage":
		fmt.Println("hello, I am no handshake")
		hang()
	case "partial":
		fmt.Print("never a line")
		hang()
	case "exit":
		fmt.Fprintln(os.Stderr, "cannot find my data")
		os.Exit(3)
	case "stumble":
		panic("cannot begin")
	case "hang":
		hang()
	case "future":
		fmt.Println("1|7|unix|/nowhere|grpc")
		hang()
	case "tcp":
		fmt.Println("1|1|tcp|127.0.0.1:1|grpc")
		hang()
	case "parent":
		serveFromChild()
	case "gated":
		for !flagged() {
			time.Sleep(5 * time.Millisecond)
		}
	case "slow":
		if flagged() {
			hang()
		}
	case "glutton":
		leak(context.Background())
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "taciturn":
		signal.Ignore(syscall.SIGQUIT)
	case "grudge":
		if flagged() {
			fmt.Fprintln(os.Stderr, "not today")
			os.Exit(4)
		}
	}
}

// flagged reports whether the test has put up its flag.
func flagged() bool {
	_, err := os.Stat(os.Getenv("CHAOS_FLAG"))
	return err == nil
}

// sessions refuses every session of an edition that is said to have none.
func sessions(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if strings.HasSuffix(info.FullMethod, "/Session") && strings.Contains(edition(), "sessionless") {
		return status.Error(codes.Unimplemented, "no sessions here")
	}
	return handle(srv, s)
}

func hang() {
	for {
		time.Sleep(time.Hour)
	}
}

// serveFromChild leaves serving to another process.
func serveFromChild() {
	c := exec.Command("/proc/self/exe")
	c.Args = []string{"chaos"}
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	fmt.Fprintln(os.Stderr, c.Run())
	hang()
}

func lifeline() {
	fd, err := strconv.Atoi(os.Getenv(wire.LifelineFD))
	if err != nil {
		return
	}
	io.Copy(io.Discard, os.NewFile(uintptr(fd), "lifeline"))
	os.Exit(1)
}

type handler struct{ name string }

func (h handler) Info() wire.Info {
	i := wire.Info{Name: "chaos", Version: edition(), SDK: "test"}
	if takesSettings(h.name) {
		i.SettingsSchema = json.RawMessage(settingsSchema)
	}
	if h.name == "fickle" && flagged() {
		i.Name = "somebody-else"
	}
	return i
}

// edition is what the test has appended to the executable.
func edition() string {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return "1"
	}
	defer f.Close()
	f.Seek(-24, io.SeekEnd)
	tail, _ := io.ReadAll(f)
	if _, v, ok := strings.Cut(string(tail), "#v="); ok {
		return v
	}
	return "1"
}

func (h handler) Configure(_ context.Context, text json.RawMessage, _ wire.Limits) []wire.Problem {
	if takesSettings(h.name) {
		return configure(text)
	}
	return nil
}

func (h handler) Processes() []wire.Process {
	list := []wire.Process{}
	for _, id := range []string{"echo", "exit", "panic", "freeze", "deaf", "grandchild", "flood", "environment",
		"refuse", "boom", "wait", "extra", "shout", "busy", "file", "look", "peek", "brood", "brood-deaf", "helper", "patient", "swell", "trespass", "cling", "neighbour", "burrow"} {
		list = append(list, describe(id, wire.Policy{}))
	}
	list = append(list,
		describe("alone", wire.Policy{Isolation: wire.Exclusive, MaxConcurrency: 2}),
		describe("once", wire.Policy{Isolation: wire.PerJob, MaxConcurrency: 2}),
		describe("deaf-alone", wire.Policy{Isolation: wire.Exclusive}),
		describe("brood-alone", wire.Policy{Isolation: wire.Exclusive}),
		describe("brood-once", wire.Policy{Isolation: wire.PerJob}),
		describe("brood-deaf-alone", wire.Policy{Isolation: wire.Exclusive}),
		describe("brood-deaf-once", wire.Policy{Isolation: wire.PerJob}),
		describe("helper-alone", wire.Policy{Isolation: wire.Exclusive}),
		describe("look-alone", wire.Policy{Isolation: wire.Exclusive}),
		describe("look-once", wire.Policy{Isolation: wire.PerJob}),
		describe("exit-alone", wire.Policy{Isolation: wire.Exclusive}),
		describe("swell-alone", wire.Policy{Isolation: wire.Exclusive}),
		describe("narrow", wire.Policy{MaxConcurrency: 1}))
	for _, id := range greedy {
		list = append(list, describe(id, greedyPolicy(id)))
	}
	switch {
	case takesSettings(h.name):
		return settingsProcesses()
	case strings.HasPrefix(h.name, "liar"):
		bad := describe("bad", wire.Policy{})
		bad.Description.Inputs = map[string]ogc.Input{"x": {Schema: json.RawMessage(`[1]`)}}
		return []wire.Process{describe("good", wire.Policy{}), bad}
	case strings.HasPrefix(h.name, "mute"):
		return nil
	case strings.HasPrefix(h.name, "twin"):
		return []wire.Process{describe("echo", wire.Policy{}), describe("own-"+h.name, wire.Policy{})}
	case strings.HasPrefix(h.name, "solo"), strings.HasPrefix(h.name, "grudge"), strings.HasPrefix(h.name, "gated"),
		strings.HasPrefix(h.name, "patient"):
		return []wire.Process{describe(h.name, wire.Policy{})}
	}
	return list
}

func describe(id string, p wire.Policy) wire.Process {
	var d ogc.Process
	d.ID, d.Version = id, "1.0.0"
	d.Outputs = map[string]ogc.Output{"out": {Schema: json.RawMessage(`{}`)}}
	if strings.Contains(edition(), "narrow") {
		d.Inputs = ogc.Inputs{"x": {Schema: json.RawMessage(`{"type":"number"}`)}}
	}
	return wire.Process{Description: d, Policy: p}
}

// hoard is memory that is not given back.
var hoard [][]byte

func (h handler) Run(ctx context.Context, s wire.Start, ev wire.Events) (wire.Values, error) {
	ev.Progress(1, "begun")
	if word, ok := s.Inputs.Lookup("say"); ok {
		say(string(word.Data))
	}
	id, _, _ := strings.Cut(s.ProcessID, "-")
	switch id {
	case "exit":
		fmt.Fprintln(os.Stderr, "about to exit")
		syscall.Write(2, []byte("last words\n"))
		os.Exit(2)
	case "panic":
		go panic("in a goroutine")
		hang()
	case "freeze":
		syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		hang()
	case "deaf":
		hang()
	case "grandchild":
		return grandchild()
	case "patient":
		for !flagged() {
			time.Sleep(5 * time.Millisecond)
		}
	case "swell":
		hoard = append(hoard, bytes.Repeat([]byte{1}, 64<<20))
	case "brood":
		return brood(ctx, s, ev)
	case "helper":
		return helper(ctx, s, ev)
	case "flood":
		syscall.Write(1, append(make([]byte, 1<<20), '\n'))
		ev.Progress(50, "flooded")
	case "environment":
		return out(os.Environ())
	case "refuse":
		return nil, &wire.Problem{Kind: wire.InvalidInput, Title: "bad", Faults: []ogc.Fault{{Input: "x", Message: "too odd"}}}
	case "busy":
		return nil, &wire.Problem{Kind: wire.Busy, Title: "full"}
	case "boom":
		panic("in the handler")
	case "wait", "narrow":
		<-ctx.Done()
		return nil, ctx.Err()
	case "alone", "once":
		if _, long := s.Inputs.Lookup("wait"); long {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	case "extra":
		o, err := out(1)
		return append(o, wire.Named{ID: "more", Value: wire.Value{JSON: json.RawMessage(`2`)}},
			wire.Named{ID: "out", Value: wire.Value{Data: []byte("x")}}), err
	case "file":
		return file(s)
	case "look":
		return look(s)
	case "burrow":
		return burrow()
	case "cling":
		return cling(s)
	case "neighbour":
		return neighbour(s)
	case "told":
		return out(told.Load().text)
	case "tell":
		return tell(s.ProcessID, ev)
	case "leak", "gulp", "spin", "offload", "bomb", "handles", "hugefile", "fill", "bulky", "bulkyfile":
		return overuse(ctx, id, s, ev)
	case "peek":
		return peek(s)
	case "trespass":
		return trespass(s)
	case "shout":
		fmt.Fprintln(os.Stderr, "plain words")
		syscall.Write(2, []byte(`{"@level":"warn","@message":"careful","depth":3}`+"\n"))
		syscall.Write(2, []byte("Traceback (most recent call last):\n  File \"x\"\nValueError: no\n"))
	}
	return out(map[string]any{"pid": os.Getpid(), "version": edition()})
}

// say writes a word in every way that there is, and ends the plugin after
// "farewell".
func say(word string) {
	syscall.Write(2, []byte("plain "+word+"\n"+`{"@level":"warn","@message":"structured `+word+`","depth":3}`+"\n"))
	syscall.Write(1, []byte("out "+word+"\nunended "+word))
	if word == "farewell" {
		syscall.Write(2, []byte("panic: "+word+"\nat line 3\n"))
		os.Exit(2)
	}
}

func out(v any) (wire.Values, error) {
	b, err := json.Marshal(v)
	return wire.ValuesOf(map[string]wire.Value{"out": {JSON: b}}), err
}

// file puts the content that it gets into a file of the type that it gets.
func file(s wire.Start) (wire.Values, error) {
	if _, within := s.Inputs.Lookup("within"); within { // the session, as bytes
		v := wire.Value{Data: s.Inputs.Get("content").Data, MediaType: string(s.Inputs.Get("type").Data)}
		return wire.ValuesOf(map[string]wire.Value{"out": v}), nil
	}
	path := filepath.Join(s.Dir, s.JobID)
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, s.Inputs.Get("content").Data, 0o600); err != nil {
		return nil, err
	}
	return wire.ValuesOf(map[string]wire.Value{"out": {File: path, MediaType: string(s.Inputs.Get("type").Data)}}), nil
}

// look leaves files everywhere, and says where it is, what it finds in the
// directory of its instance, and what its input file holds. It ends the plugin
// if it is told to.
func look(s wire.Start) (wire.Values, error) {
	type finds struct {
		PID                   int
		Dir, Checkpoint, Root string
		Seen                  []string
		Input                 string
	}
	f := finds{PID: os.Getpid(), Dir: s.Dir, Checkpoint: s.CheckpointDir, Root: filepath.Dir(filepath.Dir(s.Dir))}
	entries, err := os.ReadDir(f.Root)
	for _, e := range entries {
		f.Seen = append(f.Seen, e.Name())
	}
	input, _ := os.ReadFile(s.Inputs.Get("content").File)
	f.Input = string(input)
	for _, dir := range []string{s.Dir, s.CheckpointDir, f.Root} {
		if dir != "" {
			err = errors.Join(err, os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "trace"), []byte(s.JobID), 0o600))
		}
	}
	if _, end := s.Inputs.Lookup("end"); end {
		os.Exit(2)
	}
	if err != nil {
		return nil, err
	}
	return out(f)
}

// grandchild starts a process that holds all streams and outlives its parent.
func grandchild() (wire.Values, error) {
	c := exec.Command("sleep", "300")
	c.Stdout, c.Stderr = os.NewFile(1, "stdout"), os.NewFile(2, "stderr")
	if err := c.Start(); err != nil {
		return nil, err
	}
	return out(map[string]any{"pid": c.Process.Pid, "parent": os.Getpid()})
}
