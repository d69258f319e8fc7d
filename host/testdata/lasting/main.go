// Command lasting is a plugin whose jobs outlive the host: they do what the files
// in a directory tell them to, and say there who they are.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"geomill/sdk"
)

type inputs struct {
	Dir  string   `json:"dir" jsonschema:"description=Where the orders are."`
	Text sdk.File `json:"text" jsonschema:"description=Any text.,contentMediaType=text/plain"`
}

type outputs struct {
	Attempt int      `json:"attempt"`
	Steps   int      `json:"steps"`
	Note    string   `json:"note"`
	Text    sdk.File `json:"text" jsonschema:"contentMediaType=text/plain"`
}

func main() {
	sdk.Serve(sdk.Plugin{Name: "lasting", Version: "1.0.0"},
		sdk.New(sdk.Info{ID: "lasting", Title: "Goes on", Policy: sdk.Policy{Isolation: sdk.PerJob, Detached: true}}, run))
}

func run(job *sdk.Job, in inputs) (outputs, error) {
	note, err := begin(job, in.Dir)
	if err != nil {
		return outputs{}, err
	}
	for step := 1; ; {
		select {
		case <-job.Done():
			return outputs{}, job.Err()
		case <-time.After(5 * time.Millisecond):
		}
		if _, err := os.Stat(filepath.Join(in.Dir, strconv.Itoa(step))); err == nil {
			job.Log().Info("step " + strconv.Itoa(step))
			job.Progress(float64(10*step), "did step %d", step)
			fmt.Println("step on standard output")
			step++
			continue
		}
		if err := os.Remove(filepath.Join(in.Dir, "tidy")); err == nil {
			if err := tidy(); err != nil {
				return outputs{}, err
			}
		}
		if _, err := os.Stat(filepath.Join(in.Dir, "end")); err == nil {
			text, err := os.ReadFile(in.Text.Path)
			if err != nil {
				return outputs{}, err
			}
			out := outputs{Attempt: job.Attempt(), Steps: step - 1, Note: note}
			out.Text, err = keep(job, text)
			return out, err
		}
	}
}

// begin leaves a checkpoint and says that the job runs, and as which process.
func begin(job *sdk.Job, dir string) (note string, err error) {
	kept, err := job.CheckpointDir()
	if err != nil {
		return "", err
	}
	before, err := os.ReadFile(filepath.Join(kept, "note"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(kept, "note"), fmt.Append(before, job.Attempt(), ";"), 0o600); err != nil {
		return "", err
	}
	name := filepath.Join(dir, fmt.Sprintf("pid%d", job.Attempt()))
	err = os.WriteFile(name+".new", []byte(strconv.Itoa(os.Getpid())), 0o600)
	return string(before), errors.Join(err, os.Rename(name+".new", name))
}

func keep(job *sdk.Job, text []byte) (sdk.File, error) {
	dir, err := job.Dir()
	if err != nil {
		return sdk.File{}, err
	}
	path := filepath.Join(dir, "text")
	return sdk.File{Path: path}, os.WriteFile(path, text, 0o600)
}

// tidy removes all that is in the home, and leaves something else there.
func tidy() error {
	left, err := filepath.Glob(filepath.Join(os.Getenv("HOME"), "*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return errors.Join(err, os.WriteFile("record", []byte("of the job"), 0o600))
}
