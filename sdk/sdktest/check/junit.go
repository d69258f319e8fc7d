package check

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string      `xml:"classname,attr"`
	Name    string      `xml:"name,attr"`
	Time    string      `xml:"time,attr"`
	Failure *junitFault `xml:"failure"`
	Skipped *junitFault `xml:"skipped"`
	Out     string      `xml:"system-out,omitempty"`
}

type junitFault struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report as a JUnit test suite, in which a warning is a
// passed test with output. When the time was up what was not tried has failed.
func (r *Report) WriteJUnit(w io.Writer) error {
	name := r.Name
	if name == "" {
		name = r.Path
	}
	suite := junitSuite{Name: printable(name), Tests: len(r.Results), Time: seconds(r.Took)}
	for _, result := range r.Results {
		c := junitCase{Class: suite.Name, Name: result.ID, Time: seconds(result.Took)}
		fault := &junitFault{Message: printable(result.Seen), Text: printable(result.Explain())}
		switch {
		case result.Outcome == Fail:
			c.Failure = fault
			suite.Failures++
		case result.Outcome == Skip && result.untried:
			c.Failure = fault
			suite.Failures++
		case result.Outcome == Skip:
			c.Skipped = fault
			suite.Skipped++
		default:
			c.Out = printable(strings.TrimSpace(string(result.Outcome) + " " + result.Seen))
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suite); err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// Explain says in some lines what the check wants, why, what was seen and what to
// do.
func (r Result) Explain() string {
	return fmt.Sprintf("wants: %s (proto/README.md, section %s)\nwhy:   %s\nseen:  %s\ndo:    %s\n", r.Wants, r.Section, r.Why, r.Seen, r.Fix)
}

// printable leaves out what XML has no place for, such as colours of a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == unicode.ReplacementChar || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
