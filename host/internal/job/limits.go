package job

import (
	"fmt"
	"time"
)

// Limits bounds what one attempt may use. A zero sets no bound.
type Limits struct {
	// Memory is what an instance that runs the attempt alone may have in
	// memory, with all that it starts, in bytes.
	Memory int64 `json:"memory,omitempty"`
	// CPU is the processor time that the instance may use during the attempt,
	// with all that it starts.
	CPU time.Duration `json:"cpu,omitempty"`
	// Output is the size of all outputs together, in bytes.
	Output int64 `json:"output,omitempty"`
	// Directory is what the directories of the attempt may grow by, in bytes.
	Directory int64 `json:"directory,omitempty"`
}

// LimitName is what is limited, as clients are told.
type LimitName string

// What is limited.
const (
	LimitMemory    LimitName = "memory"
	LimitCPU       LimitName = "cpu"
	LimitFiles     LimitName = "files"
	LimitProcesses LimitName = "processes"
	LimitOutput    LimitName = "output"
	LimitDirectory LimitName = "directory"
)

// Exceeded is the failure of an attempt that used more than it may. Retryable
// has to be set when another job may have been why.
func Exceeded(name LimitName, maximum float64) *Failure {
	f := &Failure{Kind: LimitExceeded, Limit: name, Maximum: maximum}
	if name == LimitMemory {
		f.Kind = OutOfMemory
	}
	f.Detail = fmt.Sprintf(map[LimitName]string{
		LimitMemory:    "the plugin used more memory than its limit of %s",
		LimitCPU:       "the process used more processor time than its limit of %s",
		LimitFiles:     "the plugin had more files open than its limit of %s",
		LimitProcesses: "the plugin ran more processes than its limit of %s",
		LimitOutput:    "the outputs are larger than their limit of %s",
		LimitDirectory: "the process wrote more into its directory than its limit of %s",
	}[name], name.amount(maximum))
	return f
}

// amount says for people how much of what is limited n is.
func (l LimitName) amount(n float64) string {
	switch l {
	case LimitMemory, LimitOutput, LimitDirectory:
		return byteCount(int64(n))
	case LimitCPU:
		return time.Duration(n * float64(time.Second)).String()
	}
	return fmt.Sprint(int64(n))
}

// byteCount writes a number of bytes in the largest unit that it is a whole
// number of.
func byteCount(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	for n != 0 && n%1024 == 0 && len(units) > 1 {
		n, units = n/1024, units[1:]
	}
	return fmt.Sprintf("%d %s", n, units[0])
}
