package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"geomill/proto/processv1"
	"geomill/sdk"
	"geomill/sdk/ogc"
	"geomill/sdk/wire"

	"google.golang.org/protobuf/types/known/durationpb"
)

// process is a process of the plugin as it was listed first.
type process struct {
	wire        *processv1.Process
	description ogc.Process
	err         error // why the description cannot be used

	handler *sdk.Handler // checks values as a host does
	inputs  wire.Values  // of a job
	given   bool         // by whoever started the checker
	noInput error        // why there are none
	works   bool         // a job of it has succeeded
}

func (p *process) id() string { return p.description.ID }

func readProcesses(listed *processv1.ListProcessesResponse) []*process {
	var all []*process
	for _, w := range listed.GetProcesses() {
		p := &process{wire: w}
		if p.err = json.Unmarshal(w.GetDescriptionJson(), &p.description); p.err == nil {
			p.err = p.prepare()
		}
		all = append(all, p)
	}
	return all
}

// prepare checks what any host needs of a description.
func (p *process) prepare() (err error) {
	if err := Description(p.description); err != nil {
		return err
	}
	p.handler, err = sdk.NewHandler(sdk.Plugin{Name: "check", Version: "0.0.0"},
		sdk.Raw(p.description, func(*sdk.Job, map[string]sdk.Value) (map[string]sdk.Value, error) { return nil, nil }))
	return err
}

// sample decides with which inputs jobs of the process are run.
func (p *process) sample(given map[string]map[string]json.RawMessage) {
	inputs, ok := given[p.id()]
	p.given = ok
	if !ok {
		if inputs, p.noInput = example(p.description); p.noInput != nil {
			return
		}
	}
	p.inputs, p.noInput = p.handler.Inputs(Schema, p.id(), inputs)
	var wrong *wire.Problem
	if errors.As(p.noInput, &wrong) && len(wrong.Faults) > 0 {
		f := wrong.Faults[0]
		p.noInput = fmt.Errorf("input %s%s %s", f.Input, f.Pointer, f.Message)
	}
}

// example makes inputs of the schemas, those that a job cannot do without.
func example(d ogc.Process) (map[string]json.RawMessage, error) {
	inputs := make(map[string]json.RawMessage)
	for _, id := range slices.Sorted(maps.Keys(d.Inputs)) {
		in := d.Inputs[id]
		if in.Min() == 0 {
			continue
		}
		value, err := made(in.Schema)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", id, err)
		}
		if in.Max() != 1 {
			list := slices.Repeat([]json.RawMessage{value}, in.Min())
			if value, err = json.Marshal(list); err != nil {
				return nil, err
			}
		}
		inputs[id] = value
	}
	return inputs, nil
}

// job makes a job of a process, in a directory of its own.
func (p *probe) job(proc *process) *run {
	p.jobs++
	id := "check-" + strconv.Itoa(p.jobs)
	return &run{id: id, grace: p.Times.Grace, dir: filepath.Join(p.dir, id), process: proc, ended: make(chan struct{})}
}

// start is the message that starts the job with these inputs.
func (r *run) start(inputs []*processv1.Value) *processv1.HostMessage {
	return &processv1.HostMessage{JobId: r.id, Kind: &processv1.HostMessage_Start{Start: &processv1.Start{
		ProcessId: r.process.id(), Attempt: 1, Inputs: inputs, JobDir: r.dir,
	}}}
}

func (r *run) cancel(reason string) *processv1.HostMessage {
	return &processv1.HostMessage{JobId: r.id, Kind: &processv1.HostMessage_Cancel{Cancel: &processv1.Cancel{
		Reason: reason, Grace: durationpb.New(r.grace),
	}}}
}

// expect makes jobs known to the reader of the session.
func (s *session) expect(runs ...*run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range runs {
		s.jobs[r.id] = r
	}
}

// inline puts values into the message, or into files when they are too large.
func (r *run) inline(values wire.Values) ([]*processv1.Value, error) {
	var list []*processv1.Value
	for _, v := range values {
		w := &processv1.Value{Id: v.ID, MediaType: v.MediaType}
		switch {
		case max(len(v.JSON), len(v.Data)) > wire.InlineMaxBytes:
			if err := r.intoFile(w, append(v.JSON, v.Data...)); err != nil {
				return nil, err
			}
		case v.JSON != nil:
			w.Kind = &processv1.Value_Json{Json: v.JSON}
		default:
			w.Kind = &processv1.Value_Data{Data: v.Data}
		}
		list = append(list, w)
	}
	return list, nil
}

// files puts all values into files, JSON with so many spaces at its end that it
// is one byte too large for the session.
func (r *run) files(values wire.Values) ([]*processv1.Value, error) {
	var list []*processv1.Value
	for _, v := range values {
		content := slices.Concat(v.JSON, v.Data)
		for v.JSON != nil && len(content) <= wire.InlineMaxBytes {
			content = append(content, ' ')
		}
		w := &processv1.Value{Id: v.ID, MediaType: v.MediaType}
		if err := r.intoFile(w, content); err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

func (r *run) intoFile(w *processv1.Value, content []byte) error {
	name := filepath.Join("in", strconv.Itoa(len(content))+"-"+filepath.Base(w.GetId()))
	if err := os.MkdirAll(filepath.Join(r.dir, "in"), 0o700); err != nil {
		return err
	}
	w.Kind = &processv1.Value_File{File: &processv1.File{Path: name, Size: uint64(len(content))}}
	return os.WriteFile(filepath.Join(r.dir, name), content, 0o600)
}

// usable returns the processes that jobs can be made of.
func (p *probe) usable() []*process {
	return slices.DeleteFunc(slices.Clone(p.processes), func(proc *process) bool {
		return proc.err != nil || proc.noInput != nil
	})
}

// cheap returns the process for checks that need jobs and do not care of what:
// one whose job has succeeded, shared by jobs if there is such a one.
func (p *probe) cheap() *process {
	var best *process
	for _, proc := range p.usable() {
		if best == nil || rank(proc) > rank(best) {
			best = proc
		}
	}
	return best
}

func rank(p *process) int {
	n := 0
	if p.works {
		n += 4
	}
	switch p.wire.GetPolicy().GetIsolation() {
	case processv1.Isolation_ISOLATION_EXCLUSIVE:
		n++
	case processv1.Isolation_ISOLATION_JOB:
	default:
		n += 2
	}
	return n
}
