package store

import (
	"context"
	"fmt"
	"time"
)

// attempts is how often a call is made that only failed because another process
// was at the same item.
const attempts = 3

// A call is one use of go-keyring under way. Keychain.mu guards it.
type call struct {
	outcome chan outcome // has room for one, so that nobody need listen
	ended   bool
	givenUp bool
}

type outcome struct {
	secret string
	err    error
}

// call uses go-keyring after any other call, and waits for the end of that, for
// the end of ctx or for the time that a call may take, whichever comes first.
func (k *Keychain) call(ctx context.Context, do func(ring) (string, error)) (string, error) {
	limit, err := k.ready(ctx)
	if err != nil {
		return "", err
	}
	over := time.NewTimer(limit)
	defer over.Stop()
	turn := k.line()
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	case <-over.C:
		return "", timedOut(k.Name(), limit)
	}
	c := k.start(turn, do)
	waiting := time.NewTimer(waitingAfter)
	defer waiting.Stop()
	for {
		select {
		case o := <-c.outcome:
			return o.secret, k.classify(o.err)
		case <-waiting.C:
			if k.Waiting != nil {
				k.Waiting(k.Name())
			}
		case <-ctx.Done():
			return "", ctx.Err()
		case <-over.C:
			k.giveUp(c)
			return "", timedOut(k.Name(), limit)
		}
	}
}

// line returns the channel that holds one element while a call is under way.
func (k *Keychain) line() chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.turn == nil {
		k.turn = make(chan struct{}, 1)
	}
	return k.turn
}

// start uses go-keyring in a goroutine, as it cannot be stopped: it waits for
// ever for a daemon that is stopped, for one that dies while it asks for a
// password, and for a prompt that nobody answers. Its caller has the turn.
func (k *Keychain) start(turn <-chan struct{}, do func(ring) (string, error)) *call {
	r := k.ring
	if r == nil {
		r = osRing{}
	}
	c := &call{outcome: make(chan outcome, 1)}
	go func() {
		var o outcome
		for range attempts {
			if o = try(r, do); !k.transient(o.err) {
				break
			}
		}
		k.end(c)
		<-turn
		c.outcome <- o
	}()
	return c
}

// try makes a panic an error: go-keyring does not expect the bus to end while it
// waits for a prompt.
func try(r ring, do func(ring) (string, error)) (o outcome) {
	defer func() {
		if p := recover(); p != nil {
			o = outcome{err: fmt.Errorf("go-keyring has panicked: %v", p)}
		}
	}()
	o.secret, o.err = do(r)
	return o
}

func (k *Keychain) end(c *call) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.ended = true
	if c.givenUp {
		k.stuck--
	}
}

// giveUp makes further calls fail at once until this one has come back.
func (k *Keychain) giveUp(c *call) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !c.ended {
		c.givenUp = true
		k.stuck++
	}
}
