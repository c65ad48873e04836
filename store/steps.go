package store

import (
	"errors"
	"fmt"
	"time"
)

// attempts is how often a step is taken that only failed because another process
// was at the same item.
const attempts = 3

// errGivenUp is for nobody: who gave the call up does not listen.
var errGivenUp = errors.New("the call was given up")

// steps are the uses of go-keyring within one call. None begins once the call
// was given up, so that what comes back late cannot go on to overwrite what
// somebody else has written since.
type steps struct {
	ring     ring
	keychain *Keychain
	call     *call
	ready    func() error // why go-keyring must not be called; looks once
}

// get reads an item. Only here may the person be asked for a password: a write
// that waits for one would take effect whenever that is typed. So every call that
// writes begins with a get.
func (s *steps) get(user string) (secret string, err error) {
	if secret, ok := s.glance(user); ok {
		return secret, nil
	}
	if err := s.ready(); err != nil {
		return "", err
	}
	err = s.step(false, func() (err error) {
		secret, err = s.ring.Get(service, user)
		return err
	})
	return secret, err
}

// glance reads an item where that takes no more than a look: where the keychain is
// there and open. Nobody is asked for anything.
func (s *steps) glance(user string) (secret string, ok bool) {
	ring, can := s.ring.(interface {
		Glance(service, user string) (secret string, ok bool)
	})
	if !can || !s.begin(false) {
		return "", false
	}
	defer s.end()
	_ = try(func() error {
		secret, ok = ring.Glance(service, user)
		return nil
	})
	return secret, ok
}

func (s *steps) set(user, secret string) error {
	if err := s.ready(); err != nil {
		return err
	}
	return s.step(true, func() error { return s.ring.Set(service, user, secret) })
}

func (s *steps) del(user string) error {
	if err := s.ready(); err != nil {
		return err
	}
	return s.step(true, func() error { return s.ring.Delete(service, user) })
}

// write sets an item and reads it back: go-keyring reports success when the
// person dismisses the prompt, and so does macOS when it has cut the line.
func (s *steps) write(user, secret string) error {
	if err := s.set(user, secret); err != nil {
		return err
	}
	stored, err := s.get(user)
	if errors.Is(err, ErrNotFound) || err == nil && stored != secret {
		return s.keychain.unavailable(NotStored, nil)
	}
	return err
}

// erase deletes an item and looks whether it is gone.
func (s *steps) erase(user string) error {
	if err := s.del(user); err != nil {
		return err
	}
	_, err := s.get(user)
	if err == nil {
		return s.keychain.unavailable(NotStored, errors.New("the item is still there"))
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// step does one thing, and gives it another try if another process was in the
// way. The error is one of this package.
func (s *steps) step(writes bool, do func() error) (err error) {
	for range attempts {
		if !s.begin(writes) {
			return errGivenUp
		}
		err = try(do)
		s.end()
		if !s.keychain.transient(err) {
			break
		}
	}
	return s.keychain.classify(err)
}

// begin reports whether a step may begin. From here until end, Settled tells of a
// write if the call is given up.
func (s *steps) begin(writes bool) bool {
	s.keychain.mu.Lock()
	defer s.keychain.mu.Unlock()
	if s.call.givenUp {
		return false
	}
	if writes {
		s.call.writing = make(chan struct{})
	}
	return true
}

func (s *steps) end() {
	s.keychain.mu.Lock()
	defer s.keychain.mu.Unlock()
	if s.call.writing != nil {
		close(s.call.writing)
	}
	s.call.writing = nil
	if s.call.givenUp {
		s.keychain.unsettled = nil
	}
	s.call.step = time.Now()
}

// try makes a panic an error: go-keyring does not expect the bus to end while it
// waits for a prompt.
func try(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("go-keyring has panicked: %v", p)
		}
	}()
	return do()
}
