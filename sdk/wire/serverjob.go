package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"geomill/proto/processv1"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// The bounds of what a job reports, in bytes. A longer text is cut; log fields
// that are longer are left out, since JSON cannot be cut.
const (
	maxProgressText = 4 << 10
	maxLogText      = 16 << 10
	maxLogFields    = 32 << 10
)

// serverJob is a job on the plugin end. It is the Events of its handler.
type serverJob struct {
	id       string
	session  *serving
	box      mailbox
	admitted bool // it has a slot
	detached *detached
	ctx      context.Context
	stop     context.CancelCauseFunc

	sent   sent
	listed bool // of outbox, under its lock
}

// run executes the job and posts its end, whatever the handler does.
func (j *serverJob) run(server *Server, w *processv1.Start) {
	var end *processv1.PluginMessage
	defer func() {
		if p := recover(); p != nil {
			end = j.panicked(p)
		} else if end == nil {
			end = failed(&Problem{Title: "the process failed", Detail: "the process ended its goroutine without a result"})
		}
		j.stop(nil)
		// The host may use the id again as soon as it has the end.
		if j.detached != nil {
			j.detached.leave(j)
		} else {
			j.session.leave(j)
		}
		j.end(end)
	}()
	end = j.execute(server, w)
}

func (j *serverJob) execute(server *Server, w *processv1.Start) *processv1.PluginMessage {
	dir := &jobDir{path: w.GetJobDir()}
	defer dir.close()
	j.sent.dir.path = dir.path
	defer j.sent.close()
	start, err := startFromWire(dir, j.id, w)
	if err != nil {
		return failed(&Problem{Title: "the host broke its contract", Detail: err.Error()})
	}
	ctx := j.ctx
	if !start.Deadline.IsZero() {
		ctx = deadlineContext{ctx, start.Deadline}
	}
	outputs, err := server.handler.Run(ctx, start, j)
	if err != nil {
		return ended(ctx, err)
	}
	return j.succeeded(server, dir, outputs)
}

// deadlineContext tells the deadline of a job. It needs no timer of its own:
// the host cancels the job then.
type deadlineContext struct {
	context.Context
	deadline time.Time
}

func (c deadlineContext) Deadline() (time.Time, bool) { return c.deadline, true }

func (j *serverJob) succeeded(server *Server, dir *jobDir, outputs Values) *processv1.PluginMessage {
	if len(outputs) > maxValues {
		return failed(&Problem{Title: "too many outputs", Detail: fmt.Sprintf("the process returned %d outputs, more than %d", len(outputs), maxValues)})
	}
	ws, size, err := valuesToWire(dir, outDir, outputs, server.inlineMax())
	if err == nil && j.detached != nil {
		err = syncOutputs(dir, ws)
	}
	if err == nil && size > MaxMessageBytes/2 {
		err = fmt.Errorf("ids and media types take %d bytes", size)
	}
	if err != nil {
		return failed(&Problem{Title: "an output cannot be handed over", Detail: fmt.Sprintf("output %v", err)})
	}
	return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Succeeded{Succeeded: &processv1.Succeeded{Outputs: ws}}}
}

// ended is the end of a job whose handler returned an error.
func ended(ctx context.Context, err error) *processv1.PluginMessage {
	cause := context.Cause(ctx)
	var problem *Problem
	if errors.As(cause, &problem) { // see Abort
		return failed(problem)
	}
	var cancelled *CancelledError
	if errors.As(cause, &cancelled) || errors.Is(cause, errSessionOver) {
		message := text(err.Error(), maxProblemText)
		return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Cancelled{Cancelled: &processv1.Cancelled{Message: message}}}
	}
	if !errors.As(err, &problem) {
		problem = &Problem{Title: "the process failed", Detail: err.Error()}
	}
	return failed(problem)
}

func failed(p *Problem) *processv1.PluginMessage {
	f := &processv1.Failed{Problem: problemToWire(p), Retryable: p.Retryable}
	return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Failed{Failed: f}}
}

// panicked logs a panic with its stack and returns the end of its job. It is
// called by the deferred function that recovered, so that the stack still
// holds the place.
func (j *serverJob) panicked(value any) *processv1.PluginMessage {
	detail := fmt.Sprintf("panic: %v", value)
	stack := fromPanic(string(debug.Stack()))
	fields, err := json.Marshal(map[string]string{"stack": text(stack, maxLogText)})
	if err != nil {
		fields = nil
	}
	j.Log(slog.LevelError, detail, fields)
	return failed(&Problem{Kind: Panicked, Title: "the process panicked", Detail: detail})
}

// fromPanic is the stack of a goroutine that has recovered, without what was called
// to handle the panic: it begins where that happened.
func fromPanic(stack string) string {
	goroutine, _, _ := strings.Cut(stack, "\n")
	_, after, found := strings.Cut(stack, "\npanic(")
	frame := strings.SplitN(after, "\n", 3) // what is left of the call, its place, and the rest
	if !found || len(frame) < 3 {
		return stack
	}
	return goroutine + "\n" + frame[2]
}

// Progress reports how far the job is. Of what the host has not read yet only
// the latest is kept.
func (j *serverJob) Progress(percent float64, message string) {
	p := &processv1.Progress{Percent: percent, Message: text(message, maxProgressText)}
	j.post(&processv1.PluginMessage{Kind: &processv1.PluginMessage_Progress{Progress: p}})
}

// Log reports a line of the job's log. Of what the host has not read yet the
// latest lines are kept, with a count of those left out.
func (j *serverJob) Log(level slog.Level, message string, fields json.RawMessage) {
	if len(fields) > maxLogFields {
		fields = nil
	}
	l := &processv1.Log{Level: levelToWire(level), Message: text(message, maxLogText), FieldsJson: bytes.Clone(fields)}
	j.post(&processv1.PluginMessage{Kind: &processv1.PluginMessage_Log{Log: l}})
}

// accept tells the host that the job was taken, unless it has told more since.
func (j *serverJob) accept() {
	if j.box.silent() {
		j.post(&processv1.PluginMessage{Kind: &processv1.PluginMessage_Accepted{Accepted: &processv1.Accepted{}}})
	}
}

// end posts the end of the job. Its slot is given back when the writer takes
// it, so that ends that wait count as jobs.
func (j *serverJob) end(m *processv1.PluginMessage) {
	j.post(m)
}

func (j *serverJob) post(m *processv1.PluginMessage) {
	m.JobId = j.id
	if !isEnd(m) { // which the host times itself
		m.Time = timestamppb.Now()
	}
	if j.detached != nil {
		j.detached.post(m)
		return
	}
	if !j.box.post(m) || j.session.out.push(j) {
		return
	}
	// The writer is gone: whoever takes the end gives the slot back.
	if list, _ := j.box.take(nil); j.admitted && len(list) > 0 && isEnd(list[len(list)-1]) {
		j.session.server.release(1)
	}
}
