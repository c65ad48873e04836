package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// changeTime bounds the wait for another process that changes the login. It is
// longer than that can take, where both have the same limits: a refresh, and saving
// what it has bought.
func (s *Source) changeTime() time.Duration { return s.refreshTime() + saveTime }

// saveTime is how long it takes at most to save a login, unless a person is asked.
const saveTime = 15 * time.Second

// A LockError says that the lock, which keeps processes from changing a login at
// the same time, could not be had. Nothing was changed.
type LockError struct {
	// Path is the lock file, or its directory where that is the trouble.
	Path string
	// Busy says that another process has the lock, and has kept it for longer
	// than a refresh takes.
	Busy bool
	// Err is the error underneath, nil for none.
	Err error

	after time.Duration // how long it was waited for, 0 where the caller knows
}

// Error says which lock could not be taken, and why.
func (e *LockError) Error() string {
	if e.Busy && e.after > 0 {
		return fmt.Sprintf("another process has been changing the login for %v and does not end (lock %s)", e.after, e.Path)
	}
	if e.Busy {
		return "another process is changing the login and does not end (lock " + e.Path + ")"
	}
	return fmt.Sprintf("the lock between processes, %s, cannot be used: %v", e.Path, e.Err)
}

// Unwrap returns the error underneath, if any.
func (e *LockError) Unwrap() error { return e.Err }

// ProbeLocks takes a lock in a directory that is meant as Source.LockDir is, and gives
// it back. It returns the directory, and a *LockError if no lock can be had there. It
// waits for nobody but another ProbeLocks, and ends with ctx.
func ProbeLocks(ctx context.Context, dir string) (string, error) {
	locks := fileLocks{dir}
	dir, err := locks.directory()
	if err != nil {
		return dir, &LockError{Path: dir, Err: err}
	}
	unlock, err := locks.Lock(ctx, "probe")
	if err != nil {
		return dir, err
	}
	unlock()
	return dir, nil
}

// A locker has locks, each of which one can hold at a time.
type locker interface {
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// locks are those that everybody who uses the store takes.
func (s *Source) locks() locker {
	if own, ok := s.store().(locker); ok && s.LockDir == "" {
		return own
	}
	return fileLocks{s.LockDir}
}

// fileLocks are the locks where they are files, and else an error.
func (s *Source) fileLocks() (fileLocks, error) {
	switch locks := s.locks().(type) {
	case fileLocks:
		return locks, nil
	case interface{ fileLocks() (fileLocks, error) }:
		return locks.fileLocks()
	}
	return fileLocks{}, errors.ErrUnsupported
}

// takeRecord waits until nobody else changes the login: no goroutine of this
// Source, and no process. Whoever had it before may have changed everything, so
// look again. The caller gives it back with done.
func (s *Source) takeRecord(ctx context.Context) (done func(), err error) {
	defer s.waiting(false)()
	if err := s.changing.take(ctx); err != nil {
		return nil, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		s.changing.pass()
		return nil, err
	}
	return func() {
		s.unlock(unlock)
		s.changing.pass()
	}, nil
}

// lock takes the lock between processes, or the one that was kept.
func (s *Source) lock(ctx context.Context) (unlock func(), err error) {
	s.mu.Lock()
	kept := s.kept
	s.kept = nil
	s.mu.Unlock()
	if kept != nil {
		return kept.unlock, nil
	}
	limited, cancel := context.WithTimeout(ctx, s.changeTime())
	defer cancel()
	name := s.key()
	unlock, err = s.locks().Lock(limited, name)
	if err == nil || ctx.Err() == nil && limited.Err() == nil {
		return unlock, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	locked, ok := errors.AsType[*LockError](err)
	if !ok {
		locked = &LockError{Path: name, Busy: true, Err: err}
	}
	locked.after = s.changeTime()
	return nil, locked
}

// A keptLock has outlasted whoever took it.
type keptLock struct{ unlock func() }

// unlock gives the lock between processes back, but not before everything is
// over that may still write: a call of the store that was given up could
// overwrite what the next process saves. Until then the lock is kept, for
// whoever is next here.
func (s *Source) unlock(unlock func()) {
	store, ok := s.store().(interface{ Settled() <-chan struct{} })
	if !ok {
		unlock()
		return
	}
	settled := store.Settled()
	select {
	case <-settled:
		unlock()
		return
	default:
	}
	kept := &keptLock{unlock}
	s.mu.Lock()
	s.kept = kept
	s.mu.Unlock()
	go func() {
		<-settled
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.kept == kept {
			s.kept = nil
			unlock()
		}
	}()
}

// takePerson waits until nobody else has the person sign in to this login. The
// login itself can be used and changed all the while. The caller gives it back
// with done.
func (s *Source) takePerson(ctx context.Context) (done func(), err error) {
	defer s.waiting(true)()
	if err := s.signing.take(ctx); err != nil {
		return nil, err
	}
	unlock, err := s.locks().Lock(ctx, s.key()+".login")
	if err != nil {
		s.signing.pass()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return func() {
		unlock()
		s.signing.pass()
	}, nil
}

// waiting calls Waiting once for a wait that takes longer than a second, and Waited at
// its end. The caller ends the wait with done.
func (s *Source) waiting(login bool) (done func()) {
	tell := s.telling(login)
	began := time.Now()
	return func() {
		tell()
		if s.Waited != nil {
			s.Waited(login, time.Since(began))
		}
	}
}

// telling calls Waiting, if it is not ended before.
func (s *Source) telling(login bool) (end func()) {
	if s.Waiting == nil {
		return func() {}
	}
	told := make(chan struct{})
	timer := time.AfterFunc(waitingAfter, func() {
		defer close(told)
		s.Waiting(login)
	})
	return func() {
		if !timer.Stop() {
			<-told // it does not go on after the call
		}
	}
}
