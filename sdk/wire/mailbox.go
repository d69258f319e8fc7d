package wire

import (
	"cmp"
	"slices"
	"sync"

	"geomill/proto/processv1"
)

// The bounds of what waits of one job's log.
const (
	maxLogLines = 256
	maxLogBytes = 256 << 10
)

// mailbox holds the messages of one job that wait: on the plugin end for the
// writer, on the host end for the goroutine in Run. It is what keeps a flood
// of one job away from the others: of the progress only the latest waits, of
// the log the latest lines, with a count of those left out. Outputs and the
// end are never left out.
type mailbox struct {
	mu       sync.Mutex
	seq      uint64 // last one given out, or received
	accepted *processv1.PluginMessage
	progress *processv1.PluginMessage
	log      []*processv1.PluginMessage // oldest first
	logBytes int
	outputs  []*processv1.PluginMessage
	end      *processv1.PluginMessage
	ended    bool

	values int // outputs received so far, and their inline bytes
	bytes  int
	muted  bool // only the end is still of interest

	again  bool   // outputs from before seq come once more: somebody attaches
	output uint64 // number of the last output received
}

// post adds a message of this end's own and numbers it. It reports false when
// the job has ended.
func (b *mailbox) post(m *processv1.PluginMessage) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	b.seq++
	m.Seq = b.seq
	b.put(m)
	return true
}

// number numbers a message that is added later.
func (b *mailbox) number(m *processv1.PluginMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	m.Seq = b.seq
}

// add adds a message that is numbered already, perhaps once more.
func (b *mailbox) add(m *processv1.PluginMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(m)
}

// silent reports whether nothing was posted yet.
func (b *mailbox) silent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seq == 0
}

// receive adds a message from the other end. wake says whether someone should
// look at it; ok is false for a message that has no place: after the end, or
// numbered no higher than one before it.
func (b *mailbox) receive(m *processv1.PluginMessage) (wake, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || m.GetSeq() != 0 && m.GetSeq() <= b.seq && !b.repeats(m) {
		return false, false
	}
	b.seq = max(b.seq, m.GetSeq())
	switch k := m.GetKind().(type) {
	case nil, *processv1.PluginMessage_Accepted:
		return false, true
	case *processv1.PluginMessage_Output:
		b.output = m.GetSeq()
		b.count(k.Output)
	case *processv1.PluginMessage_Succeeded:
		for _, v := range k.Succeeded.GetOutputs() {
			b.count(v)
		}
	}
	b.put(m)
	return true, true
}

// repeats reports whether a message is an output that was handed over before
// somebody attached to its job, who has not got it yet.
func (b *mailbox) repeats(m *processv1.PluginMessage) bool {
	return b.again && m.GetOutput() != nil && m.GetSeq() > b.output
}

// mute drops what waits and, from now on, everything but the end.
func (b *mailbox) mute() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.muted = true
	b.progress, b.log, b.logBytes, b.outputs = nil, nil, 0, nil
}

// excess reports whether more outputs came than a job may have.
func (b *mailbox) excess() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tooMany()
}

func (b *mailbox) tooMany() bool { return b.values > maxValues || b.bytes > maxOutputBytes }

func (b *mailbox) count(v *processv1.Value) {
	b.values++
	b.bytes += inlineSize(v)
}

func (b *mailbox) put(m *processv1.PluginMessage) {
	if isEnd(m) {
		b.end, b.ended = m, true
		return
	}
	if b.muted {
		return
	}
	switch m.GetKind().(type) {
	case *processv1.PluginMessage_Accepted:
		if m.GetSeq() == 1 { // after something else it tells nothing, and would overtake it
			b.accepted = m
		}
	case *processv1.PluginMessage_Progress:
		b.progress = m
	case *processv1.PluginMessage_Log:
		b.putLog(m)
	case *processv1.PluginMessage_Output:
		if !b.tooMany() {
			b.outputs = append(b.outputs, m)
		}
	}
}

func (b *mailbox) putLog(m *processv1.PluginMessage) {
	b.log = append(b.log, m)
	b.logBytes += logSize(m.GetLog())
	for len(b.log) > 1 && (len(b.log) > maxLogLines || b.logBytes > maxLogBytes) {
		left := b.log[0].GetLog()
		b.logBytes -= logSize(left)
		b.log[1].GetLog().Dropped += left.GetDropped() + 1
		b.log[0] = nil
		b.log = b.log[1:]
	}
}

// take appends what waits to list, in the order of its numbers: whoever receives
// it takes none that is lower than one before. It returns the size of what it added,
// in bytes, roughly.
func (b *mailbox) take(list []*processv1.PluginMessage) (_ []*processv1.PluginMessage, size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := len(list)
	if b.accepted != nil {
		list, size = append(list, b.accepted), messageOverhead
		b.accepted = nil
	}
	for _, m := range b.log {
		if b.progress != nil && b.progress.GetSeq() < m.GetSeq() {
			list = append(list, b.progress)
			b.progress = nil
		}
		list = append(list, m)
	}
	size += b.logBytes
	b.log, b.logBytes = nil, 0
	if b.progress != nil {
		list = append(list, b.progress)
		size += messageOverhead + len(b.progress.GetProgress().GetMessage())
		b.progress = nil
	}
	for _, m := range b.outputs {
		list = append(list, m)
		size += messageOverhead + inlineSize(m.GetOutput())
	}
	if len(b.outputs) > 0 {
		slices.SortStableFunc(list[from:], func(a, b *processv1.PluginMessage) int { return cmp.Compare(a.GetSeq(), b.GetSeq()) })
		b.outputs = nil
	}
	if b.end != nil {
		list = append(list, b.end)
		size += endSize(b.end)
		b.end = nil
	}
	return list, size
}

// messageOverhead is what a message costs on the wire beside its texts and
// values, in bytes, roughly.
const messageOverhead = 96

func logSize(l *processv1.Log) int {
	return messageOverhead + len(l.GetMessage()) + len(l.GetFieldsJson())
}

func endSize(m *processv1.PluginMessage) int {
	size := messageOverhead
	for _, v := range m.GetSucceeded().GetOutputs() {
		size += valueOverhead + len(v.GetId()) + len(v.GetMediaType()) + inlineSize(v)
	}
	p := m.GetFailed().GetProblem()
	size += len(p.GetTitle()) + len(p.GetDetail())
	for _, f := range p.GetFaults() {
		size += valueOverhead + len(f.GetInput()) + len(f.GetPointer()) + len(f.GetMessage())
	}
	return size
}
