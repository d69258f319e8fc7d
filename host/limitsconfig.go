package host

import (
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin"
)

// What limits of a plugin have to be at least, for it to start at all.
const (
	leastMemory = 16 << 20 // bytes
	leastFiles  = 32
)

// defaultFiles is how many files each process of a plugin may have open unless
// its operator says otherwise.
const defaultFiles = 4096

// AttemptLimits bounds what one attempt of a job may use. What is left out is as
// it is decided elsewhere; 0 sets no bound.
type AttemptLimits struct {
	// Memory is what an instance may have in memory with all that it starts. That
	// of a process holds where its jobs share no instance, besides that of the
	// plugin.
	Memory *Bytes `yaml:"memory"`
	// CPU is the processor time that the instance may use during the attempt,
	// with all that it starts: where jobs share an instance, for others too.
	CPU *time.Duration `yaml:"cpu"`
	// Output is the size of all outputs together.
	Output *Bytes `yaml:"output"`
	// Directory is what the attempt may write into its directories.
	Directory *Bytes `yaml:"directory"`
}

// PluginLimits bounds what each instance of a plugin may use, and each attempt.
type PluginLimits struct {
	AttemptLimits `yaml:",inline"`
	// Files is how many files each process may have open (4096); 0 leaves it to
	// the system.
	Files *int `yaml:"files"`
	// Processes is how many processes there may be, the instance's own included.
	Processes *int `yaml:"processes"`
}

// above puts what is decided here above limits.
func (a AttemptLimits) above(l *job.Limits) {
	override(&l.Memory, (*int64)(a.Memory))
	override(&l.CPU, a.CPU)
	override(&l.Output, (*int64)(a.Output))
	override(&l.Directory, (*int64)(a.Directory))
}

func (p PluginLimits) above(l *plugin.Limits) {
	p.AttemptLimits.above(&l.Limits)
	override(&l.Files, p.Files)
	override(&l.Processes, p.Processes)
}

func (a AttemptLimits) validate(fault func(key, format string, args ...any)) {
	for _, b := range []struct {
		key   string
		value *Bytes
	}{{"output", a.Output}, {"directory", a.Directory}} {
		if b.value != nil && *b.value < 0 {
			fault(b.key, "%d is negative", *b.value)
		}
	}
	if m := a.Memory; m != nil && *m != 0 && *m < leastMemory {
		fault("memory", "%d is not 0 or a number of bytes from %d", *m, leastMemory)
	}
	if a.CPU != nil && *a.CPU != 0 && *a.CPU < time.Second {
		fault("cpu", "%s is not 0 or a duration from 1s", *a.CPU)
	}
}

func (p PluginLimits) validate(fault func(key, format string, args ...any)) {
	p.AttemptLimits.validate(fault)
	if p.Files != nil && *p.Files != 0 && *p.Files < leastFiles {
		fault("files", "%d is not 0 or a number from %d", *p.Files, leastFiles)
	}
	if p.Processes != nil && *p.Processes < 0 {
		fault("processes", "%d is negative", *p.Processes)
	}
}
