package jobtest

import (
	"bytes"
	"context"
	"sync"

	"geomill/host/internal/job"
)

// MemoryLogs keeps logs in memory.
type MemoryLogs struct {
	mu   sync.Mutex
	logs map[string][]byte
}

// NewMemoryLogs returns logs without any.
func NewMemoryLogs() *MemoryLogs { return &MemoryLogs{logs: map[string][]byte{}} }

// Append implements job.Logs.
func (m *MemoryLogs) Append(ctx context.Context, jobID string, lines []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logs[jobID] = append(m.logs[jobID], lines...)
	return nil
}

// Open implements job.Logs.
func (m *MemoryLogs) Open(ctx context.Context, jobID string) (job.LogReader, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return memoryLog{bytes.NewReader(bytes.Clone(m.logs[jobID]))}, nil
}

// Remove implements job.Logs.
func (m *MemoryLogs) Remove(ctx context.Context, jobID string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.logs, jobID)
	return nil
}

// Len returns how many jobs have a log.
func (m *MemoryLogs) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.logs)
}

type memoryLog struct{ *bytes.Reader }

func (memoryLog) Close() error { return nil }
