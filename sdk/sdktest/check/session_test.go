package check

import (
	"testing"

	"geomill/proto/processv1"
)

func TestAProblemIsDescribedOnce(t *testing.T) {
	t.Parallel()
	fault := &processv1.Fault{Input: "key", Pointer: "/0", Message: "is too short"}
	for name, row := range map[string]struct {
		problem *processv1.Problem
		want    string
	}{
		"its detail has the fault":      {&processv1.Problem{Title: "not valid", Detail: "key/0 is too short", Faults: []*processv1.Fault{fault}}, "not valid: key/0 is too short"},
		"its detail has something else": {&processv1.Problem{Title: "not valid", Detail: "look it up", Faults: []*processv1.Fault{fault}}, "not valid: look it up; key/0 is too short"},
		"its detail is its title":       {&processv1.Problem{Title: "not valid", Detail: "not valid"}, "not valid"},
	} {
		if got := describeProblem(row.problem); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}
