package api

import (
	"context"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// TestModesFollowTheTableOfTheStandard sends every kind of wish for the mode to a
// process of each kind (spec 4.5). What ends in time and what does not is up to
// the service, which here ends nothing or everything that may be waited for.
func TestModesFollowTheTableOfTheStandard(t *testing.T) {
	t.Parallel()
	const sync, async, applied = "200", "201", "201 respond-async"
	options := map[string][]ogc.JobControlOption{
		"sync":  {ogc.SyncExecute},
		"async": {ogc.AsyncExecute, ogc.Dismiss},
		"both":  {ogc.SyncExecute, ogc.AsyncExecute},
	}
	type replies struct{ sync, async, bothInTime, bothLate string }
	for _, c := range []struct {
		name    string
		body    string
		headers []string
		want    replies
	}{
		{"nothing", `{}`, nil, replies{sync, async, sync, sync}},
		{"nothing that is known", `{}`, []string{"Prefer: handling=strict; a=b, foo"}, replies{sync, async, sync, sync}},
		{"respond-async", `{}`, []string{"Prefer: respond-async"}, replies{sync, applied, applied, applied}},
		{"in other letters, with blanks and a parameter", `{}`, []string{"Prefer: Respond-Async ; x=\"a, b\" "}, replies{sync, applied, applied, applied}},
		{"twice, with a trailing blank", `{}`, []string{"Prefer: respond-async", "Prefer: respond-async "}, replies{sync, applied, applied, applied}},
		{"in a second header", `{}`, []string{"Prefer: return=minimal", "Prefer: respond-async"}, replies{sync, applied, applied, applied}},
		{"respond-async, wait", `{}`, []string{"Prefer: respond-async, wait=9"}, replies{sync, applied, "200 wait=9", applied}},
		{"the same in two headers, quoted", `{}`, []string{`Prefer: wait="9"`, "Prefer: respond-async"}, replies{sync, applied, "200 wait=9", applied}},
		{"wait alone", `{}`, []string{"Prefer: wait=9"}, replies{sync, async, "200 wait=9", async}},
		{"no time at all", `{}`, []string{"Prefer: wait=0, respond-async"}, replies{sync, applied, applied, applied}},
		{"no number", `{}`, []string{"Prefer: wait=soon"}, replies{sync, async, sync, sync}},
		{"respond-sync", `{}`, []string{"Prefer: respond-sync"}, replies{sync, async, sync, sync}},
		{"mode sync", `{"mode":"sync"}`, nil, replies{sync, async, sync, sync}},
		{"mode async", `{"mode":"async"}`, nil, replies{sync, async, async, async}},
		{"mode auto", `{"mode":"auto"}`, nil, replies{sync, async, sync, async}},
		{"the header outweighs the member", `{"mode":"async"}`, []string{"Prefer: respond-sync"}, replies{sync, async, sync, sync}},
		{"both ways round", `{"mode":"sync"}`, []string{"Prefer: respond-async"}, replies{sync, applied, applied, applied}},
		{"another preference leaves it alone", `{"mode":"async"}`, []string{"Prefer: return=minimal"}, replies{sync, async, async, async}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, cell := range []struct {
				process string
				inTime  bool
				want    string
			}{
				{"sync", true, c.want.sync}, {"async", false, c.want.async},
				{"both", true, c.want.bothInTime}, {"both", false, c.want.bothLate},
			} {
				p := testProcess(t, "p", objectOutput, options[cell.process]...)
				s := &fakeService{processes: []*job.Process{p}, submit: inMode(p, cell.inTime)}
				w := do(t, newAPI(t, s), "POST", "/processes/p/execution", c.body, c.headers...)
				got := itoa(w.Code)
				if applied := w.Header().Get("Preference-Applied"); applied != "" {
					got += " " + applied
				}
				if got != cell.want {
					t.Errorf("%s, in time %t: %s, want %s", cell.process, cell.inTime, got, cell.want)
				}
				if (w.Header().Get("Location") != "") != (w.Code == 201) {
					t.Errorf("%s: Location %q", cell.process, w.Header().Get("Location"))
				}
			}
		})
	}
}

// inMode is a Submit that does what a service does in the mode that was chosen.
// All jobs are recorded.
func inMode(p *job.Process, inTime bool) submitFunc {
	done := answer(p, map[string]job.Value{"echo": jsonValue(`{}`)}, true)
	return func(ctx context.Context, r job.Request) (*job.Execution, error) {
		mode, _ := job.Negotiate(p.JobControlOptions, r.Prefer, 60e9)
		if mode == job.Async || mode == job.Wait && !inTime {
			return &job.Execution{Job: job.Job{ID: "j1", ProcessID: p.ID, Status: ogc.Accepted}, Recorded: true}, nil
		}
		x, err := done(ctx, r)
		x.Job.Sync = mode == job.Sync
		return x, err
	}
}
