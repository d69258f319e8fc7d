package job

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"geomill/sdk/ogc"

	"pgregory.net/rapid"
)

func TestPolicySaysAfterWhichFailuresAJobIsRunAgain(t *testing.T) {
	t.Parallel()
	failures := map[string]error{
		"plugin":   &Failure{Kind: PluginDied, Crash: &Crash{}},
		"contract": &Failure{Kind: ContractBroken},
		"host":     &Failure{Kind: HostDied},
		"stop":     ErrShuttingDown,
		"passing":  &Failure{Kind: ProcessFailed, Retryable: true},
		"failed":   &Failure{Kind: ProcessFailed},
		"refused":  &Failure{Kind: InputRefused},
		"memory":   &Failure{Kind: OutOfMemory, Crash: &Crash{}},
		"timeout":  timedOut(time.Second, ErrTimeout),
		"vanished": &Failure{Kind: Vanished},
		"other":    errors.New("no idea"),
	}
	for name, c := range map[string]struct {
		on   []FailureKind
		want []string
	}{
		"default": {nil, []string{"plugin", "contract", "host", "stop", "passing", "memory"}},
		"none":    {[]FailureKind{}, nil},
		"timeout": {[]FailureKind{TimedOut}, []string{"timeout"}},
		"plugin":  {[]FailureKind{PluginDied}, []string{"plugin", "contract"}},
		"host":    {[]FailureKind{HostDied}, []string{"host", "stop"}},
		"process": {[]FailureKind{ProcessFailed}, []string{"passing"}},
		"memory":  {[]FailureKind{OutOfMemory}, []string{"memory"}},
	} {
		want := map[string]bool{}
		for _, w := range c.want {
			want[w] = true
		}
		for failure, err := range failures {
			if got := (Job{Attempt: 1, Retries: 1, RetryOn: c.on}).again(err); got != want[failure] {
				t.Errorf("%s: after %s again is %v", name, failure, got)
			}
		}
	}
}

func TestThreeCrashesEndAJobWhateverItsPolicySays(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"plugin": &Failure{Kind: PluginDied, Crash: &Crash{}, Detail: "it died"},
		"memory": &Failure{Kind: OutOfMemory, Crash: &Crash{}, Detail: "it died"},
		"host":   &Failure{Kind: HostDied, Detail: "it died"},
	} {
		j := Job{Retries: 99}
		for j.Attempt = 1; ; j.Attempt++ {
			if j = j.counted(err); !j.again(err) {
				break
			}
		}
		if j.Attempt != CrashLimit {
			t.Errorf("%s: it was run %d times", name, j.Attempt)
		}
		const want = "it died; that happened 3 times while this job ran, so it is not run again"
		if e := j.exception(j.verdict(err)); e.Detail != want {
			t.Errorf("%s: %q", name, e.Detail)
		}
	}
	j := Job{Attempt: 50, Retries: 99}
	for _, err := range []error{ErrShuttingDown, &Failure{Kind: ContractBroken}, &Failure{Kind: ProcessFailed, Retryable: true}} {
		if j = j.counted(err); !j.again(err) {
			t.Errorf("%v ended it after %d plugin and %d host crashes", err, j.PluginCrashes, j.HostCrashes)
		}
	}
}

func TestDelayDoublesUpToItsMostAndIsScattered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		j := Job{
			Attempt: rapid.IntRange(1, 200).Draw(t, "attempt"),
			Backoff: time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "backoff")),
		}
		whole := j.Backoff
		if whole == 0 {
			whole = defaultBackoff
		}
		most := max(whole, slowestRetry)
		for range min(j.Attempt-1, 40) {
			whole = min(2*whole, most)
		}
		if d := j.delay(); d < whole/2 || d > whole || d == 0 && j.Backoff != 1 {
			t.Fatalf("delay %s, want %s to %s", d, whole/2, whole)
		}
	})
}

func TestARequestShortensItsTimeAndLengthensItWithinTheOperatorsBound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host, hostMost, own, most, asked, want time.Duration
	}{
		{60, 0, 0, 0, 0, 60},
		{60, 0, 0, 0, 5, 5},
		{60, 0, 0, 0, 90, 60},
		{60, 80, 0, 0, 90, 80},
		{60, 80, 0, 0, 70, 70},
		{60, 80, 0, 0, 0, 60},
		{60, 30, 0, 0, 50, 50},
		{60, 0, 10, 0, 0, 10},
		{60, 0, 10, 0, 30, 10},
		{60, 80, 10, 20, 30, 20},
		{60, 80, 10, 0, 90, 80},
	} {
		s := Service{Config: Config{Timeout: c.host, MaxTimeout: c.hostMost}}
		if got := s.timeLimit(Policy{Timeout: c.own, MaxTimeout: c.most}, c.asked); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestTimesOfARecordDoNotGoBackWithTheClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	j, err := Job{Status: ogc.Accepted, Created: now, Updated: now}.move(ogc.Running, now.Add(-time.Hour))
	if err != nil || !j.Started.Equal(now) {
		t.Fatalf("started %s, %v", j.Started, err)
	}
	if j, err = j.move(ogc.Successful, now.Add(-time.Minute)); err != nil || j.Finished.Before(j.Started) {
		t.Errorf("finished %s, started %s, %v", j.Finished, j.Started, err)
	}
}

// stubborn is a Store that does not take updates with outputs, or any, for a
// while. It has no other methods.
type stubborn struct {
	Store
	until   time.Time
	outputs error // for updates with outputs, always
	taken   []Job
}

func (s *stubborn) Update(_ context.Context, j Job, outputs map[string]Value) (Job, error) {
	switch {
	case time.Now().Before(s.until):
		return j, syscall.ENOSPC
	case outputs != nil && s.outputs != nil:
		return j, s.outputs
	}
	s.taken = append(s.taken, j)
	return j, nil
}

func TestTheEndOfAJobIsWrittenAsSoonAsTheStoreTakesIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		full    time.Duration
		outputs error
		want    ogc.Status
	}{
		"full for four minutes": {4 * time.Minute, nil, ogc.Successful},
		"full for an hour":      {time.Hour, nil, ogc.Failed},
		"no room for outputs":   {0, ErrNoSpace, ogc.Failed},
		"file of output gone":   {0, fs.ErrNotExist, ogc.Failed},
		"both":                  {4 * time.Minute, fs.ErrNotExist, ogc.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &stubborn{until: time.Now().Add(c.full), outputs: c.outputs}
				s := Service{Config: Config{Store: store, Logger: slog.New(slog.DiscardHandler), Now: time.Now}, live: newRegistry(), quit: make(chan struct{})}
				j := s.finish(t.Context(), Job{ID: "a", Status: ogc.Running, Attempt: 1}, map[string]Value{"out": {}}, nil)
				if j.Status != c.want || len(store.taken) != 1 || (j.Exception != nil) != (c.want == ogc.Failed) {
					t.Errorf("job %+v, %d updates", j, len(store.taken))
				}
				if noRoom := c.full > roomPatience || c.outputs == ErrNoSpace; noRoom != (j.Exception != nil && j.Exception.Status == 507) {
					t.Errorf("exception %+v", j.Exception)
				}
			})
		})
	}
}

func TestAHostThatStopsLeavesWhatItCannotWriteToTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &stubborn{until: time.Now().Add(time.Hour)}
		s := Service{Config: Config{Store: store, Logger: slog.New(slog.DiscardHandler), Now: time.Now}, live: newRegistry(), quit: make(chan struct{})}
		time.AfterFunc(time.Minute, func() { close(s.quit) })
		if j := s.finish(t.Context(), Job{ID: "a", Status: ogc.Running}, nil, nil); j.Status != ogc.Running {
			t.Errorf("job %+v", j)
		}
	})
}
