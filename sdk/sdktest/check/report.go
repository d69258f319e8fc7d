package check

import (
	"fmt"
	"time"
)

// Outcome is how a check came out.
type Outcome string

// The outcomes.
const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Warn Outcome = "warn" // it deserves a look, and breaks nothing
	Skip Outcome = "skip" // it could not be tried
)

// Severity says what a failure means.
type Severity string

// The severities.
const (
	Must   Severity = "must"   // a host cannot work with the plugin, or only badly
	Should Severity = "should" // the plugin works, but not as well as it could
)

// Check is one requirement of the contract.
type Check struct {
	ID       string   `json:"id"` // in kebab-case, stable
	Wants    string   `json:"wants"`
	Why      string   `json:"why"`
	Fix      string   `json:"fix"`
	Section  string   `json:"section"` // of proto/README.md
	Severity Severity `json:"severity"`

	try func(*probe) verdict
}

// Result is a check with what came of it.
type Result struct {
	Check
	Outcome Outcome       `json:"outcome"`
	Seen    string        `json:"seen,omitempty"`
	Took    time.Duration `json:"tookNs"`

	untried bool // the time was up
}

// Report is what Run found out about a plugin.
type Report struct {
	Path    string `json:"path"`
	Name    string `json:"name,omitempty"` // as the plugin calls itself
	Version string `json:"version,omitempty"`
	SDK     string `json:"sdk,omitempty"`
	// Complete is false when the time was up before every check was tried.
	Complete bool          `json:"complete"`
	Took     time.Duration `json:"tookNs"`
	Results  []Result      `json:"results"`
}

// Title names the plugin as it calls itself, or by its file.
func (r *Report) Title() string {
	if r.Name == "" {
		return r.Path
	}
	return r.Name + " " + r.Version
}

// OK reports whether every check was tried that could be, and none failed.
func (r *Report) OK() bool { return r.Complete && r.Count(Fail) == 0 }

// Count returns how many checks came out so.
func (r *Report) Count(o Outcome) int {
	n := 0
	for _, result := range r.Results {
		if result.Outcome == o {
			n++
		}
	}
	return n
}

// verdict is an outcome with what was seen.
type verdict struct {
	outcome Outcome
	seen    string
}

func passed(format string, args ...any) verdict { return verdict{Pass, fmt.Sprintf(format, args...)} }

func failed(format string, args ...any) verdict { return verdict{Fail, fmt.Sprintf(format, args...)} }

func warned(format string, args ...any) verdict { return verdict{Warn, fmt.Sprintf(format, args...)} }

func skipped(format string, args ...any) verdict { return verdict{Skip, fmt.Sprintf(format, args...)} }
