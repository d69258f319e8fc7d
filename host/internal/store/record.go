package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"geomill/host/internal/job"
)

const revisionSize = 8

// encodeRecord returns the value under a job's key. The id is in the key.
func encodeRecord(j job.Job) ([]byte, error) {
	revision := j.Revision
	j.ID = ""
	text, err := encodeJSON(j)
	if err != nil {
		return nil, fmt.Errorf("encode job: %w", err)
	}
	b := make([]byte, 0, revisionSize+len(text))
	b = binary.BigEndian.AppendUint64(b, revision)
	return append(b, text...), nil
}

func decodeRecord(i id, b []byte) (job.Job, error) {
	if len(b) < revisionSize {
		return job.Job{}, fmt.Errorf("record of job %s is cut off", i)
	}
	var j job.Job
	if err := json.Unmarshal(b[revisionSize:], &j); err != nil {
		return job.Job{}, fmt.Errorf("decode record of job %s: %w", i, err)
	}
	j.ID = i.String()
	j.Revision = binary.BigEndian.Uint64(b)
	return j, nil
}

func encodeOrder(o job.Order) ([]byte, error) {
	b, err := encodeJSON(o)
	if err != nil {
		return nil, fmt.Errorf("encode order: %w", err)
	}
	return b, nil
}

func decodeOrder(i id, b []byte, o *job.Order) error {
	if err := json.Unmarshal(b, o); err != nil {
		return fmt.Errorf("decode order of job %s: %w", i, err)
	}
	return nil
}

// encodeJSON leaves <, > and & in raw JSON as they are.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// clone returns a job that shares nothing with j that a caller might change.
func clone(j job.Job) job.Job {
	j.Outputs = maps.Clone(j.Outputs)
	if j.Exception != nil {
		e := *j.Exception
		j.Exception = &e
	}
	return j
}

// How the payload of a stored output is to be read.
const (
	jsonOutput = 'j' // JSON text
	dataOutput = 'd' // bytes
	fileOutput = 'f' // size in 8 bytes, then a path relative to the store's directory
)

// encodeOutput returns the value under an output's key: kind, length of the
// media type, media type, payload. The bytes of a value stay as they are.
func encodeOutput(v job.Value) []byte {
	b := make([]byte, 0, 16+len(v.MediaType)+len(v.File)+len(v.Data)+len(v.JSON))
	kind := byte(jsonOutput)
	switch {
	case v.File != "":
		kind = fileOutput
	case v.Data != nil:
		kind = dataOutput
	}
	b = append(b, kind)
	b = binary.AppendUvarint(b, uint64(len(v.MediaType)))
	b = append(b, v.MediaType...)
	switch kind {
	case fileOutput:
		b = binary.BigEndian.AppendUint64(b, uint64(v.Size))
		return append(b, v.File...)
	case dataOutput:
		return append(b, v.Data...)
	}
	return append(b, v.JSON...)
}

var errOutputCutOff = errors.New("stored output is cut off")

// decodeOutput is the inverse of encodeOutput; it keeps no part of b.
func decodeOutput(b []byte) (job.Value, error) {
	if len(b) == 0 {
		return job.Value{}, errOutputCutOff
	}
	kind := b[0]
	length, n := binary.Uvarint(b[1:])
	if n <= 0 || length > uint64(len(b)-1-n) {
		return job.Value{}, errOutputCutOff
	}
	media, payload := b[1+n:1+n+int(length)], b[1+n+int(length):]
	v := job.Value{MediaType: string(media)}
	switch kind {
	case jsonOutput:
		v.JSON = bytes.Clone(payload)
	case dataOutput:
		v.Data = append([]byte{}, payload...)
	case fileOutput:
		if len(payload) < 8 {
			return job.Value{}, errOutputCutOff
		}
		v.Size = int64(binary.BigEndian.Uint64(payload))
		v.File = string(payload[8:])
	default:
		return job.Value{}, fmt.Errorf("stored output has unknown kind %q", kind)
	}
	return v, nil
}
