package wire

import (
	"os"
	"path/filepath"
	"testing"

	"geomill/proto/processv1"
)

func progressOf(seq uint64) *processv1.PluginMessage {
	return &processv1.PluginMessage{JobId: "one", Seq: seq, Kind: &processv1.PluginMessage_Progress{Progress: &processv1.Progress{Percent: float64(seq)}}}
}

func logOf(seq uint64) *processv1.PluginMessage {
	return &processv1.PluginMessage{JobId: "one", Seq: seq, Kind: &processv1.PluginMessage_Log{Log: &processv1.Log{Message: "line"}}}
}

// writeJournal writes a journal of messages.
func writeJournal(t *testing.T, messages ...*processv1.PluginMessage) *journal {
	t.Helper()
	j, err := createJournal(filepath.Join(t.TempDir(), JournalFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.file.Close() })
	for _, m := range messages {
		if err := j.append(m); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// numbers returns those of the messages in a journal.
func numbers(path string) (list []uint64, err error) {
	err = readJournal(path, func(m *processv1.PluginMessage) bool {
		list = append(list, m.GetSeq())
		return true
	})
	return list, err
}

func TestTornJournalIsReadAsFarAsItIsWhole(t *testing.T) {
	t.Parallel()
	whole := writeJournal(t, logOf(1), progressOf(2), logOf(3))
	content, err := os.ReadFile(whole.path)
	if err != nil {
		t.Fatal(err)
	}
	two := writeJournal(t, logOf(1), progressOf(2)).size
	path := filepath.Join(t.TempDir(), "torn")
	for cut := two; cut <= whole.size; cut++ {
		if err := os.WriteFile(path, content[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := numbers(path)
		want, torn := 2, cut > two && cut < whole.size
		if cut == whole.size {
			want = 3
		}
		if len(list) != want || (err == errTorn) != torn {
			t.Errorf("%d of %d bytes: %v, %v", cut, whole.size, list, err)
		}
	}
	for i := two; i < whole.size; i++ { // or filled with something else
		b := append([]byte{}, content...)
		b[i] ^= 0x41
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if list, err := numbers(path); len(list) != 2 || err != errTorn {
			t.Errorf("byte %d is another: %v, %v", i, list, err)
		}
	}
}

func TestJournalWrittenAnewHasWhatAHostNeeds(t *testing.T) {
	t.Parallel()
	var messages []*processv1.PluginMessage
	for seq := uint64(1); seq <= 3*maxLogLines; seq += 2 {
		messages = append(messages, logOf(seq), progressOf(seq+1))
	}
	j := writeJournal(t, messages...)
	before := j.size
	if err := j.compact(); err != nil {
		t.Fatal(err)
	}
	if err := j.append(progressOf(9999)); err != nil {
		t.Fatal(err)
	}
	list, err := numbers(j.path)
	if err != nil || len(list) != maxLogLines+2 || list[len(list)-1] != 9999 || j.size >= before {
		t.Errorf("%d messages, %v; %d bytes, %d before", len(list), err, j.size, before)
	}
}
