package store

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Preflight proves that the record under key could be replaced, before its
// refresh token is spent: it marks, in an item of its own, that a refresh of this
// very record has begun. A Save makes the mark moot. Without a record, the error
// is ErrNotFound.
func (k *Keychain) Preflight(ctx context.Context, key string) error {
	_, err := k.call(ctx, func(s *steps) ([]byte, error) {
		g, err := k.slots(s, key).inForce()
		if err != nil {
			return nil, err
		}
		// The time makes each mark a new one, so that reading it back proves
		// that it was written now.
		return nil, s.write(key+markSuffix, markOf(g)+time.Now().UTC().Format(time.RFC3339Nano))
	})
	return err
}

// Interrupted reports whether a refresh of the record under key was begun, by
// Preflight, and what came of it never saved: its refresh token may be spent.
func (k *Keychain) Interrupted(ctx context.Context, key string) (bool, error) {
	mark, err := k.call(ctx, func(s *steps) ([]byte, error) {
		g, err := k.slots(s, key).inForce()
		if err != nil {
			return nil, err
		}
		mark, err := s.get(key + markSuffix)
		if err != nil || !strings.HasPrefix(mark, markOf(g)) {
			return nil, err
		}
		return []byte(mark), nil
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return mark != nil, err
}

// Refused takes the mark of Preflight back: the server has refused the refresh, so
// nothing was spent, and Interrupted has nothing to explain.
func (k *Keychain) Refused(ctx context.Context, key string) error {
	_, err := k.call(ctx, func(s *steps) ([]byte, error) {
		if _, err := s.get(key + markSuffix); err != nil {
			return nil, err
		}
		return nil, s.del(key + markSuffix)
	})
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return err
}

// markOf is the start of the mark for a record. It names the record by its
// checksum.
func markOf(g *generation) string { return "OLW1 " + checksum([]byte(g.item)) + " " }
