package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"geomill/host/internal/job"
)

// takeOver makes what a job has put out the host's own, and checks it.
func (h *Host) takeOver(ctx context.Context, a job.Attempt, outputs map[string]job.Value) error {
	if err := seal(a, outputs); err != nil {
		return err
	}
	return h.checkJSON(ctx, outputs)
}

// checkJSON reads the files and the bytes that are to hold JSON: a results
// document that contains one is JSON only if they are. JSON values that came
// inside the session were checked there.
func (h *Host) checkJSON(ctx context.Context, outputs map[string]job.Value) error {
	if h.cfg.CheckJSON == nil {
		return nil
	}
	var declared []string
	for id, v := range outputs {
		if (v.File != "" || v.Data != nil) && job.IsJSON(v.MediaType) {
			declared = append(declared, id)
		}
	}
	slices.Sort(declared)
	for _, id := range declared {
		err := h.checkDeclared(ctx, outputs[id])
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return &job.Failure{Kind: job.ContractBroken, Cause: err,
				Detail: "the plugin broke its contract: output " + id + " is not JSON, although it is declared as such"}
		}
	}
	return nil
}

// checkDeclared checks one value, a file or bytes.
func (h *Host) checkDeclared(ctx context.Context, v job.Value) error {
	if v.File == "" {
		return h.cfg.CheckJSON(bytes.NewReader(v.Data))
	}
	return h.checkFile(ctx, v)
}

// checkFile checks one file. The plugin may still put something else in its
// place, which must neither lead elsewhere nor block.
func (h *Host) checkFile(ctx context.Context, v job.Value) error {
	f, err := os.OpenFile(v.File, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open output: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open output: %w", err)
	}
	if !fi.Mode().IsRegular() || fi.Size() != v.Size {
		return errors.New("the file has changed since the plugin handed it over")
	}
	return h.cfg.CheckJSON(&until{ctx, f})
}

// until is a reader that ends with its context.
type until struct {
	ctx context.Context
	r   io.Reader
}

func (u *until) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}
