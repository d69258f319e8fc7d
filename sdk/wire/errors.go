package wire

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"geomill/proto/processv1"
	"geomill/sdk/ogc"
)

// ErrClosed is the cause of a LostError when the host itself closed the
// session.
var ErrClosed = errors.New("session closed by the host")

// ErrTooLarge is in the cause of a LostError when the plugin sent a message of more
// than MaxMessageBytes.
var ErrTooLarge = fmt.Errorf("a message of the plugin is larger than %d MiB", MaxMessageBytes>>20)

// LostError ends every job of a session that broke: the plugin crashed, was
// killed, or closed the stream. The job's own fate is unknown.
type LostError struct {
	Cause error
}

func (e *LostError) Error() string { return fmt.Sprintf("session with the plugin lost: %v", e.Cause) }

// Unwrap returns what broke the session.
func (e *LostError) Unwrap() error { return e.Cause }

// ContractError ends a job whose plugin did not keep to the contract.
type ContractError struct {
	Detail string
}

func (e *ContractError) Error() string { return "the plugin broke its contract: " + e.Detail }

func broken(format string, args ...any) *ContractError {
	return &ContractError{Detail: fmt.Sprintf(format, args...)}
}

// UnresponsiveError says that a cancelled job did not end within its grace
// time. It still runs in the plugin.
type UnresponsiveError struct {
	Grace time.Duration
	Cause error // why the job was cancelled
}

func (e *UnresponsiveError) Error() string {
	return fmt.Sprintf("process did not end within %s of its cancellation: %v", e.Grace, e.Cause)
}

// Unwrap returns the cause of the cancellation.
func (e *UnresponsiveError) Unwrap() error { return e.Cause }

// The bounds of a problem as it crosses.
const (
	maxProblemText   = 32 << 10 // bytes of a title, a detail or a fault's message
	maxProblemFaults = 1000
	maxCode          = 100 // bytes
)

func problemToWire(p *Problem) *processv1.Problem {
	w := &processv1.Problem{
		Kind:   problemKinds[p.Kind],
		Title:  text(p.Title, maxProblemText),
		Detail: text(p.Detail, maxProblemText),
		Status: int32(statusOf(p.Status)),
		Code:   codeOf(p.Code),
	}
	room := MaxMessageBytes / 16
	for i, f := range p.Faults {
		m := text(f.Message, maxProblemText)
		room -= len(m) + len(f.Input) + len(f.Pointer)
		if i >= maxProblemFaults || room < 0 {
			break
		}
		w.Faults = append(w.Faults, &processv1.Fault{
			Input: text(f.Input, maxProblemText), Pointer: text(f.Pointer, maxProblemText), Message: m,
		})
	}
	return w
}

func problemFromWire(w *processv1.Problem, retryable bool) *Problem {
	p := &Problem{Title: w.GetTitle(), Detail: w.GetDetail(), Retryable: retryable, Status: statusOf(int(w.GetStatus())), Code: codeOf(w.GetCode())}
	for kind, k := range problemKinds {
		if k == w.GetKind() {
			p.Kind = kind
		}
	}
	if p.Title == "" {
		p.Title = "the process failed"
	}
	for i, f := range w.GetFaults() {
		if i == maxProblemFaults {
			break
		}
		p.Faults = append(p.Faults, ogc.Fault{Input: f.GetInput(), Pointer: f.GetPointer(), Message: f.GetMessage()})
	}
	return p
}

// statusOf returns an HTTP status of a failure, or 0.
func statusOf(n int) int {
	if n < 400 || n > 599 {
		return 0
	}
	return n
}

// codeOf returns a code as it is, or "" if it is none.
func codeOf(s string) string {
	for _, c := range []byte(s) {
		if letter := c|0x20 >= 'a' && c|0x20 <= 'z'; !letter && (c < '0' || c > '9') && !strings.ContainsRune("._:-", rune(c)) {
			return ""
		}
	}
	if len(s) > maxCode {
		return ""
	}
	return s
}

var problemKinds = map[ProblemKind]processv1.ProblemKind{
	ProcessFailed: processv1.ProblemKind_PROBLEM_KIND_UNSPECIFIED,
	InvalidInput:  processv1.ProblemKind_PROBLEM_KIND_INVALID_INPUT,
	Busy:          processv1.ProblemKind_PROBLEM_KIND_BUSY,
	NoSuchProcess: processv1.ProblemKind_PROBLEM_KIND_NO_SUCH_PROCESS,
	Panicked:      processv1.ProblemKind_PROBLEM_KIND_PANIC,
}

// text makes s fit for a protobuf string, in which one wrong byte would end
// the whole session.
func text(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
