package store

import (
	"context"
	"time"
)

// A call is one use of the keychain under way: any number of steps in a
// goroutine of their own. Keychain.mu guards it.
type call struct {
	outcome  chan outcome  // has room for one, so that nobody need listen
	progress chan struct{} // has room for one: a step has ended
	ended    bool
	givenUp  bool          // no step may begin any more
	stuck    bool          // counted in Keychain.stuck
	writing  chan struct{} // closed at the end of the write under way, nil for none
}

type outcome struct {
	record []byte
	err    error
}

// call uses the keychain after any other call. It waits for the end of that and
// of its own steps, for the end of ctx, or for the time that one step may take,
// whichever comes first.
func (k *Keychain) call(ctx context.Context, do func(*steps) ([]byte, error)) ([]byte, error) {
	began := time.Now()
	limit, err := k.ready(ctx)
	if err != nil {
		return nil, err
	}
	over := time.NewTimer(limit - time.Since(began)) // the first step pays for the probe
	defer over.Stop()
	turn := k.line()
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-over.C:
		return nil, timedOut(k.Name(), limit)
	}
	c := k.start(turn, do)
	waiting := time.NewTimer(waitingAfter)
	defer waiting.Stop()
	for {
		select {
		case o := <-c.outcome:
			return o.record, o.err
		case <-c.progress:
			over.Reset(limit)
		case <-waiting.C:
			if k.Waiting != nil {
				k.Waiting(k.Name())
			}
		case <-ctx.Done():
			k.giveUp(c, false)
			return nil, ctx.Err()
		case <-over.C:
			k.giveUp(c, true)
			return nil, timedOut(k.Name(), limit)
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

// start takes the steps in a goroutine, as go-keyring cannot be stopped: it waits
// for ever for a daemon that is stopped, for one that dies while it asks for a
// password, and for a prompt that nobody answers. Its caller has the turn.
func (k *Keychain) start(turn <-chan struct{}, do func(*steps) ([]byte, error)) *call {
	r := k.ring
	if r == nil {
		r = osRing{}
	}
	c := &call{outcome: make(chan outcome, 1), progress: make(chan struct{}, 1)}
	go func() {
		var o outcome
		o.record, o.err = do(&steps{ring: r, keychain: k, call: c})
		k.end(c)
		<-turn
		c.outcome <- o
	}()
	return c
}

func (k *Keychain) end(c *call) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.ended = true
	if c.stuck {
		k.stuck--
	}
}

// giveUp lets no further step of the call begin. With stuck, further calls fail
// at once until this one has come back.
func (k *Keychain) giveUp(c *call, stuck bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.ended {
		return
	}
	c.givenUp = true
	k.unsettled = c.writing
	if stuck {
		c.stuck = true
		k.stuck++
	}
}

// Settled returns a channel that is closed as soon as no write is under way that
// its caller has given up. Whoever keeps others from writing, by a lock that other
// processes respect, does so until then: the write may still take effect, over
// what was written after it. There is at most one, and none begins any more.
func (k *Keychain) Settled() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unsettled != nil {
		return k.unsettled
	}
	settled := make(chan struct{})
	close(settled)
	return settled
}
