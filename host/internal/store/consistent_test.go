package store

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"pgregory.net/rapid"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// keeper does to a store at random what the host does to it.
type keeper struct {
	*Store
	dir  string // of output files to be taken
	jobs map[string]job.Job
	gone []job.Job
}

func (k *keeper) draw(rt *rapid.T, match func(job.Job) bool) job.Job {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(k.jobs)) {
		if match(k.jobs[id]) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		rt.Skip()
	}
	return k.jobs[rapid.SampledFrom(ids).Draw(rt, "job")]
}

func active(j job.Job) bool   { return !j.Status.Final() }
func finished(j job.Job) bool { return j.Status.Final() }

func (k *keeper) create(rt *rapid.T) {
	j := jobtest.NewJob(rapid.SampledFrom([]string{"p", "p2"}).Draw(rt, "process"))
	j.Digest = rapid.SampledFrom([]string{"", "d1", "d2"}).Draw(rt, "digest")
	j.Plugin.Hash = "h"
	j.Callback = rapid.Bool().Draw(rt, "callback")
	j.InputSize = rapid.Int64Range(0, 5).Draw(rt, "inputs")
	j, err := k.Create(rt.Context(), j, job.Order{})
	if err != nil {
		rt.Fatal(err)
	}
	k.jobs[j.ID] = j
}

// change writes another state of an active job; outputs are what it ends with.
func (k *keeper) change(rt *rapid.T) {
	j := k.draw(rt, active)
	j.Status = rapid.SampledFrom([]ogc.Status{ogc.Accepted, ogc.Running, ogc.Successful, ogc.Failed, ogc.Dismissed}).Draw(rt, "status")
	if rapid.Bool().Draw(rt, "loses its digest") {
		j.Digest = ""
	}
	var outputs map[string]job.Value
	if j.Status == ogc.Successful {
		outputs = k.outputs(rt)
	}
	var err error
	if event := job.OnFailed; j.Callback && j.Status.Final() {
		if j.Status == ogc.Successful {
			event = job.OnSuccess
		}
		d := job.Delivery{JobID: j.ID, Event: event, URI: "http://a.example/", State: job.Pending, Due: time.Now()}
		j, err = k.Finish(rt.Context(), j, outputs, d)
	} else {
		j, err = k.Update(rt.Context(), j, outputs)
	}
	if err != nil {
		rt.Fatal(err)
	}
	k.jobs[j.ID] = j
}

func (k *keeper) outputs(rt *rapid.T) map[string]job.Value {
	all := map[string]job.Value{"small": {JSON: []byte(`1`)}}
	if rapid.Bool().Draw(rt, "file") {
		name := filepath.Join(k.dir, rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "name"))
		if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
			rt.Fatal(err)
		}
		all["large"] = job.Value{File: name, Size: 7, MediaType: "text/plain"}
	}
	return all
}

func (k *keeper) record(rt *rapid.T) {
	j := k.draw(rt, func(j job.Job) bool { return j.Callback })
	d := job.Delivery{
		JobID: j.ID, Event: rapid.SampledFrom([]job.Event{job.OnFailed, job.InProgress, job.OnSuccess}).Draw(rt, "event"),
		URI:   rapid.SampledFrom([]string{"http://a.example/", "http://b.example/"}).Draw(rt, "uri"),
		State: rapid.SampledFrom([]job.DeliveryState{job.Pending, job.Delivered, job.GaveUp}).Draw(rt, "state"), Due: time.Now(),
	}
	if err := k.Record(rt.Context(), d); err != nil {
		rt.Fatal(err)
	}
}

func (k *keeper) remove(rt *rapid.T) {
	j := k.draw(rt, func(job.Job) bool { return true })
	if err := k.Delete(rt.Context(), j.ID, j.Revision); err != nil {
		rt.Fatal(err)
	}
	k.forget(j.ID)
}

// removeMany removes finished jobs, stale ones and some that are gone among them.
func (k *keeper) removeMany(rt *rapid.T) {
	var some []job.Job
	for range rapid.IntRange(1, 5).Draw(rt, "jobs") {
		some = append(some, k.draw(rt, finished))
	}
	if rapid.Bool().Draw(rt, "stale") {
		some[0].Revision--
	}
	if len(k.gone) > 0 {
		some = append(some, k.gone[len(k.gone)-1])
	}
	removed, err := k.Remove(rt.Context(), some)
	if err != nil {
		rt.Fatal(err)
	}
	for _, id := range removed {
		if _, there := k.jobs[id]; !there {
			rt.Fatalf("job %s is removed twice", id)
		}
		k.forget(id)
	}
}

func (k *keeper) forget(id string) {
	k.gone = append(k.gone, k.jobs[id])
	delete(k.jobs, id)
}

// check compares all that leads to jobs, and all that counts them, with what
// follows from their records.
func (k *keeper) check(rt *rapid.T) {
	want, counted := map[string]bool{}, usage{}
	found := map[string]bool{}
	err := k.db.View(func(txn *badger.Txn) error {
		it := newIterator(txn, nil, false)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			key := it.Item().KeyCopy(nil)
			switch key[0] {
			case metaPrefix, tombstonePrefix, usagePrefix:
				continue
			case jobPrefix:
				i := keyID(key)
				j, err := itemJob(i, it.Item())
				if err != nil {
					return err
				}
				if k.jobs[j.ID].Revision != j.Revision {
					rt.Errorf("job %s has revision %d, want %d", j.ID, j.Revision, k.jobs[j.ID].Revision)
				}
				var e edit
				e.account(&j, 1)
				counted.add(e.usage)
				for _, own := range keysOf(txn, i, &j) {
					want[string(own)] = true
				}
			}
			found[string(key)] = true
		}
		stored := usage{}
		if err := readTallies(txn, stored); err != nil {
			return err
		}
		if !reflect.DeepEqual(stored, counted) {
			rt.Errorf("counted on disk %v, want %v", stored, counted)
		}
		if again := loadOutbox(txn); !reflect.DeepEqual(again.names, k.outbox.names) && len(again.names)+len(k.outbox.names) > 0 {
			rt.Errorf("hosts with deliveries %v, want %v", k.outbox.names, again.names)
		}
		return nil
	})
	if err != nil {
		rt.Fatal(err)
	}
	if len(k.jobs)*3 > len(want) || !reflect.DeepEqual(found, want) {
		rt.Errorf("too many keys: %q, missing: %q", without(found, want), without(want, found))
	}
	k.memory.RLock()
	defer k.memory.RUnlock()
	if !reflect.DeepEqual(k.usage, counted) {
		rt.Errorf("counted in memory %v, want %v", k.usage, counted)
	}
}

// keysOf returns the keys that a job has.
func keysOf(txn *badger.Txn, i id, j *job.Job) [][]byte {
	keys := append(indexKeys(i, j), jobKey(i), orderKey(i))
	for name := range j.Outputs {
		keys = append(keys, outputKey(i, name))
	}
	for _, event := range job.AllEvents() {
		d, err := readDelivery(txn, i, event)
		if err != nil {
			continue
		}
		keys = append(keys, deliveryKey(i, event))
		if d.State == job.Pending {
			keys = append(keys, pendingKey(i, &d))
		}
	}
	return keys
}

func without(a, b map[string]bool) (left [][]byte) {
	for key := range a {
		if !b[key] {
			left = append(left, []byte(key))
		}
	}
	slices.SortFunc(left, bytes.Compare)
	return left
}

// leavesNoFiles checks that each directory of outputs is that of a job.
func (k *keeper) leavesNoFiles(t *rapid.T) {
	dirs, err := os.ReadDir(k.path(resultsDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if _, there := k.jobs[d.Name()]; !there {
			t.Errorf("outputs of %s stay behind", d.Name())
		}
	}
	if marks, err := os.ReadDir(k.path(pendingDir)); err != nil || len(marks) > 0 {
		t.Errorf("%d marks stay behind, %v", len(marks), err)
	}
}

func TestWhatLeadsToJobsAndCountsThemFollowsFromTheirRecords(t *testing.T) {
	t.Parallel()
	files := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(files, "store")
		if err != nil {
			rt.Fatal(err)
		}
		s, err := Open(Config{Dir: dir})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		k := &keeper{Store: s, dir: files, jobs: map[string]job.Job{}}
		rt.Repeat(map[string]func(*rapid.T){
			"": k.check, "create": k.create, "change": k.change, "record": k.record, "remove": k.remove, "remove many": k.removeMany,
		})
		k.leavesNoFiles(rt)
	})
}
