package wire

import (
	"context"
	"strings"
	"testing"
	"time"

	"geomill/proto/processv1"
)

func logMessage(text string) *processv1.PluginMessage {
	return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Log{Log: &processv1.Log{Message: text}}}
}

func progressMessage() *processv1.PluginMessage {
	return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Progress{Progress: &processv1.Progress{}}}
}

func endMessage() *processv1.PluginMessage {
	return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Succeeded{Succeeded: &processv1.Succeeded{}}}
}

func TestMailboxKeepsTheLatestAndCountsTheRest(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		line  string
		lines int
		most  int
	}{
		"few":        {"x", 10, 10},
		"many":       {"x", 1000, maxLogLines},
		"long":       {strings.Repeat("x", 64<<10), 100, maxLogBytes / (64 << 10)},
		"much alone": {strings.Repeat("x", 2*maxLogBytes), 3, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var box mailbox
			for range test.lines {
				box.post(logMessage(test.line))
				box.post(progressMessage())
			}
			list, _ := box.take(nil)
			lines, left, last := 0, 0, uint64(0)
			for _, m := range list {
				if m.GetSeq() <= last {
					t.Errorf("number %d after %d", m.GetSeq(), last)
				}
				last = m.GetSeq()
				if m.GetLog() != nil {
					lines++
					left += int(m.GetLog().GetDropped())
				}
			}
			if lines+left != test.lines || lines > test.most || len(list) != lines+1 || last != uint64(2*test.lines) {
				t.Errorf("%d lines, %d left out, %d messages, the last has number %d", lines, left, len(list), last)
			}
			if again, size := box.take(nil); len(again) != 0 || size != 0 {
				t.Errorf("taken twice: %v", again)
			}
		})
	}
}

func TestMailboxTakesNothingAfterTheEnd(t *testing.T) {
	t.Parallel()
	var box mailbox
	if !box.post(endMessage()) || box.post(endMessage()) || box.post(progressMessage()) {
		t.Error("a message after the end was taken")
	}
	if list, _ := box.take(nil); len(list) != 1 || !isEnd(list[0]) {
		t.Errorf("got %v", list)
	}
}

func TestMutedMailboxKeepsOnlyTheEnd(t *testing.T) {
	t.Parallel()
	var box mailbox
	box.post(logMessage("x"))
	box.mute()
	box.post(progressMessage())
	box.post(endMessage())
	if list, _ := box.take(nil); len(list) != 1 || !isEnd(list[0]) {
		t.Errorf("got %v", list)
	}
}

// While the host does not read, no more of it is read than maxWaiting jobs.
func TestOutboxHoldsTheReaderBack(t *testing.T) {
	t.Parallel()
	sending, proceed := make(chan struct{}), make(chan struct{})
	sent := 0
	o := newOutbox(func(r *processv1.SessionResponse) error {
		sending <- struct{}{}
		<-proceed
		sent += len(r.GetMessages())
		return nil
	}, func(int) {})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.run(ctx)
	}()
	refuse := func() {
		j := &serverJob{}
		j.box.post(endMessage())
		o.push(j)
	}
	refuse()
	<-sending
	for range maxWaiting {
		if err := o.admit(ctx); err != nil {
			t.Fatal(err)
		}
		refuse()
	}
	impatient, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	if err := o.admit(impatient); err == nil {
		t.Error("one more was admitted")
	}
	close(proceed)
	go func() {
		for range sending {
		}
	}()
	if err := o.admit(ctx); err != nil {
		t.Error(err)
	}
	cancel()
	<-done
	close(sending)
	if sent < 1 {
		t.Error("nothing was sent")
	}
}

// The host may answer the end of a job by the next one, which needs the slot.
func TestSlotIsFreeBeforeTheEndIsSent(t *testing.T) {
	t.Parallel()
	var free, ends int
	o := newOutbox(func(r *processv1.SessionResponse) error {
		ends += len(r.GetMessages())
		if free != ends {
			t.Errorf("%d slots are free after %d ends", free, ends)
		}
		return nil
	}, func(n int) { free += n })
	jobs := make([]*serverJob, 3)
	for i := range jobs {
		jobs[i] = &serverJob{admitted: true}
		jobs[i].box.post(endMessage())
	}
	if err := o.flush(jobs); err != nil || free != len(jobs) || ends != len(jobs) {
		t.Errorf("%d free, %d sent, %v", free, ends, err)
	}
}

func TestFileNamesArePlain(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"result":                 "result",
		"":                       "_",
		"..":                     "_..",
		"../../etc/passwd":       "_.._.._etc_passwd",
		"a b\x00ü":               "a_b__",
		strings.Repeat("x", 100): strings.Repeat("x", maxFileName),
	}
	for id, want := range tests {
		if got := fileName(id); got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
}

// The timer that accepts a job may fire as the job reports for the first time.
func TestAnAcceptanceOvertakesNothing(t *testing.T) {
	t.Parallel()
	accepted := func() *processv1.PluginMessage {
		return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Accepted{Accepted: &processv1.Accepted{}}}
	}
	var late, first mailbox
	late.post(progressMessage())
	late.post(accepted())
	if list, _ := late.take(nil); len(list) != 1 || list[0].GetProgress() == nil {
		t.Errorf("after a report: %v", list)
	}
	first.post(accepted())
	first.post(progressMessage())
	if list, _ := first.take(nil); len(list) != 2 || list[0].GetAccepted() == nil {
		t.Errorf("before one: %v", list)
	}
}
