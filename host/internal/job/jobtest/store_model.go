package jobtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// StoreModel lets random calls run against a store and a map side by side. One
// store serves all runs; each begins by deleting what the last one left.
func StoreModel(t *testing.T, open OpenStore) {
	s := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		for _, j := range list0(t, s, job.Filter{}).Jobs {
			if err := s.Delete(within(t), j.ID, j.Revision); err != nil {
				rt.Fatalf("Delete: %v", err)
			}
		}
		m := &model{t: t, store: s, jobs: map[string]job.Job{}, outputs: map[string]map[string]string{}}
		rt.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"create": m.create,
			"update": m.update,
			"delete": m.delete,
			"list":   m.list,
		})
	})
}

type model struct {
	t        testing.TB
	store    job.Store
	revision uint64
	jobs     map[string]job.Job
	outputs  map[string]map[string]string // by job and name: the JSON text
	gone     []string
}

var (
	modelProcesses = rapid.SampledFrom([]string{"p", "pq", "q"})
	modelStatuses  = rapid.SampledFrom([]ogc.Status{ogc.Accepted, ogc.Running, ogc.Successful, ogc.Failed, ogc.Dismissed})
)

// pick draws a job, which may be one that is gone or never was.
func (m *model) pick(rt *rapid.T) string {
	known := append(slices.Sorted(maps.Keys(m.jobs)), m.gone...)
	return rapid.SampledFrom(append(known, uuid.NewString())).Draw(rt, "job")
}

// rose checks the revision of a write that succeeded.
func (m *model) rose(rt *rapid.T, revision uint64) {
	if revision <= m.revision {
		rt.Fatalf("revision %d follows %d", revision, m.revision)
	}
	m.revision = revision
}

func (m *model) check(rt *rapid.T) {
	for id, want := range m.jobs {
		got, err := m.store.Get(within(m.t), id)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			rt.Fatalf("Get: %v (-want +got):\n%s", err, diff)
		}
		for _, name := range []string{"a", "b"} {
			v, err := m.store.Output(within(m.t), id, name)
			want, ok := m.outputs[id][name]
			if string(v.JSON) != want || ok && err != nil || !ok && !errors.Is(err, job.ErrNotAvailable) {
				rt.Fatalf("Output = %s, %v; want %s", v.JSON, err, want)
			}
		}
	}
	for _, id := range m.gone {
		if _, err := m.store.Get(within(m.t), id); !errors.Is(err, job.ErrGone) {
			rt.Fatalf("Get of a deleted job: %v", err)
		}
	}
}

func (m *model) create(rt *rapid.T) {
	j := NewJob(modelProcesses.Draw(rt, "process"))
	j.Status = modelStatuses.Draw(rt, "status")
	if rapid.Bool().Draw(rt, "taken id") {
		j.ID = m.pick(rt)
	}
	_, taken := m.jobs[j.ID]
	created, err := m.store.Create(within(m.t), j, job.Order{Response: "raw"})
	if taken || slices.Contains(m.gone, j.ID) {
		if !errors.Is(err, job.ErrExists) {
			rt.Fatalf("Create with a taken id: %v", err)
		}
		return
	}
	if err != nil {
		rt.Fatalf("Create: %v", err)
	}
	m.rose(rt, created.Revision)
	j.Revision = created.Revision
	m.jobs[j.ID] = j
}

func (m *model) update(rt *rapid.T) {
	id := m.pick(rt)
	before, known := m.jobs[id]
	j := before
	if !known {
		j = NewJob("p")
		j.ID = id
	}
	j.Status = modelStatuses.Draw(rt, "status")
	j.Started = j.Created.Add(time.Duration(rapid.IntRange(0, 3).Draw(rt, "start")) * time.Second)
	stale := rapid.IntRange(0, 3).Draw(rt, "stale") == 0
	if stale {
		j.Revision--
	}
	var outputs map[string]job.Value
	var texts map[string]string
	if rapid.Bool().Draw(rt, "with outputs") {
		outputs, texts = map[string]job.Value{}, map[string]string{}
		for _, name := range []string{"a", "b"}[:rapid.IntRange(0, 2).Draw(rt, "outputs")] {
			texts[name] = fmt.Sprint(rapid.IntRange(0, 999).Draw(rt, name))
			outputs[name] = job.Value{JSON: json.RawMessage(texts[name])}
		}
	}
	updated, err := m.store.Update(within(m.t), j, outputs)
	if !known || stale {
		want := job.ErrConflict
		if !known {
			want = job.ErrNoSuchJob
		}
		if !errors.Is(err, want) {
			rt.Fatalf("Update: %v, want %v", err, want)
		}
		return
	}
	if err != nil {
		rt.Fatalf("Update: %v", err)
	}
	m.rose(rt, updated.Revision)
	j.Revision = updated.Revision
	if outputs != nil {
		m.outputs[id] = texts
		j.Outputs = map[string]job.OutputInfo{}
		for name, text := range texts {
			j.Outputs[name] = job.OutputInfo{MediaType: "application/json", Size: int64(len(text))}
		}
	}
	m.jobs[id] = j
}

func (m *model) delete(rt *rapid.T) {
	id := m.pick(rt)
	j, known := m.jobs[id]
	revision := j.Revision
	stale := rapid.IntRange(0, 3).Draw(rt, "stale") == 0
	if stale {
		revision++
	}
	err := m.store.Delete(within(m.t), id, revision)
	switch {
	case !known && errors.Is(err, job.ErrNoSuchJob), known && stale && errors.Is(err, job.ErrConflict):
	case known && !stale && err == nil:
		delete(m.jobs, id)
		delete(m.outputs, id)
		m.gone = append(m.gone, id)
	default:
		rt.Fatalf("Delete: %v (known %v, stale %v)", err, known, stale)
	}
}

func (m *model) list(rt *rapid.T) {
	var f job.Filter
	f.ProcessIDs = rapid.SliceOfN(modelProcesses, 0, 2).Draw(rt, "processes")
	f.Statuses = rapid.SliceOfN(modelStatuses, 0, 3).Draw(rt, "statuses")
	all := slices.Collect(maps.Values(m.jobs))
	if len(all) > 0 && rapid.Bool().Draw(rt, "by time") {
		f.CreatedFrom = m.some(rt, "from").Created
		f.CreatedTo = m.some(rt, "to").Created
	}
	if rapid.IntRange(0, 3).Draw(rt, "by duration") == 0 {
		least := time.Duration(rapid.IntRange(0, 3).Draw(rt, "least")) * time.Second
		f.MinDuration, f.Now = &least, time.Now()
	}
	var c job.Cursor
	if rapid.Bool().Draw(rt, "with cursor") {
		c = job.Cursor{After: m.pick(rt), Newer: rapid.Bool().Draw(rt, "newer")}
	}
	limit := rapid.IntRange(1, 5).Draw(rt, "limit")
	got, err := m.store.List(within(m.t), f, c, limit)
	if err != nil {
		rt.Fatalf("List: %v", err)
	}
	want := list(all, f, c, limit)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("List(%+v, %+v, %d) (-want +got):\n%s", f, c, limit, diff)
	}
}

func (m *model) some(rt *rapid.T, label string) job.Job {
	return m.jobs[rapid.SampledFrom(slices.Sorted(maps.Keys(m.jobs))).Draw(rt, label)]
}
