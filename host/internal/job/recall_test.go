package job_test

import (
	"fmt"
	"strings"
	"testing"

	"geomill/host/internal/job"
	"geomill/host/internal/job/jobtest"
	"geomill/sdk/ogc"
)

// TestAListenerThatComesAgainIsReadTheLog is away for more lines than listeners
// are kept ready.
func TestAListenerThatComesAgainIsReadTheLog(t *testing.T) {
	t.Parallel()
	s := make(script)
	b := start(t, s.executor(), withLogs(jobtest.NewMemoryLogs(), func(c *job.Config) { c.LogMaxBytes = 1 << 20 }))
	id := submitted(t, b)
	b.reaches(t, id, ogc.Running)
	l := listen(t, b, id, nil)
	s.say("one")
	wantHeard(t, hear(t, l, "> one"), "running", "> one")
	l.Close()
	var want []string
	for n := range 1500 {
		s.say(fmt.Sprint(n))
		want = append(want, fmt.Sprint("> ", n))
	}
	at := l.Place()
	again := listen(t, b, id, &at)
	s.say("last")
	wantHeard(t, hear(t, again, "> last"), append(want, "> last")...)
	close(s)
	b.reaches(t, id, ogc.Successful)
	wantHeard(t, hear(t, listen(t, b, id, &at), ""), append(want, "> last", "successful")...)
	wantHeard(t, hear(t, listen(t, b, id, nil), ""), "successful")
}

func TestAListenerThatComesAgainToAnotherRunOfTheHostIsReadTheLog(t *testing.T) {
	t.Parallel()
	s, logs := make(script), withLogs(jobtest.NewMemoryLogs())
	b := start(t, s.executor(), logs)
	id := submitted(t, b)
	b.reaches(t, id, ogc.Running)
	l := listen(t, b, id, nil)
	s.say("one")
	wantHeard(t, hear(t, l, "> one"), "running", "> one")
	l.Close()
	at := l.Place()
	s.say("two")
	b.stop()
	next := make(script)
	b.open(t, next.executor(), logs)
	next.say("three")
	again := listen(t, b, id, &at)
	next.say("four")
	close(next)
	got := hear(t, again, "")
	var lines []string
	for _, g := range got {
		if strings.HasPrefix(g, "> ") {
			lines = append(lines, g)
		}
	}
	wantHeard(t, lines, "> two", "> three", "> four")
	wantHeard(t, got[len(got)-1:], "successful")
}

// TestAListenerIsToldOfLinesThatTheLogHadNoRoomFor comes again after them.
func TestAListenerIsToldOfLinesThatTheLogHadNoRoomFor(t *testing.T) {
	t.Parallel()
	s := make(script)
	b := start(t, s.executor(), withLogs(jobtest.NewMemoryLogs(), func(c *job.Config) { c.LogMaxBytes = job.MinLogBytes }))
	id := submitted(t, b)
	b.reaches(t, id, ogc.Running)
	l := listen(t, b, id, nil)
	wantHeard(t, hear(t, l, "running"), "running")
	l.Close()
	const lines = 500
	for range lines {
		s.say("x")
	}
	close(s)
	b.reaches(t, id, ogc.Successful)
	at := l.Place()
	told, gaps := 0, 0
	for _, line := range hear(t, listen(t, b, id, &at), "successful") {
		lost := 0
		if line == "> x" {
			told++
		} else if _, err := fmt.Sscanf(line, "gap %d", &lost); err == nil {
			told += lost
			gaps++
		}
	}
	if told != lines || gaps != 1 {
		t.Errorf("told of %d lines of %d, with %d gaps", told, lines, gaps)
	}
}
