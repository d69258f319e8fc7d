package store

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"
)

// The first byte of every key; the package comment draws the tree.
const (
	metaPrefix      = 'm'
	jobPrefix       = 'j'
	orderPrefix     = 'o'
	outputPrefix    = 'v'
	activePrefix    = 'a'
	statusPrefix    = 's'
	processPrefix   = 'p'
	bothPrefix      = 'b'
	tombstonePrefix = 'd'
	deliveryPrefix  = 'c'
	pendingPrefix   = 'q'
	equalPrefix     = 'e'
	usagePrefix     = 'u'
	endedPrefix     = 'f'
)

func versionKey() []byte  { return []byte{metaPrefix, 'v'} }
func revisionKey() []byte { return []byte{metaPrefix, 'r'} }
func skewKey() []byte     { return []byte{metaPrefix, 'k'} }
func countedKey() []byte  { return []byte{metaPrefix, 'u'} }

// id is a job's UUID. Ids of version 7 sort by time.
type id [16]byte

var (
	oldest = id{}
	newest = oldest.complement()
)

// parseID accepts the canonical text form only, so that one job has one name.
func parseID(text string) (id, bool) {
	u, err := uuid.Parse(text)
	if err != nil || u.String() != text {
		return id{}, false
	}
	return id(u), true
}

func (i id) String() string { return uuid.UUID(i).String() }

func (i id) complement() id {
	for n := range i {
		i[n] = ^i[n]
	}
	return i
}

// compare orders ids by age: negative when i is older than other.
func (i id) compare(other id) int { return strings.Compare(string(i[:]), string(other[:])) }

// next returns the id just newer than i, and false for the newest.
func (i id) next() (id, bool) {
	for n := len(i) - 1; n >= 0; n-- {
		i[n]++
		if i[n] != 0 {
			return i, true
		}
	}
	return i, false
}

// previous returns the id just older than i, and false for the oldest.
func (i id) previous() (id, bool) {
	for n := len(i) - 1; n >= 0; n-- {
		i[n]--
		if i[n] != 0xff {
			return i, true
		}
	}
	return i, false
}

// time returns the moment in a UUID of version 7, to the millisecond.
func (i id) time() time.Time {
	var b [8]byte
	copy(b[2:], i[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:])))
}

// firstID returns the oldest id of t's millisecond.
func firstID(t time.Time) id {
	var i id
	ms := min(max(t.UnixMilli(), 0), 1<<48-1)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(ms))
	copy(i[:6], b[2:])
	return i
}

// lastID returns the newest id of t's millisecond.
func lastID(t time.Time) id {
	i := newest
	first := firstID(t)
	copy(i[:6], first[:6])
	return i
}

func idKey(prefix []byte, i id) []byte {
	c := i.complement()
	return append(append(make([]byte, 0, len(prefix)+len(c)), prefix...), c[:]...)
}

// keyID returns the id that ends a key made by idKey.
func keyID(key []byte) id {
	return id(key[len(key)-len(id{}):]).complement()
}

func jobKey(i id) []byte       { return idKey([]byte{jobPrefix}, i) }
func orderKey(i id) []byte     { return idKey([]byte{orderPrefix}, i) }
func activeKey(i id) []byte    { return idKey([]byte{activePrefix}, i) }
func tombstoneKey(i id) []byte { return idKey([]byte{tombstonePrefix}, i) }

func outputsKey(i id) []byte             { return idKey([]byte{outputPrefix}, i) }
func outputKey(i id, name string) []byte { return append(outputsKey(i), name...) }
func outputName(key []byte) string       { return string(key[1+len(id{}):]) }

// statusByte gives a status its byte in keys; zero for what is no status.
func statusByte(s ogc.Status) byte {
	switch s {
	case ogc.Accepted:
		return 'a'
	case ogc.Running:
		return 'r'
	case ogc.Successful:
		return 's'
	case ogc.Failed:
		return 'f'
	case ogc.Dismissed:
		return 'd'
	}
	return 0
}

func statusIndex(s ogc.Status) []byte { return []byte{statusPrefix, statusByte(s)} }

func processIndex(process string) []byte {
	return append(append([]byte{processPrefix}, process...), 0)
}

func bothIndex(process string, s ogc.Status) []byte {
	return append(append([]byte{bothPrefix}, process...), 0, statusByte(s))
}

// equalIndex leads to successful jobs whose results may answer equal requests.
func equalIndex(digest, pluginHash string) []byte {
	b := append(append([]byte{equalPrefix}, digest...), 0)
	return append(append(b, pluginHash...), 0)
}

// indexKeys returns the keys that lead to a job in the state j.
func indexKeys(i id, j *job.Job) [][]byte {
	keys := [][]byte{idKey(processIndex(j.ProcessID), i)}
	if !j.Status.Final() {
		return append(keys, activeKey(i))
	}
	keys = append(keys, idKey(statusIndex(j.Status), i), idKey(bothIndex(j.ProcessID, j.Status), i), endedKey(i, j))
	if j.Digest != "" && j.Status == ogc.Successful {
		keys = append(keys, idKey(equalIndex(j.Digest, j.Plugin.Hash), i))
	}
	return keys
}

// checkIndexed refuses what the keys cannot express.
func checkIndexed(j *job.Job) error {
	if j.ProcessID == "" || len(j.ProcessID) > 1024 || strings.ContainsRune(j.ProcessID, 0) {
		return fmt.Errorf("process id %q cannot be stored", j.ProcessID)
	}
	if !j.Status.Valid() {
		return fmt.Errorf("status %q cannot be stored", j.Status)
	}
	if j.Digest != "" && (len(j.Digest)+len(j.Plugin.Hash) > 1024 || strings.ContainsRune(j.Digest+j.Plugin.Hash, 0)) {
		return fmt.Errorf("digest %q of plugin hash %q cannot be stored", j.Digest, j.Plugin.Hash)
	}
	return nil
}
