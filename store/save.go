package store

import (
	"context"
	"crypto/rand"
	"errors"
)

// A state is what there is before a change.
type state struct {
	head, backup bool        // the items are there, whole or not
	current      *generation // in force; nil for none
	restore      bool        // current is in the backup only
	saved        string      // the item of the backup
	parts        counts
}

// look reads both heads.
func (s *slots) look() (*state, error) {
	now := &state{}
	item, found, err := s.peek(s.head())
	if err != nil {
		return nil, err
	}
	now.head = found
	if now.saved, now.backup, err = s.peek(s.backup()); err != nil {
		return nil, err
	}
	head, headErr := parseHead(item)
	saved, savedErr := parseBackup(now.saved)
	switch {
	case errors.Is(headErr, ErrNewer), headErr != nil && errors.Is(savedErr, ErrNewer):
		return nil, ErrNewer // it may consist of what this version does not know
	case headErr == nil:
		now.current = head
	case savedErr == nil:
		now.current, now.restore = saved.previous, true
	}
	if savedErr != nil {
		return now, s.countParts(now)
	}
	now.parts = saved.parts
	if headErr == nil && head.item != saved.previous.item {
		// The save that wrote this backup came to its end: nothing is there but
		// the two generations.
		for slot := range now.parts {
			now.parts[slot] = head.parts(slot) + saved.previous.parts(slot)
		}
	}
	return now, nil
}

// countParts finds out how many parts there are where no backup tells. It comes to
// an end even in a keychain that gives something for every name.
func (s *slots) countParts(now *state) error {
	now.parts = counts{slotA: 0, slotB: 0}
	for _, slot := range slotNames {
		for i := 1; i <= mostParts; i++ {
			_, found, err := s.peek(s.name(slot, i))
			if err != nil {
				return err
			}
			if !found {
				break
			}
			now.parts[slot] = i
		}
	}
	return nil
}

// save replaces the record. Whatever step is its last, the old record is in force
// or the new one: nothing of the old one is touched before its head is.
func (s *slots) save(ctx context.Context, record []byte) error {
	now, err := s.look()
	if err != nil {
		return err
	}
	if now.restore {
		// The backup is the only head. It cannot be replaced before there are two.
		if err := s.write(s.head(), now.current.item); err != nil {
			return err
		}
	}
	next, err := s.plan(record, now.free())
	if err != nil {
		return err
	}
	if err := s.backUp(now, next); err != nil {
		return err
	}
	for _, slot := range slotNames {
		if now.current.in(slot) {
			continue
		}
		if err := s.fill(ctx, slot, now.parts[slot], next, record); err != nil {
			return err
		}
	}
	return s.write(s.head(), next.item)
}

// free is a slot that the generation in force does not use.
func (now *state) free() string {
	if now.current.in(slotA) {
		return slotB
	}
	return slotA
}

// plan decides how a record is to be kept.
func (s *slots) plan(record []byte, slot string) (*generation, error) {
	switch {
	case len(record) <= s.limits.record && provesItself(record):
		return wholeIn(record), nil
	case len(record) <= s.limits.parts:
		return keptIn(slot, record, (len(record)+s.limits.item-1)/s.limits.item, nil)
	}
	key := make([]byte, keySize)
	rand.Read(key) // never fails
	return keptIn(slot, record, 0, key)
}

// backUp keeps the head in force, and says how many parts the slots may hold
// until the save is complete.
func (s *slots) backUp(now *state, next *generation) error {
	if now.current == nil {
		return nil
	}
	b := &backup{previous: now.current, parts: counts{}}
	for slot, n := range now.parts {
		b.parts[slot] = max(n, next.parts(slot))
	}
	item := b.encode()
	switch {
	case len(item) > s.limits.item: // the record is one of an early version
		if !now.backup {
			return nil
		}
		return s.erase(s.backup())
	case item == now.saved:
		return nil
	}
	return s.write(s.backup(), item)
}

// fill makes a slot hold what it does in the next generation, and nothing else.
func (s *slots) fill(ctx context.Context, slot string, holds int, next *generation, record []byte) error {
	parts := next.parts(slot)
	for i := 1; i <= parts; i++ {
		part := record[(i-1)*s.limits.item : min(i*s.limits.item, len(record))]
		if err := s.write(s.name(slot, i), string(part)); err != nil {
			return err
		}
	}
	if err := s.trim(slot, parts, holds); err != nil {
		return err
	}
	return s.step(true, func() error {
		if next.in(slot) && next.place.Key != nil {
			return s.files.write(ctx, s.key, next.place, record)
		}
		return s.files.remove(ctx, s.key, slot)
	})
}

// trim deletes the parts of a slot down to those that it keeps.
func (s *slots) trim(slot string, keeps, holds int) error {
	for i := holds; i > keeps; i-- {
		if err := s.del(s.name(slot, i)); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// delete removes everything under the key. The record is gone as soon as its head
// is; before that the backup has to go, as it would take its place.
func (s *slots) delete(ctx context.Context) error {
	now, err := s.look()
	if err != nil {
		return err
	}
	if now.backup {
		if err := s.erase(s.backup()); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	if now.head {
		if err := s.erase(s.head()); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	for _, slot := range slotNames {
		if err := s.fill(ctx, slot, now.parts[slot], nil, nil); err != nil {
			return err
		}
	}
	if err := s.del(s.key + markSuffix); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if !now.head && !now.backup {
		return ErrNotFound
	}
	return nil
}
