package job

import (
	"fmt"
	"testing"
	"time"

	"geomill/sdk/ogc"

	"pgregory.net/rapid"
)

// TestListenersMissNothingUnnoticed tells a topic anything in any order, while
// listeners read, sleep, leave and come again. Each hears every line once or how
// many it lost, statuses in their order, the newest progress, and the end last.
func TestListenersMissNothingUnnoticed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &topicModel{T: t, topic: newTopic("j", Place{})}
		m.status(ogc.Accepted)
		for range 3 {
			m.listen()
		}
		t.Repeat(map[string]func(*rapid.T){
			"progress": func(t *rapid.T) { m.progress(rapid.IntRange(1, 9).Draw(t, "n")) },
			"log":      func(t *rapid.T) { m.log(rapid.SampledFrom([]int{1, 3, 100, 700}).Draw(t, "n")) },
			"again":    func(*rapid.T) { m.attempt++; m.status(ogc.Accepted) },
			"read":     func(t *rapid.T) { rapid.SampledFrom(m.ears).Draw(t, "listener").read() },
			"wake":     func(*rapid.T) { m.topic.flush() },
			"return": func(t *rapid.T) {
				e := rapid.SampledFrom(m.ears).Draw(t, "listener")
				e.listener = &jobListener{topic: m.topic, place: e.listener.place}
			},
		})
		m.status(ogc.Successful)
		m.topic.flush()
		for _, e := range m.ears {
			e.read()
			e.check()
		}
	})
}

type topicModel struct {
	*rapid.T
	topic    *topic
	revision uint64
	attempt  int
	job      Job
	lines    uint64
	percent  int // a number for each report
	ears     []*ear
}

func (m *topicModel) status(s ogc.Status) {
	m.revision++
	m.job = Job{ID: "j", Status: s, Revision: m.revision, Attempt: m.attempt}
	m.topic.offer(m.job)
}

func (m *topicModel) run() {
	if m.job.Status != ogc.Running {
		m.revision++
		m.job = Job{ID: "j", Status: ogc.Running, Revision: m.revision, Attempt: m.attempt}
	}
}

func (m *topicModel) progress(n int) {
	m.run()
	for range n {
		m.percent++
		m.topic.report(m.job, m.percent, "")
	}
}

func (m *topicModel) log(n int) {
	m.run()
	for range n {
		m.lines++
		m.topic.log(m.job, LogLine{Seq: m.lines, Message: fmt.Sprint(m.lines)})
	}
}

func (m *topicModel) listen() {
	v, _ := m.topic.open()
	m.ears = append(m.ears, &ear{model: m, status: m.revision, listener: &jobListener{topic: m.topic, place: v.place, number: v.end()}})
}

// ear is a listener and what it has heard.
type ear struct {
	model         *topicModel
	listener      *jobListener
	lines, status uint64
	percent       int
	ended         bool
}

func (e *ear) read() {
	news, last, _ := e.listener.Next(e.model.Context())
	for _, n := range news {
		e.hear(n)
	}
	if last != e.ended && last {
		e.model.Fatal("it ends without the end of the job")
	}
}

func (e *ear) hear(n *Notice) {
	t := e.model
	if e.ended {
		t.Fatalf("%s after the end", n.Kind)
	}
	switch n.Kind {
	case GapNotice:
		e.lines += n.Lost
	case LogNotice:
		if e.lines++; n.Line.Seq != e.lines {
			t.Fatalf("line %d, want %d", n.Line.Seq, e.lines)
		}
	case StatusNotice:
		if n.Job.Revision <= e.status {
			t.Fatalf("status of revision %d after %d", n.Job.Revision, e.status)
		}
		e.status, e.ended = n.Job.Revision, n.Job.Status.Final()
	case ProgressNotice:
		if e.status == 0 || n.Percent < e.percent {
			t.Fatalf("progress %d after %d", n.Percent, e.percent)
		}
		e.percent = n.Percent
	}
}

func (e *ear) check() {
	t := e.model
	if !e.ended || e.lines != t.lines || e.percent != t.percent || e.status != t.revision {
		t.Fatalf("heard %d lines of %d, progress %d of %d, revision %d of %d, end %v", e.lines, t.lines, e.percent, t.percent, e.status, t.revision, e.ended)
	}
}

func TestATopicKeepsABoundedNumberOfBytes(t *testing.T) {
	t.Parallel()
	topic := newTopic("j", Place{})
	j := Job{ID: "j", Status: ogc.Running, Revision: 1, Attempt: 1}
	long := string(make([]byte, 100<<10))
	for range 1000 {
		topic.log(j, LogLine{Time: time.Now(), Message: long})
		topic.flush()
		size := 0
		for _, n := range topic.view.Load().notices {
			size += n.size()
		}
		if size > topicBytes+len(long)+1000 {
			t.Fatalf("it keeps %d bytes", size)
		}
	}
}

func TestNoticesAreEncodedOnceForAll(t *testing.T) {
	t.Parallel()
	n, calls := &Notice{}, 0
	for range 3 {
		for v := range maxVariants {
			_, _ = n.Text(fmt.Sprint(v), func(*Notice) ([]byte, error) { calls++; return nil, nil })
		}
	}
	if calls != maxVariants {
		t.Errorf("encoded %d times for %d variants", calls, maxVariants)
	}
	for range 100 {
		_, _ = n.Text("more", func(*Notice) ([]byte, error) { calls++; return nil, nil })
	}
	if depth := n.texts.Load().depth; depth != maxVariants {
		t.Errorf("%d variants are kept", depth)
	}
}

func TestATopicOutlivesItsListenersWhileTheJobRuns(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	r.topics = map[string]*topic{"j": newTopic("j", Place{})}
	u := r.add("j", nil, nil)
	if u.topic.Load() != r.topics["j"] {
		t.Error("a job that starts does not know who listens to it")
	}
	if r.settle(u, Job{}); r.topics["j"] != nil {
		t.Error("the topic of a job stays that nobody listens to")
	}
}
