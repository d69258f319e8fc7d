package wire

import (
	"fmt"
	"time"
	"unicode/utf8"

	"geomill/proto/processv1"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxStartBytes is the largest start message. Large values cross as files, so
// that only a very large number of inputs reaches it.
const maxStartBytes = MaxMessageBytes / 2

// startToWire converts a job and returns its size on the wire, roughly. Large
// inputs are written to the job directory.
func startToWire(d *jobDir, st Start) (*processv1.HostMessage, int, error) {
	inputs, size, err := valuesToWire(d, inDir, st.Inputs, InlineMaxBytes)
	if err != nil {
		return nil, 0, fmt.Errorf("input %w", err)
	}
	w := &processv1.Start{
		ProcessId: st.ProcessID,
		Attempt:   count(st.Attempt),
		Inputs:    inputs,
		JobDir:    st.Dir,
		Trace:     st.Trace,

		CheckpointDir: st.CheckpointDir,
	}
	size += len(st.CheckpointDir) + len(st.JobID) + len(st.ProcessID) + len(st.Dir) + 2*valueOverhead
	if !st.Deadline.IsZero() {
		w.Deadline = timestamppb.New(st.Deadline)
	}
	if st.Outputs != nil {
		w.Outputs = &processv1.OutputSelection{}
		for id, mediaType := range st.Outputs {
			w.Outputs.Outputs = append(w.Outputs.Outputs, &processv1.OutputRequest{Id: text(id, len(id)), MediaType: text(mediaType, len(mediaType))})
			size += len(id) + len(mediaType) + valueOverhead
		}
	}
	for k, v := range st.Trace {
		size += len(k) + len(v) + valueOverhead
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return nil, 0, fmt.Errorf("trace header %q is not UTF-8", k)
		}
	}
	if !utf8.ValidString(st.JobID) || !utf8.ValidString(st.ProcessID) || !utf8.ValidString(st.Dir) || !utf8.ValidString(st.CheckpointDir) {
		return nil, 0, fmt.Errorf("job %q: id, process id and directories must be UTF-8", st.JobID)
	}
	if size > maxStartBytes {
		return nil, 0, fmt.Errorf("job takes %d bytes on the wire, more than %d, with its large inputs in files", size, maxStartBytes)
	}
	return &processv1.HostMessage{JobId: st.JobID, Kind: &processv1.HostMessage_Start{Start: w}}, size, nil
}

func startFromWire(d *jobDir, id string, w *processv1.Start) (Start, error) {
	st := Start{
		JobID:     id,
		ProcessID: w.GetProcessId(),
		Attempt:   int(w.GetAttempt()),
		Inputs:    make(Values, 0, len(w.GetInputs())),
		Dir:       w.GetJobDir(),
		Deadline:  deadline(w),
		Trace:     w.GetTrace(),

		CheckpointDir: w.GetCheckpointDir(),
	}
	for _, v := range w.GetInputs() {
		in, err := valueFromWire(d, v)
		if err != nil {
			return Start{}, fmt.Errorf("input %q: %w", v.GetId(), err)
		}
		st.Inputs = append(st.Inputs, Named{v.GetId(), in})
	}
	if w.GetOutputs() != nil {
		st.Outputs = make(map[string]string, len(w.GetOutputs().GetOutputs()))
		for _, o := range w.GetOutputs().GetOutputs() {
			st.Outputs[o.GetId()] = o.GetMediaType()
		}
	}
	return st, nil
}

func deadline(w *processv1.Start) time.Time {
	if w.GetDeadline() == nil {
		return time.Time{}
	}
	now := time.Now()
	return now.Add(w.GetDeadline().AsTime().Sub(now)) // by a clock that nobody sets
}
