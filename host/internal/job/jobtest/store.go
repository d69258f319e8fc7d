package jobtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// OpenStore makes an empty store, which ends with the test.
type OpenStore func(t testing.TB) job.Store

// Store checks that what open returns is a job.Store in the full sense.
func Store(t *testing.T, open OpenStore) {
	for name, test := range map[string]func(*testing.T, job.Store){
		"a created job can be read":                               storeCreate,
		"an id can be taken once":                                 storeCreateExisting,
		"an id that is no UUID is refused":                        storeCreateBadID,
		"revisions rise with every write":                         storeRevisions,
		"update needs the stored revision":                        storeUpdateConflict,
		"one of many concurrent updates wins":                     storeUpdateRace,
		"an unknown job is not found":                             storeUnknown,
		"a deleted job is gone":                                   storeDelete,
		"delete needs the stored revision":                        storeDeleteConflict,
		"the order is kept as it was":                             storeOrder,
		"outputs are stored with the update":                      storeOutputs,
		"a file output is taken over":                             storeFileOutput,
		"large outputs are kept":                                  storeLargeOutputs,
		"a failed update keeps nothing of its outputs":            storeFailedOutputs,
		"an update without outputs leaves the stored":             storeOutputsStay,
		"outputs replace the stored ones":                         storeOutputsReplaced,
		"a job with a digest can be reused once it succeeded":     storeReusable,
		"a call with an ended context fails and changes nothing":  storeContext,
		"what is returned can be changed without harm":            storeIsolation,
		"a watcher sees the changes after a revision":             storeWatch,
		"a watcher waits for changes to come":                     storeWatchWaits,
		"a watcher too far behind is told":                        storeWatchBehind,
		"a page holds the newest jobs first":                      listOrder,
		"pages lead through all jobs in both directions":          listPaging,
		"a cursor may be a job that is gone or never was":         listForeignCursor,
		"a filter selects by status, process, time and duration":  listFilters,
		"a list follows a job through its statuses":               listStatusChange,
		"created is filtered also when far from the time in ids":  listForeignCreated,
		"a bad cursor or limit is an error":                       listBadArguments,
		"jobs are listed while many are created and finish":       listConcurrent,
		"the start of the list has nothing newer, the end oldest": listEnds,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// NewJob returns an accepted job of a process, created now, with a new id.
func NewJob(process string) job.Job {
	u := uuid.Must(uuid.NewV7())
	sec, nsec := u.Time().UnixTime()
	at := time.Unix(sec, nsec).UTC()
	return job.Job{
		ID: u.String(), ProcessID: process, Status: ogc.Accepted, Created: at, Updated: at,
		Plugin: job.Plugin{Name: "plugin", Version: "1.0.0", Hash: "00ff"},
	}
}

func create(t testing.TB, s job.Store, j job.Job) job.Job {
	t.Helper()
	created, err := s.Create(within(t), j, job.Order{})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return created
}

func update(t testing.TB, s job.Store, j job.Job, outputs map[string]job.Value) job.Job {
	t.Helper()
	updated, err := s.Update(within(t), j, outputs)
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	return updated
}

func get(t testing.TB, s job.Store, id string) job.Job {
	t.Helper()
	j, err := s.Get(within(t), id)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return j
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

func fails(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

// as returns a job in another status, with the times that go with it.
func as(j job.Job, status ogc.Status) job.Job {
	j.Status = status
	j.Updated = j.Updated.Add(time.Second)
	if status != ogc.Accepted && j.Started.IsZero() {
		j.Started, j.Attempt = j.Updated, 1
	}
	if status.Final() {
		j.Finished = j.Updated
	}
	return j
}

func storeCreate(t *testing.T, s job.Store) {
	j := NewJob("p")
	j.Message, j.Progress, j.Sync = "waits <&>", 3, true
	j.Exception = &ogc.Exception{Type: "about:blank", Errors: []ogc.Fault{{Pointer: "/a", Message: "m"}},
		Attempt: 2, Timeout: 0.5, ExitCode: new(0), Signal: "SIGKILL", Stderr: []string{"<&>", ""}}
	j.Retries, j.Backoff, j.PluginCrashes, j.HostCrashes = 4, time.Second, 1, 2
	j.RetryOn = []job.FailureKind{} // which is not the same as none said
	created := create(t, s, j)
	if created.Revision == 0 {
		t.Error("the created job has no revision")
	}
	want := j
	want.Revision = created.Revision
	same(t, "created job", created, want)
	same(t, "stored job", get(t, s, j.ID), want)
}

func storeCreateExisting(t *testing.T, s job.Store) {
	first := create(t, s, NewJob("p"))
	again := first
	again.ProcessID = "q"
	_, err := s.Create(within(t), again, job.Order{})
	fails(t, "Create with a taken id", err, job.ErrExists)
	same(t, "stored job", get(t, s, first.ID), first)

	if err := s.Delete(within(t), first.ID, first.Revision); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	_, err = s.Create(within(t), again, job.Order{})
	fails(t, "Create with the id of a deleted job", err, job.ErrExists)
}

func storeCreateBadID(t *testing.T, s job.Store) {
	good := NewJob("p")
	for _, id := range []string{"", "1", "../" + good.ID, "{" + good.ID + "}", good.ID[:35], good.ID + "0"} {
		j := good
		j.ID = id
		if _, err := s.Create(within(t), j, job.Order{}); err == nil {
			t.Errorf("Create accepted the id %q", id)
		}
		_, err := s.Get(within(t), id)
		fails(t, fmt.Sprintf("Get of %q", id), err, job.ErrNoSuchJob)
	}
}

func storeRevisions(t *testing.T, s job.Store) {
	a := create(t, s, NewJob("p"))
	b := create(t, s, NewJob("p"))
	c := update(t, s, as(a, ogc.Running), nil)
	if a.Revision >= b.Revision || b.Revision >= c.Revision {
		t.Errorf("revisions are %d, %d, %d; want them to rise", a.Revision, b.Revision, c.Revision)
	}
	if got := get(t, s, a.ID).Revision; got != c.Revision {
		t.Errorf("the stored revision is %d, want %d", got, c.Revision)
	}
}

func storeUpdateConflict(t *testing.T, s job.Store) {
	old := create(t, s, NewJob("p"))
	now := update(t, s, as(old, ogc.Running), nil)
	_, err := s.Update(within(t), as(old, ogc.Dismissed), nil)
	fails(t, "Update from an old revision", err, job.ErrConflict)
	same(t, "stored job", get(t, s, old.ID), now)
}

func storeUpdateRace(t *testing.T, s job.Store) {
	const rivals = 16
	j := create(t, s, NewJob("p"))
	var wg sync.WaitGroup
	results := make([]error, rivals)
	for n := range rivals {
		wg.Go(func() {
			mine := as(j, ogc.Running)
			mine.Message = fmt.Sprint(n)
			_, results[n] = s.Update(within(t), mine, nil)
		})
	}
	wg.Wait()
	winner := ""
	for n, err := range results {
		if err == nil {
			if winner != "" {
				t.Error("two updates of one revision succeeded")
			}
			winner = fmt.Sprint(n)
			continue
		}
		fails(t, "losing update", err, job.ErrConflict)
	}
	if got := get(t, s, j.ID).Message; got != winner || winner == "" {
		t.Errorf("stored message %q, want the winner's, %q", got, winner)
	}
}

func storeUnknown(t *testing.T, s job.Store) {
	j := NewJob("p")
	_, err := s.Get(within(t), j.ID)
	fails(t, "Get", err, job.ErrNoSuchJob)
	_, err = s.Order(within(t), j.ID)
	fails(t, "Order", err, job.ErrNoSuchJob)
	_, err = s.Output(within(t), j.ID, "o")
	fails(t, "Output", err, job.ErrNoSuchJob)
	_, err = s.Update(within(t), j, nil)
	fails(t, "Update", err, job.ErrNoSuchJob)
	fails(t, "Delete", s.Delete(within(t), j.ID, 1), job.ErrNoSuchJob)
}

func storeDelete(t *testing.T, s job.Store) {
	j := create(t, s, NewJob("p"))
	stay := create(t, s, NewJob("p"))
	j = update(t, s, as(j, ogc.Successful), map[string]job.Value{"o": {JSON: []byte(`1`)}})
	if err := s.Delete(within(t), j.ID, j.Revision); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	_, err := s.Get(within(t), j.ID)
	fails(t, "Get", err, job.ErrGone)
	_, err = s.Order(within(t), j.ID)
	fails(t, "Order", err, job.ErrGone)
	_, err = s.Output(within(t), j.ID, "o")
	fails(t, "Output", err, job.ErrGone)
	_, err = s.Update(within(t), j, nil)
	fails(t, "Update", err, job.ErrNoSuchJob)
	fails(t, "Delete", s.Delete(within(t), j.ID, j.Revision), job.ErrNoSuchJob)
	same(t, "list", ids(list0(t, s, job.Filter{})), []string{stay.ID})
	same(t, "list by status", ids(list0(t, s, job.Filter{Statuses: []ogc.Status{ogc.Successful}})), []string(nil))
}

func storeDeleteConflict(t *testing.T, s job.Store) {
	old := create(t, s, NewJob("p"))
	now := update(t, s, as(old, ogc.Running), nil)
	fails(t, "Delete of an old revision", s.Delete(within(t), old.ID, old.Revision), job.ErrConflict)
	same(t, "stored job", get(t, s, old.ID), now)
}

func storeOrder(t *testing.T, s job.Store) {
	for name, o := range map[string]job.Order{
		"empty":      {},
		"no outputs": {Outputs: map[string]ogc.OutputSelection{}},
		"full": {
			Inputs: map[string]job.Value{
				"text": {JSON: json.RawMessage(`"a<b>&c é"`)}, "null": {JSON: json.RawMessage(`null`)},
				"big": {JSON: json.RawMessage(`12345678901234567890.123456789`)},
				"raw": {Data: []byte{0, 1, 255}, MediaType: "image/png"}, "file": {File: "/jobs/x/in/0", Size: 7, MediaType: "text/csv"},
			},
			Outputs:  map[string]ogc.OutputSelection{},
			Response: "document",
		},
	} {
		j := NewJob("p")
		if _, err := s.Create(within(t), j, o); err != nil {
			t.Fatalf("Create: %v", err)
		}
		update(t, s, as(get(t, s, j.ID), ogc.Running), nil)
		got, err := s.Order(within(t), j.ID)
		if err != nil {
			t.Fatalf("Order: %v", err)
		}
		same(t, "order "+name, got, o)
		if (got.Outputs == nil) != (o.Outputs == nil) {
			t.Error("the order confuses a selection of all outputs with one of none")
		}
	}
}

func storeContext(t *testing.T, s job.Store) {
	j := create(t, s, NewJob("p"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Create(ctx, NewJob("p"), job.Order{})
	fails(t, "Create", err, context.Canceled)
	_, err = s.Update(ctx, as(j, ogc.Running), nil)
	fails(t, "Update", err, context.Canceled)
	fails(t, "Delete", s.Delete(ctx, j.ID, j.Revision), context.Canceled)
	_, err = s.List(ctx, job.Filter{}, job.Cursor{}, 10)
	fails(t, "List", err, context.Canceled)
	_, err = s.Get(ctx, j.ID)
	fails(t, "Get", err, context.Canceled)
	same(t, "stored jobs", list0(t, s, job.Filter{}).Jobs, []job.Job{j})
}

func storeIsolation(t *testing.T, s job.Store) {
	j := NewJob("p")
	j.Exception = &ogc.Exception{Title: "as it was"}
	created := create(t, s, j)
	created = update(t, s, as(created, ogc.Successful), map[string]job.Value{"o": {JSON: json.RawMessage(`1`)}})
	want := get(t, s, j.ID)
	for _, got := range []job.Job{created, get(t, s, j.ID), list0(t, s, job.Filter{}).Jobs[0]} {
		got.Exception.Title = "changed"
		delete(got.Outputs, "o")
	}
	j.Exception.Title = "changed"
	same(t, "stored job", get(t, s, j.ID), want)
	same(t, "listed job", list0(t, s, job.Filter{}).Jobs, []job.Job{want})
}
