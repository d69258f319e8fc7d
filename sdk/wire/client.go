package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"geomill/proto/processv1"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
)

// callTimeout bounds a unary call whose context has no deadline.
const callTimeout = 5 * time.Second

// Client is the host's end of the connection to one instance. It is safe for
// concurrent use and owns nothing: whoever made the connection closes it.
type Client struct {
	control   processv1.ControlServiceClient
	processes processv1.ProcessServiceClient
}

// Health is the answer of an instance to Check.
type Health struct {
	Ready    bool
	InFlight int
	Message  string
}

// NewClient returns a Client on a connection to a plugin.
func NewClient(conn grpc.ClientConnInterface) *Client {
	return &Client{
		control:   processv1.NewControlServiceClient(conn),
		processes: processv1.NewProcessServiceClient(conn),
	}
}

// Info asks the plugin who it is.
func (c *Client) Info(ctx context.Context) (Info, error) {
	ctx, cancel := bounded(ctx, 0)
	defer cancel()
	r, err := c.control.GetInfo(ctx, &processv1.GetInfoRequest{}, callOptions()...)
	if err != nil {
		return Info{}, fmt.Errorf("get plugin info: %w", err)
	}
	return infoFromWire(r), nil
}

// Configure hands over the operator's settings, a JSON object or nil, and the
// host's limits. It returns what is wrong with the settings.
func (c *Client) Configure(ctx context.Context, settings json.RawMessage, l Limits) ([]Problem, error) {
	ctx, cancel := bounded(ctx, 0)
	defer cancel()
	r, err := c.control.Configure(ctx, &processv1.ConfigureRequest{SettingsJson: settings, Limits: limitsToWire(l)}, callOptions()...)
	if err != nil {
		return nil, fmt.Errorf("configure plugin: %w", err)
	}
	var problems []Problem
	for _, p := range r.GetProblems() {
		problems = append(problems, *problemFromWire(p, false))
	}
	return problems, nil
}

// Check asks whether the instance still works.
func (c *Client) Check(ctx context.Context) (Health, error) {
	ctx, cancel := bounded(ctx, 0)
	defer cancel()
	r, err := c.control.Check(ctx, &processv1.CheckRequest{}, callOptions()...)
	if err != nil {
		return Health{}, fmt.Errorf("check plugin: %w", err)
	}
	return Health{Ready: r.GetReady(), InFlight: int(r.GetInFlight()), Message: r.GetMessage()}, nil
}

// Drain makes the instance refuse new jobs and waits until none is left or
// the deadline, counted from now, has passed. It returns how many still run.
func (c *Client) Drain(ctx context.Context, deadline time.Duration) (stillRunning int, err error) {
	ctx, cancel := bounded(ctx, deadline)
	defer cancel()
	r, err := c.control.Drain(ctx, &processv1.DrainRequest{Deadline: durationpb.New(deadline)}, callOptions()...)
	if err != nil {
		return 0, fmt.Errorf("drain plugin: %w", err)
	}
	return int(r.GetStillRunning()), nil
}

// Processes lists what the plugin offers.
func (c *Client) Processes(ctx context.Context) ([]Process, error) {
	ctx, cancel := bounded(ctx, 0)
	defer cancel()
	r, err := c.processes.ListProcesses(ctx, &processv1.ListProcessesRequest{}, callOptions()...)
	if err != nil {
		return nil, fmt.Errorf("list processes of plugin: %w", err)
	}
	list := make([]Process, 0, len(r.GetProcesses()))
	for i, w := range r.GetProcesses() {
		p, err := processFromWire(w)
		if err != nil {
			return nil, fmt.Errorf("list processes of plugin: process %d: %w", i+1, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// bounded gives ctx a deadline unless it has one.
func bounded(ctx context.Context, extra time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callTimeout+extra)
}
