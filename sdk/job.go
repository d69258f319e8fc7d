package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"geomill/sdk/wire"
)

// Job is one execution of a process, as its function sees it. As a context it
// ends when the job is dismissed, runs out of time or the plugin has to stop;
// the function should then return soon. A Job may be used by many goroutines,
// until the function returns.
type Job struct {
	context.Context
	encode func(output string, v any) (Value, error)
	start  wire.Start
	events wire.Events
	handed handed
	logger sync.Once // most jobs log nothing
	log    *slog.Logger
}

func newJob(ctx context.Context, encode func(string, any) (Value, error), s wire.Start, ev wire.Events) *Job {
	return &Job{Context: ctx, encode: encode, start: s, events: ev}
}

// ID identifies the job at the host.
func (j *Job) ID() string { return j.start.JobID }

// Attempt is 1, or more if the job was interrupted before.
func (j *Job) Attempt() int { return j.start.Attempt }

// Progress reports how far the job is, from 0 to 100, with a message for whoever
// waits for it. It never blocks for long and may be called often. With args the
// message is a format.
func (j *Job) Progress(percent float64, message string, args ...any) {
	if len(args) > 0 {
		message = fmt.Sprintf(message, args...)
	}
	j.events.Progress(percent, message)
}

// Log is where the log lines of this job go; the host keeps them with it.
func (j *Job) Log() *slog.Logger {
	j.logger.Do(func() { j.log = slog.New(newLogHandler(j.events)) })
	return j.log
}

// Dir returns a directory for the files of this job, and makes it if need be.
// The host removes it when the job has ended; output files may be in it.
func (j *Job) Dir() (string, error) { return j.subdir("tmp") }

// CheckpointDir returns a directory that is kept from one attempt of the job to
// the next, also when the plugin or the host crashed in between, and makes it if
// need be. The first attempt finds it empty. A job that is run only once, such as
// a synchronous execution, gets one too, for that time. Write a file beside its
// place, sync it and rename it: an attempt may end at any moment.
func (j *Job) CheckpointDir() (string, error) {
	dir := j.start.CheckpointDir
	if dir == "" {
		return j.subdir("checkpoint")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make checkpoint directory: %w", err)
	}
	return dir, nil
}

// Wants reports whether the client asked for an output. Others need not be
// computed and are not sent.
func (j *Job) Wants(output string) bool {
	if j.start.Outputs == nil {
		return true
	}
	_, ok := j.start.Outputs[output]
	return ok
}

// Format returns the media type that the client has chosen for an output that
// comes in several, or "" when the choice is the process's.
func (j *Job) Format(output string) string { return j.start.Outputs[output] }

func (j *Job) subdir(name string) (string, error) {
	dir := filepath.Join(j.start.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make job directory: %w", err)
	}
	return dir, nil
}
