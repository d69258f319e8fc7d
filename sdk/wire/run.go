package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"geomill/proto/processv1"

	"google.golang.org/protobuf/types/known/durationpb"
)

// run is one job in a Session, between its start and its end. All but box and
// wake belong to the goroutine in Run.
type run struct {
	box  mailbox
	wake chan struct{}

	session *Session
	start   Start
	grace   time.Duration
	events  Events
	dir     jobDir
	outputs Values

	// cause is why the job was told to end: the cause of its context, or a
	// *ContractError. What else the plugin
	// says about it no longer counts.
	cause     error
	cancel    instruction
	stopping  chan<- instruction // not nil while cancel waits to be queued
	graceOver <-chan time.Time

	unended bool // given up: the plugin still runs it

	seen *atomic.Uint64 // number of the last message that was handed on; or nil

	list []*processv1.PluginMessage // scratch of deliver
}

// maxReason is the longest reason of a cancellation, in bytes.
const maxReason = 4 << 10

// Run sends a job to the plugin and blocks until it has ended. ev, not nil,
// gets its events from the calling goroutine; it may be slow, at the price of
// events. An id runs once at a time.
// Inputs above InlineMaxBytes are written to the directory in of st.Dir;
// files among the outputs are regular files in st.Dir with one name.
//
// When ctx ends before the job, Run asks the plugin to cancel it and waits
// for its end at most the grace time; ev gets nothing more. It returns
//   - a *Problem when the process failed,
//   - a *ContractError when the plugin broke the contract,
//   - context.Cause(ctx) when ctx ended first, whatever became of the job,
//   - an *UnresponsiveError when a cancelled job did not end in time,
//   - a *LostError when the session broke.
func (s *Session) Run(ctx context.Context, st Start, grace time.Duration, ev Events) (Values, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := newRun(s, st, grace, ev)
	defer r.dir.close()
	return r.begin(ctx)
}

func newRun(s *Session, st Start, grace time.Duration, ev Events) *run {
	return &run{session: s, start: st, grace: grace, events: ev, wake: make(chan struct{}, 1), dir: jobDir{path: st.Dir, base: st.Root, owner: st.Owner}}
}

// begin sends the job to the plugin and waits for its end.
func (r *run) begin(ctx context.Context) (Values, error) {
	s, st := r.session, r.start
	if err := s.join(r); err != nil {
		return nil, fmt.Errorf("start job: %w", err)
	}
	defer s.leave(r)
	message, size, err := startToWire(&r.dir, st)
	if err != nil {
		return nil, fmt.Errorf("start job %s: %w", st.JobID, err)
	}
	if err := s.send(ctx, instruction{message, size}); err != nil {
		return nil, err
	}
	return r.follow(ctx)
}

// send queues the first instruction of a job.
func (s *Session) send(ctx context.Context, i instruction) error {
	select {
	case s.queue <- i:
		return nil
	default:
	}
	select {
	case s.queue <- i:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.done:
		return s.Err()
	}
}

// notify wakes the goroutine in Run.
func (r *run) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// follow waits for the end of a job whose start is on its way.
func (r *run) follow(ctx context.Context) (Values, error) {
	ended := ctx.Done()
	for {
		select {
		case <-r.wake:
			// What the reader handed over before the session ended still counts.
			lost := r.session.over()
			if end := r.deliver(); end != nil {
				return r.result(ctx, end)
			}
			if lost {
				return nil, r.session.Err()
			}
		case <-ended:
			ended = nil
			r.stop(context.Cause(ctx))
		case r.stopping <- r.cancel:
			r.stopping = nil
		case <-r.graceOver:
			r.unended = true
			return nil, &UnresponsiveError{Grace: r.grace, Cause: r.cause}
		}
	}
}

// deliver hands on what waits and returns the end of the job if that is there.
func (r *run) deliver() (end *processv1.PluginMessage) {
	r.list, _ = r.box.take(r.list[:0])
	for _, m := range r.list {
		switch k := m.GetKind().(type) {
		case *processv1.PluginMessage_Progress:
			r.events.Progress(percent(k.Progress.GetPercent()), k.Progress.GetMessage())
		case *processv1.PluginMessage_Log:
			r.log(k.Log)
		case *processv1.PluginMessage_Output:
			r.accept(k.Output)
		case *processv1.PluginMessage_Succeeded:
			for _, v := range k.Succeeded.GetOutputs() {
				r.accept(v)
			}
			end = m
		case *processv1.PluginMessage_Failed, *processv1.PluginMessage_Cancelled:
			end = m
		}
		if r.seen != nil {
			r.seen.Store(max(r.seen.Load(), m.GetSeq())) // an output may come once more
		}
	}
	clear(r.list)
	if r.box.excess() {
		r.stop(broken("it sent more than %d outputs or more than %d bytes of outputs inside the session", maxValues, maxOutputBytes))
	}
	return end
}

func (r *run) log(l *processv1.Log) {
	if n := l.GetDropped(); n > 0 {
		r.events.Log(slog.LevelWarn, fmt.Sprintf("%d log lines left out", n), nil)
	}
	fields := json.RawMessage(l.GetFieldsJson())
	if !json.Valid(fields) {
		fields = nil
	}
	r.events.Log(levelFromWire(l.GetLevel()), l.GetMessage(), fields)
}

func (r *run) accept(w *processv1.Value) {
	if r.cause != nil {
		return
	}
	v, err := valueFromWire(&r.dir, w)
	if err != nil {
		r.stop(broken("output %.200q: %v", w.GetId(), err))
		return
	}
	r.outputs = append(r.outputs, Named{w.GetId(), v})
}

// stop asks the plugin to cancel the job, once.
func (r *run) stop(cause error) {
	if r.cause != nil {
		return
	}
	r.cause = cause
	r.box.mute()
	r.outputs = nil
	r.cancel = cancelToWire(r.start.JobID, cause, r.grace)
	r.graceOver = time.After(max(r.grace, 0))
	select {
	case r.session.queue <- r.cancel:
	default:
		r.stopping = r.session.queue
	}
}

// result is the result of a job that has ended.
func (r *run) result(ctx context.Context, end *processv1.PluginMessage) (Values, error) {
	if r.cause != nil {
		return nil, r.cause
	}
	if end.GetSucceeded() != nil {
		return r.outputs, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if k, ok := end.GetKind().(*processv1.PluginMessage_Failed); ok {
		return nil, problemFromWire(k.Failed.GetProblem(), k.Failed.GetRetryable())
	}
	return nil, &Problem{Title: "the process cancelled itself", Detail: end.GetCancelled().GetMessage()}
}

func cancelToWire(id string, cause error, grace time.Duration) instruction {
	w := &processv1.Cancel{Reason: text(cause.Error(), maxReason), Grace: durationpb.New(max(grace, 0))}
	return instruction{
		message: &processv1.HostMessage{JobId: id, Kind: &processv1.HostMessage_Cancel{Cancel: w}},
		size:    messageOverhead + len(w.Reason),
	}
}

func percent(p float64) float64 {
	if math.IsNaN(p) {
		return 0
	}
	return min(max(p, 0), 100)
}
