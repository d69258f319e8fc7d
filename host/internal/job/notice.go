package job

import (
	"sync"
	"sync/atomic"
)

// NoticeKind says what a Notice tells.
type NoticeKind string

// The kinds of notice.
const (
	StatusNotice   NoticeKind = "status"   // Job is as it now is
	RemovedNotice  NoticeKind = "removed"  // Job is as it was before its record went
	ProgressNotice NoticeKind = "progress" // Percent and Message are new
	LogNotice      NoticeKind = "log"      // the process wrote Line
	GapNotice      NoticeKind = "gap"      // Lost lines of the log were left out here
	ResetNotice    NoticeKind = "reset"    // changes of jobs were left out here: list them anew
)

// Place is how far a listener has come. A new one that says so is told what it
// has missed, each thing once.
type Place struct {
	Revision uint64 // of the newest status, or removal, that it was told
	Line     uint64 // Seq of the newest line of the log; zero before the first
}

// Notice is one thing that listeners are told. They share it: nobody changes it.
type Notice struct {
	Kind    NoticeKind
	Place   Place // of a listener that has it
	Job     Job
	Percent int
	Message string
	Line    LogLine
	Lost    uint64 // zero when nobody knows how many

	texts atomic.Pointer[wording]
	mu    sync.Mutex // held to encode
}

// wording is a notice in one of its encodings.
type wording struct {
	variant string
	bytes   []byte
	next    *wording
	depth   int
}

// maxVariants bounds the encodings that a notice keeps.
const maxVariants = 4

// Text returns the notice as encode makes it, which is called once for all
// listeners that want the same variant.
func (n *Notice) Text(variant string, encode func(*Notice) ([]byte, error)) ([]byte, error) {
	if t := n.find(variant); t != nil {
		return t.bytes, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.find(variant); t != nil {
		return t.bytes, nil
	}
	b, err := encode(n)
	if err != nil {
		return nil, err
	}
	t := &wording{variant: variant, bytes: b, next: n.texts.Load(), depth: 1}
	if t.next != nil {
		t.depth += t.next.depth
	}
	if t.depth <= maxVariants {
		n.texts.Store(t)
	}
	return b, nil
}

func (n *Notice) find(variant string) *wording {
	for t := n.texts.Load(); t != nil; t = t.next {
		if t.variant == variant {
			return t
		}
	}
	return nil
}

// size is about what the notice takes of memory, in bytes.
func (n *Notice) size() int {
	return 256 + len(n.Message) + len(n.Line.Message) + len(n.Line.Fields) + len(n.Job.Message)
}
