package store

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

func drawID(t *rapid.T, label string) id {
	return id(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
}

func TestKeysSortNewestFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawID(t, "a"), drawID(t, "b")
		if got, want := bytes.Compare(jobKey(a), jobKey(b)), b.compare(a); got != want {
			t.Fatalf("keys compare %d, ids reversed %d", got, want)
		}
		if keyID(idKey(bothIndex("p", ogc.Failed), a)) != a {
			t.Fatal("an id does not survive its key")
		}
		if name := outputName(outputKey(a, "o/ü")); name != "o/ü" {
			t.Fatalf("output name %q", name)
		}
	})
}

func TestNeighboursOfIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i := drawID(t, "id")
		if n, ok := i.next(); ok {
			if p, back := n.previous(); !back || p != i || n.compare(i) <= 0 {
				t.Fatalf("%s, next %s, previous of that %s", i, n, p)
			}
		}
	})
	if _, ok := newest.next(); ok {
		t.Error("the newest id has a next")
	}
	if _, ok := oldest.previous(); ok {
		t.Error("the oldest id has a previous")
	}
	if !noID.empty() || !everyID.olderThan(oldest).empty() || !everyID.newerThan(newest).empty() {
		t.Error("an empty span is not")
	}
}

func TestIDsOfATime(t *testing.T) {
	t.Parallel()
	i := id(uuid.Must(uuid.NewV7()))
	if first, last := firstID(i.time()), lastID(i.time()); first.compare(i) > 0 || last.compare(i) < 0 {
		t.Errorf("%s is not between %s and %s", i, first, last)
	}
	if firstID(time.Time{}) != oldest || lastID(time.UnixMilli(math.MaxInt64)) != newest {
		t.Error("times out of range are not clamped")
	}
}

func TestProcessesDoNotShareIndexes(t *testing.T) {
	t.Parallel()
	for _, other := range []string{"pq", "p.q", "p "} {
		if bytes.HasPrefix(processIndex(other), processIndex("p")) {
			t.Errorf("the index of %q is within that of p", other)
		}
	}
	for _, id := range []string{"", "a\x00b", string(make([]byte, 2000))} {
		if checkIndexed(&job.Job{ProcessID: id, Status: ogc.Failed}) == nil {
			t.Errorf("process id %.20q is accepted", id)
		}
	}
	if checkIndexed(&job.Job{ProcessID: "p", Status: "odd"}) == nil {
		t.Error("an unknown status is accepted")
	}
}

func TestActiveSetIsASortedSet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var set activeSet
		model := map[id]bool{}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			i := id{15: byte(rapid.IntRange(0, 20).Draw(t, "id"))}
			if rapid.Bool().Draw(t, "put") {
				set.put(i, &job.Job{Status: ogc.Running})
				model[i] = true
			} else {
				set.remove(i)
				delete(model, i)
			}
		}
		sp := span{oldest: id{15: byte(rapid.IntRange(0, 20).Draw(t, "from"))}, newest: id{15: byte(rapid.IntRange(0, 20).Draw(t, "to"))}}
		var want []id
		for i := range model {
			if sp.contains(i) {
				want = append(want, i)
			}
		}
		slices.SortFunc(want, id.compare)
		every := func(*activeJob) bool { return true }
		if got := set.within(sp, true, 100, every); !slices.Equal(got, want) {
			t.Fatalf("within %v: %v, want %v", sp, got, want)
		}
		slices.Reverse(want)
		want = want[:min(2, len(want))]
		if got := set.within(sp, false, 2, every); !slices.Equal(got, want) {
			t.Fatalf("newest within %v: %v, want %v", sp, got, want)
		}
	})
}

func TestOutputsSurviveEncoding(t *testing.T) {
	t.Parallel()
	for _, v := range []job.Value{
		{JSON: []byte(`{ "a": "<>" }`)}, {Data: []byte{}, MediaType: "text/plain"},
		{Data: []byte{0, 1}, MediaType: "image/png"}, {File: "results/x/1-y/0", Size: 1 << 40, MediaType: "text/csv"},
	} {
		got, err := decodeOutput(encodeOutput(v))
		if diff := cmp.Diff(v, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

func FuzzDecodeOutput(f *testing.F) {
	f.Add(encodeOutput(job.Value{JSON: []byte(`1`)}))
	f.Add(encodeOutput(job.Value{File: "f", Size: 3, MediaType: "text/csv"}))
	f.Add([]byte{'f', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decodeOutput(b)
		if err != nil {
			return
		}
		again, err := decodeOutput(encodeOutput(v))
		if diff := cmp.Diff(v, again); v.File != "" && (err != nil || diff != "") {
			t.Errorf("%v:\n%s", err, diff)
		}
	})
}
