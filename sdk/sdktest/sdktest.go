// Package sdktest runs a process in a test as a host would: through the real
// wire, over gRPC, with the host's session on the other end. It imports sdk and
// sdk/wire; its central function is Run.
package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"geomill/sdk"
	"geomill/sdk/sdktest/check"
	"geomill/sdk/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

// grace is how long a cancelled process may take to return before Run gives
// up on it.
const grace = 10 * time.Second

// Result is what a run produced.
type Result struct {
	// Err is nil, a *wire.Problem if the process failed or refused its inputs,
	// or the cause of the context if that ended first.
	Err error
	// Outputs that the process sent. Files last as long as the test.
	Outputs  map[string]sdk.Value
	Progress []Progress
	Logs     []Log

	t testing.TB
}

// Progress is one report of a process. Of many in quick succession the host
// sees only some.
type Progress struct {
	Percent float64
	Message string
}

// Log is one line of a job's log; Fields is a JSON object or nil.
type Log struct {
	Level   slog.Level
	Message string
	Fields  json.RawMessage
}

// Option changes how Run runs a process.
type Option func(*run)

// Context makes the run end when ctx ends, as dismissing its job would.
func Context(ctx context.Context) Option { return func(r *run) { r.ctx = ctx } }

// Outputs selects the outputs that are wanted, instead of all of them.
func Outputs(ids ...string) Option {
	return func(r *run) {
		for _, id := range ids {
			r.want(id, "")
		}
	}
}

// Format is Outputs for one that comes in several media types, of which it chooses
// one.
func Format(output, mediaType string) Option {
	return func(r *run) { r.want(output, mediaType) }
}

func (r *run) want(output, mediaType string) {
	if r.start.Outputs == nil {
		r.start.Outputs = map[string]string{}
	}
	r.start.Outputs[output] = mediaType
}

// OnProgress calls f for each report while the process runs.
func OnProgress(f func(Progress)) Option { return func(r *run) { r.onProgress = f } }

// Settings makes the settings of the plugin before the process runs. The first
// is what the process reads them from; values is anything that encodes to a JSON
// object of settings, secrets in plain text. What is wrong with them is the error
// of the result.
func Settings(settings sdk.Configurable, values any) Option {
	return func(r *run) { r.settings, r.values = settings, values }
}

// File gives an input the content of a file, as a client does that refers to it: it
// is not checked, and never in memory. A File that has no media type is JSON.
func File(input string, f sdk.File) Option {
	return func(r *run) {
		r.files = append(r.files, wire.Named{ID: input, Value: wire.Value{File: f.Path, MediaType: f.MediaType}})
	}
}

type run struct {
	ctx        context.Context
	settings   sdk.Configurable
	values     any
	start      wire.Start
	files      wire.Values
	onProgress func(Progress)
	result     *Result
}

// Run runs a process once. inputs is anything that encodes to a JSON object of
// inputs; they are checked against the description first, as a host does, and
// so are the outputs: what does not match its schema fails the test.
func Run(t testing.TB, p sdk.Process, inputs any, options ...Option) *Result {
	t.Helper()
	r := &run{ctx: t.Context(), result: &Result{t: t}}
	for _, option := range options {
		option(r)
	}
	h, err := sdk.NewHandler(sdk.Plugin{Name: "sdktest", Version: "0.0.0", Settings: r.settings}, p)
	if err != nil {
		t.Fatalf("sdktest: %v", err)
	}
	client := connect(t, h)
	if r.result.Err = r.configure(client, h.Info().SettingsSchema); r.result.Err != nil {
		return r.result
	}
	list, err := client.Processes(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("sdktest: %d processes, %v", len(list), err)
	}
	description := list[0].Description
	if err := check.Description(description); err != nil {
		t.Fatalf("sdktest: %v", err)
	}
	given, err := encode(inputs)
	if err != nil {
		t.Fatalf("sdktest: inputs: %v", err)
	}
	r.start.JobID, r.start.ProcessID, r.start.Attempt, r.start.Dir = "sdktest", description.ID, 1, t.TempDir()
	if err := r.placeFiles(); err != nil {
		t.Fatalf("sdktest: inputs: %v", err)
	}
	r.start.Inputs, r.result.Err = h.Inputs(check.Schema, description.ID, given, r.files...)
	if r.result.Err != nil {
		return r.result
	}
	session, err := client.OpenSession(t.Context())
	if err != nil {
		t.Fatalf("sdktest: %v", err)
	}
	defer session.Close()
	outputs, err := session.Run(r.ctx, r.start, grace, r)
	r.result.Err = err
	r.result.Outputs, err = h.Outputs(check.Schema, description.ID, outputs)
	if err != nil {
		t.Errorf("sdktest: outputs are not as described:\n%v", err)
	}
	return r.result
}

// placeFiles copies the files of inputs into the directory of the job.
func (r *run) placeFiles() error {
	for i, v := range r.files {
		name := filepath.Join(r.start.Dir, "in-"+strconv.Itoa(i))
		if err := copyFile(v.File, name); err != nil {
			return err
		}
		r.files[i].File = name
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() // only read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// configure checks the settings and makes them, if there are any.
func (r *run) configure(client *wire.Client, schema json.RawMessage) error {
	if r.settings == nil {
		return nil
	}
	settings, err := json.Marshal(r.values)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	if err := check.Defaults(schema); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	filled, faults, err := check.Fill(schema, settings)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	if len(faults) > 0 {
		said := make([]string, len(faults))
		for i, f := range faults {
			said[i] = f.Pointer + " " + f.Message
		}
		return &wire.Problem{Kind: wire.InvalidInput, Title: "the settings are not valid", Detail: strings.Join(said, "; "), Faults: faults}
	}
	problems, err := client.Configure(r.ctx, filled, wire.Limits{})
	if err == nil && len(problems) > 0 {
		err = &problems[0]
	}
	return err
}

// connect serves h in memory until the test ends.
func connect(t testing.TB, h wire.Handler) *wire.Client {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := wire.NewGRPCServer(wire.NewServer(h))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("sdktest: serve: %v", err)
		}
	})
	options := append(wire.GRPCDialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	conn, err := grpc.NewClient("passthrough:///plugin", options...)
	if err != nil {
		t.Fatalf("sdktest: %v", err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("sdktest: close: %v", err)
		}
	})
	return wire.NewClient(conn)
}

func encode(inputs any) (map[string]json.RawMessage, error) {
	text, err := json.Marshal(inputs)
	if err != nil {
		return nil, err
	}
	var given map[string]json.RawMessage
	err = json.Unmarshal(text, &given)
	return given, err
}

// Decode reads an output into what into points to; it fails the test if the
// run failed, or there is no such output, or it does not fit.
func (r *Result) Decode(output string, into any) {
	r.t.Helper()
	if r.Err != nil {
		r.t.Fatalf("the process failed: %v", r.Err)
	}
	v, ok := r.Outputs[output]
	if !ok {
		r.t.Fatalf("no output %s", output)
	}
	if err := v.Decode(into); err != nil {
		r.t.Fatalf("output %s: %v", output, err)
	}
}

// Progress implements wire.Events.
func (r *run) Progress(percent float64, message string) {
	p := Progress{percent, message}
	r.result.Progress = append(r.result.Progress, p)
	if r.onProgress != nil {
		r.onProgress(p)
	}
}

// Log implements wire.Events.
func (r *run) Log(level slog.Level, message string, fields json.RawMessage) {
	r.result.Logs = append(r.result.Logs, Log{level, message, fields})
}
