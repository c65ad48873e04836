package store

import (
	"context"
	"errors"

	"github.com/oauth-login/oauth-login/grant"
)

// A flight is one run of a function that any number of callers wait for.
type flight struct {
	done    chan struct{} // closed when token and err are set
	token   *grant.Token
	err     error
	cancel  context.CancelFunc
	waiting int // callers, guarded by Source.mu
}

var errGone = errors.New("the login function ended its goroutine")

// share waits for the flight in slot, which it starts with do if there is none.
// The context of do ends when the last caller has left.
func (s *Source) share(ctx context.Context, slot **flight, do func(context.Context) (*grant.Token, error)) (*grant.Token, error) {
	f := s.board(ctx, slot, do)
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		s.land(slot, f) // whoever comes now must not get its error
	}
	return nil, ctx.Err()
}

func (s *Source) board(ctx context.Context, slot **flight, do func(context.Context) (*grant.Token, error)) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *slot != nil {
		(*slot).waiting++
		return *slot
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), cancel: cancel, waiting: 1, err: errGone}
	*slot = f
	go func() {
		defer func() { // also when do ends the goroutine and returns nothing
			cancel()
			s.mu.Lock()
			s.land(slot, f)
			s.mu.Unlock()
			close(f.done)
		}()
		f.token, f.err = do(ctx)
	}()
	return f
}

// land empties the slot of a flight. The caller holds Source.mu.
func (s *Source) land(slot **flight, f *flight) {
	if *slot == f {
		*slot = nil
	}
}

// A slot has a name, and is there as long as somebody wants the flight in it.
type slot struct {
	flight *flight
	users  int
}

// shareFor waits for the flight of a name, as share does. An API can think of any
// number of names, so a slot that nobody is in is forgotten.
func (s *Source) shareFor(ctx context.Context, name string, do func(context.Context) (*grant.Token, error)) (*grant.Token, error) {
	s.mu.Lock()
	if s.named == nil {
		s.named = map[string]*slot{}
	}
	own := s.named[name]
	if own == nil {
		own = new(slot)
		s.named[name] = own
	}
	own.users++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(s.named, name)
		}
	}()
	return s.share(ctx, &own.flight, do)
}

// Settle waits until nothing is under way in this Source that its callers have
// left: a refresh that was sent, until it is saved, or a login that is being saved.
// Call it before the process ends, when the context of Token or SignIn has ended.
// Its error is that of ctx.
func (s *Source) Settle(ctx context.Context) error {
	for _, turn := range []*turn{&s.signing, &s.changing} {
		if err := turn.take(ctx); err != nil {
			return err
		}
		turn.pass()
	}
	return nil
}
