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
	locks   map[string]chan struct{} // full while somebody has the lock
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

// Lock waits for the lock of that name. It is one of this Memory: no other
// process sees the records, so none has to be kept out.
func (m *Memory) Lock(ctx context.Context, name string) (unlock func(), err error) {
	lock := m.lock(name)
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *Memory) lock(name string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	lock, ok := m.locks[name]
	if !ok {
		if m.locks == nil {
			m.locks = map[string]chan struct{}{}
		}
		lock = make(chan struct{}, 1)
		m.locks[name] = lock
	}
	return lock
}

// Name returns "memory of this process".
func (m *Memory) Name() string { return "memory of this process" }
