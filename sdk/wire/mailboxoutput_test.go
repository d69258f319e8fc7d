package wire

import (
	"testing"

	"geomill/proto/processv1"

	"pgregory.net/rapid"
)

func outputMessage(id string) *processv1.PluginMessage {
	return &processv1.PluginMessage{Kind: &processv1.PluginMessage_Output{Output: &processv1.Value{Id: id}}}
}

// An output that is handed over early must get past what is said after it.
func TestEveryOutputReachesTheOtherEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var here, there mailbox
		want, got := 0, 0
		deliver := func() {
			list, _ := here.take(nil)
			for _, m := range list {
				if _, ok := there.receive(m); !ok {
					t.Fatalf("message %d of %v has no place", m.GetSeq(), m.GetKind())
				}
			}
			list, _ = there.take(nil)
			for _, m := range list {
				if m.GetOutput() != nil {
					got++
				}
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				here.post(logMessage("x"))
			case 1:
				here.post(progressMessage())
			case 2:
				here.post(outputMessage("out"))
				want++
			default:
				deliver()
			}
		}
		here.post(endMessage())
		deliver()
		if got != want {
			t.Fatalf("%d of %d outputs arrived", got, want)
		}
	})
}

func TestWhoeverAttachesGetsEarlierOutputsOnce(t *testing.T) {
	t.Parallel()
	numbered := func(seq uint64, m *processv1.PluginMessage) *processv1.PluginMessage {
		m.Seq = seq
		return m
	}
	there := mailbox{seq: 5, again: true} // what came before was kept, but for outputs
	for _, c := range []struct {
		m  *processv1.PluginMessage
		ok bool
	}{
		{numbered(2, outputMessage("a")), true},
		{numbered(2, outputMessage("a")), false},
		{numbered(3, logMessage("old")), false},
		{numbered(4, outputMessage("b")), true},
		{numbered(6, logMessage("new")), true},
		{numbered(7, outputMessage("c")), true},
		{numbered(8, endMessage()), true},
	} {
		if _, ok := there.receive(c.m); ok != c.ok {
			t.Errorf("message %d %v: %v", c.m.GetSeq(), c.m.GetKind(), ok)
		}
	}
	list, _ := there.take(nil)
	var ids string
	for _, m := range list {
		ids += m.GetOutput().GetId()
	}
	if ids != "abc" {
		t.Errorf("outputs %q", ids)
	}
}
