// Command faulty is a plugin whose processes fail as they are told: tests look
// at what becomes of their jobs.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"geomill/sdk"
)

type inputs struct {
	How   string `json:"how" jsonschema:"description=The way to fail."`
	Times int    `json:"times,omitempty" jsonschema:"description=In how many attempts; later ones succeed.,default=100"`
}

type outputs struct {
	Attempt int    `json:"attempt"`
	Note    string `json:"note" jsonschema:"description=What the attempts before have left."`
}

func main() {
	sdk.Serve(sdk.Plugin{Name: "faulty", Version: "1.0.0"},
		sdk.New(sdk.Info{ID: "faulty", Title: "Fails"}, run),
		sdk.New(sdk.Info{ID: "undeterred", Title: "Fails and is run again",
			Policy: sdk.Policy{RetryAttempts: 9, RetryBackoff: 20 * time.Millisecond}}, run))
}

func run(job *sdk.Job, in inputs) (outputs, error) {
	note, err := leaveNote(job)
	if err != nil || job.Attempt() > in.Times {
		return outputs{job.Attempt(), note}, err
	}
	return outputs{job.Attempt(), note}, fail(job, in.How)
}

// leaveNote adds the attempt to the note in the checkpoint directory and returns
// what was there.
func leaveNote(job *sdk.Job) (string, error) {
	dir, err := job.CheckpointDir()
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "note")
	before, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return string(before), os.WriteFile(name, fmt.Append(before, job.Attempt(), ";"), 0o600)
}

func fail(job *sdk.Job, how string) error {
	switch how {
	case "refuse":
		return errors.Join(sdk.InvalidAt("how", "/x", "is odd"), sdk.Invalid("times", "is odd too"))
	case "error":
		return errors.New("no luck today")
	case "missing":
		return sdk.Status(errors.New("no data of that day"), 404, "NoData")
	case "passing":
		return sdk.Retry(errors.New("no luck yet"))
	case "panic":
		panic("in the process")
	case "exit":
		write("my data is gone from %s, secret %s\n", os.Getenv("HOME"), os.Getenv("FAULTY_SECRET"))
		os.Exit(3)
	case "crash":
		go panic("in a goroutine")
		select {}
	case "kill":
		return errors.Join(syscall.Kill(os.Getpid(), syscall.SIGKILL), sleep(job, time.Hour))
	case "memory":
		return gorge()
	case "spin":
		for job.Err() == nil {
		}
	case "hang":
		return sleep(job, time.Hour)
	}
	return nil
}

// write goes to the plugin's own standard error, past the SDK.
func write(format string, args ...any) {
	_, _ = syscall.Write(2, fmt.Appendf(nil, format, args...))
}

// gorge takes more memory than it may have.
func gorge() error {
	debug.SetGCPercent(-1)
	limit := &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, limit); err != nil {
		return err
	}
	var held [][]byte
	for {
		held = append(held, make([]byte, 64<<20))
	}
}

func sleep(job *sdk.Job, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-job.Done():
		return job.Err()
	}
}
