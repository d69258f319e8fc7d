package store

import (
	"maps"
	"path/filepath"
	"strings"

	"geomill/host/internal/job"
)

// portable returns an order whose files below Config.JobsDir are named by their
// paths there.
func (s *Store) portable(o job.Order) job.Order {
	if s.config.JobsDir == "" {
		return o
	}
	var inputs map[string]job.Value
	for name, v := range o.Inputs {
		if v.File == "" {
			continue
		}
		below, ok := strings.CutPrefix(v.File, s.config.JobsDir+string(filepath.Separator))
		if !ok {
			continue
		}
		if inputs == nil {
			inputs = maps.Clone(o.Inputs)
		}
		v.File = below
		inputs[name] = v
	}
	if inputs != nil {
		o.Inputs = inputs
	}
	return o
}

// locate undoes portable.
func (s *Store) locate(o job.Order) {
	if s.config.JobsDir == "" {
		return
	}
	for name, v := range o.Inputs {
		if v.File != "" && !filepath.IsAbs(v.File) {
			v.File = filepath.Join(s.config.JobsDir, v.File)
			o.Inputs[name] = v
		}
	}
}
