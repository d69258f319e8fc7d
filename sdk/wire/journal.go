package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"syscall"

	"geomill/proto/processv1"

	"google.golang.org/protobuf/proto"
)

// JournalFile is the name of the file, in the directory of a detached instance,
// with the messages of its job: each one with its length and a checksum before
// it, both 32 bits, little-endian, and the latter the CRC-32C of the message.
const JournalFile = "events.pb"

const (
	journalHead = 8
	// journalBytes is the size from which on a journal is written anew, with
	// what a host that attaches needs.
	journalBytes = 16 << 20
)

// castagnoli makes its table at first use: most instances keep no journal, and it
// would delay the start of each.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// errTorn says that the rest of a journal is not to be read: the process or the
// machine ended while it was written.
var errTorn = errors.New("the journal ends in a message that is not whole")

// journal is an open journal, at its end.
type journal struct {
	path string
	file *os.File
	size int64
}

func createJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal of job: %w", err)
	}
	return &journal{path: path, file: f}, nil
}

// append writes a message in one piece. What an earlier write left unfinished is
// overwritten.
func (j *journal) append(m *processv1.PluginMessage) error {
	b, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, journalHead), m)
	if err != nil {
		return fmt.Errorf("encode message for the journal: %w", err)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-journalHead))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[journalHead:], castagnoli()))
	if _, err := j.file.WriteAt(b, j.size); err != nil {
		return fmt.Errorf("write journal of job: %w", err)
	}
	j.size += int64(len(b))
	return nil
}

// compact writes the journal anew with what a mailbox would still hold of it.
func (j *journal) compact() error {
	var box mailbox
	if err := readJournal(j.path, func(m *processv1.PluginMessage) bool { box.put(m); return true }); err != nil && !errors.Is(err, errTorn) {
		return err
	}
	next, err := createJournal(j.path + ".new")
	if err != nil {
		return err
	}
	list, _ := box.take(nil)
	for _, m := range list {
		if err = next.append(m); err != nil {
			break
		}
	}
	if err == nil {
		err = os.Rename(next.path, j.path)
	}
	if err != nil {
		return errors.Join(err, next.file.Close(), os.Remove(next.path))
	}
	_ = j.file.Close() // it has no name any more
	j.file, j.size = next.file, next.size
	return nil
}

// readJournal hands the messages of a journal to take, in their order, until that
// reports false. It returns errTorn when what follows is not whole.
func readJournal(path string, take func(*processv1.PluginMessage) bool) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open journal of job: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(errors.New("journal of job is not a regular file"), err)
	}
	r := bufio.NewReader(f)
	head := make([]byte, journalHead)
	for {
		if _, err := io.ReadFull(r, head); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return errTorn
		}
		size := binary.LittleEndian.Uint32(head)
		if size > MaxMessageBytes {
			return errTorn
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil || crc32.Checksum(b, castagnoli()) != binary.LittleEndian.Uint32(head[4:]) {
			return errTorn
		}
		m := &processv1.PluginMessage{}
		if err := proto.Unmarshal(b, m); err != nil {
			return errTorn
		}
		if !take(m) {
			return nil
		}
	}
}
