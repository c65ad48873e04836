package store

import (
	"bytes"
	"context"
	"sync"
)

// Memory is a Store that keeps records as long as the process lives. Its zero
// value is ready for use.
type Memory struct {
	mu      sync.Mutex
	records map[string][]byte
}

var _ Store = (*Memory)(nil)

// Load returns the record under key.
func (m *Memory) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	record, ok := m.records[key]
	if !ok {
		return nil, ErrNotFound
	}
	return bytes.Clone(record), nil
}

// Save replaces the record under key.
func (m *Memory) Save(_ context.Context, key string, record []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		m.records = map[string][]byte{}
	}
	m.records[key] = bytes.Clone(record)
	return nil
}

// Delete removes the record under key.
func (m *Memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.records[key]; !ok {
		return ErrNotFound
	}
	delete(m.records, key)
	return nil
}

// Name returns "memory of this process".
func (m *Memory) Name() string { return "memory of this process" }
