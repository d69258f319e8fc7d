package job

import (
	"slices"
	"testing"
	"time"

	"geomill/sdk/ogc"
)

func TestSurplusIsWhatEndedFirst(t *testing.T) {
	t.Parallel()
	const size = recordSize + 100
	jobs := slices.Repeat([]Job{{InputSize: 60, Outputs: map[string]OutputInfo{"a": {Size: 30}, "b": {Size: 10}}}}, 10)
	for _, c := range []struct {
		name  string
		limit Limit
		have  Kept
		want  int
	}{
		{"no limit", Limit{}, Kept{10, 10 * size}, 0},
		{"at the limits", Limit{Jobs: 10, Bytes: 10 * size}, Kept{10, 10 * size}, 0},
		{"two too many", Limit{Jobs: 8}, Kept{10, 10 * size}, 2},
		{"a byte too many", Limit{Bytes: 10*size - 1}, Kept{10, 10 * size}, 1},
		{"many bytes too many", Limit{Bytes: 5*size - 1}, Kept{10, 10 * size}, 6},
		{"the stricter limit", Limit{Jobs: 9, Bytes: 7 * size}, Kept{10, 10 * size}, 3},
		{"the other stricter limit", Limit{Jobs: 2, Bytes: 7 * size}, Kept{10, 10 * size}, 8},
		{"more than these", Limit{Jobs: 1}, Kept{100, 100 * size}, 10},
		{"only too many bytes", Limit{Jobs: 100, Bytes: 1}, Kept{10, 10 * size}, 10},
	} {
		if got := surplus(jobs, c.limit.over(c.have)); got != c.want {
			t.Errorf("%s: %d jobs go, want %d", c.name, got, c.want)
		}
	}
}

func TestExpiredGoesAsFarAsTheFirstThatIsNot(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	hours := func(ages ...int) (jobs []Job) {
		for _, h := range ages {
			jobs = append(jobs, Job{Finished: now.Add(-time.Duration(h) * time.Hour)})
		}
		return jobs
	}
	age := func(j Job) time.Duration { return max(now.Sub(j.Finished), 0) }
	for _, c := range []struct {
		name string
		jobs []Job
		gone []int
		more bool
	}{
		{"none", nil, nil, true},
		{"all", hours(9, 8, 5), []int{9, 8, 5}, true},
		{"some", hours(9, 8, 4, 3), []int{9, 8}, false},
		{"none yet", hours(4, 3), nil, false},
		{"under a clock that was ahead", hours(9, -8, 7, 4), []int{9, 7}, false},
		{"only ahead", hours(-9, -8), nil, true},
	} {
		gone, more := expired(c.jobs, 5*time.Hour, now, age)
		if !slices.EqualFunc(gone, hours(c.gone...), func(a, b Job) bool { return a.Finished.Equal(b.Finished) }) || more != c.more {
			t.Errorf("%s: %d gone, more %v; want %v, %v", c.name, len(gone), more, c.gone, c.more)
		}
	}
}

func TestAgesDoNotFollowAClockThatIsSet(t *testing.T) {
	t.Parallel()
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	const year = 365 * 24 * time.Hour
	boot := 50 * time.Hour // of the other clock, at the start
	at := func(h int) time.Duration { return boot + time.Duration(h)*time.Hour }
	wall := func(h int) time.Time { return start.Add(time.Duration(h) * time.Hour) }
	var a ages
	for h := range 11 {
		a.note(wall(h), at(h), 100+uint64(h)*10) // ten writes an hour
	}
	for _, c := range []struct {
		name     string
		revision uint64
		finished time.Time
		now      time.Time
		want     time.Duration
	}{
		{"an earlier run", 50, wall(-5), wall(12), 17 * time.Hour},
		{"an earlier run, the clock set ahead since", 50, wall(-5), wall(12).Add(year), 17 * time.Hour},
		{"an earlier run, the clock set back since", 50, wall(-5), wall(12).Add(-year), 17 * time.Hour},
		{"an earlier run under a clock that was ahead", 50, wall(0).Add(year), wall(12), 12 * time.Hour},
		{"this run", 145, wall(5).Add(-30 * time.Minute), wall(12), 7*time.Hour + 30*time.Minute},
		{"this run, the clock set ahead since", 145, wall(4), wall(12).Add(year), 8 * time.Hour},
		{"this run, the clock set back since", 145, wall(4), wall(12).Add(-year), 7 * time.Hour},
		{"this run, the clock was ahead then", 145, wall(4).Add(year), wall(12), 7 * time.Hour},
		{"this run, the clock was behind then", 145, wall(4).Add(-year), wall(12), 8 * time.Hour},
		{"a moment ago, the clock was behind", 205, wall(12).Add(-year), wall(12), 2 * time.Hour},
		{"a moment ago, the clock was ahead", 205, wall(12).Add(year), wall(12), 0},
	} {
		if got := a.of(Job{Revision: c.revision, Finished: c.finished}, c.now, at(12)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAgesKeepFewSamplesAndTheFirst(t *testing.T) {
	t.Parallel()
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var a ages
	const n = 20_000
	for m := range n {
		a.note(start.Add(time.Duration(m)*time.Minute), time.Duration(m)*time.Minute, uint64(10+m))
	}
	if len(a.samples) > samplesKept || a.samples[0].revision != 10 {
		t.Fatalf("%d samples, the first %+v", len(a.samples), a.samples[0])
	}
	end := time.Duration(n) * time.Minute
	for _, m := range []int{1, 777, n / 2, n - 1} {
		want := end - time.Duration(m)*time.Minute
		j := Job{Revision: uint64(10 + m), Finished: start.Add(-1000 * time.Hour)} // the clock was behind
		if got := a.of(j, start.Add(end), end); got < want || got > want+n*time.Minute/100 {
			t.Errorf("the job of minute %d: %s, want %s or a little more", m, got, want)
		}
	}
}

func TestAgeOfAStatusStandsAboveThatOfAll(t *testing.T) {
	t.Parallel()
	r := Retention{Limit: Limit{Age: time.Hour}, Statuses: map[ogc.Status]Limit{ogc.Failed: {Age: time.Minute}, ogc.Dismissed: {}}}
	for status, want := range map[ogc.Status]time.Duration{ogc.Successful: time.Hour, ogc.Failed: time.Minute, ogc.Dismissed: 0} {
		if got := r.age(status); got != want {
			t.Errorf("%s: %s, want %s", status, got, want)
		}
	}
}
