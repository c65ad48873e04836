package store

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"
)

// A call is one use of the keychain under way: any number of steps, in a goroutine
// of their own, and before the first that needs it a look whether there is one. Keychain.mu guards it.
type call struct {
	outcome chan outcome  // has room for one, so that nobody need listen
	asking  chan struct{} // closed when the person may be asked for a password
	step    time.Time     // when the step under way began
	ended   bool
	givenUp bool          // no step may begin any more
	stuck   bool          // counted in Keychain.stuck
	writing chan struct{} // closed at the end of the write under way, nil for none
}

type outcome struct {
	record []byte
	err    error
}

// call uses the keychain after any other call. It waits for the end of that and
// of its own steps, for the end of ctx, or for the time that one step may take,
// whichever comes first. The look at the beginning counts as part of the first.
func (k *Keychain) call(ctx context.Context, do func(*steps) ([]byte, error)) ([]byte, error) {
	if err := k.blocked(ctx); err != nil {
		return nil, err
	}
	limit := cmp.Or(k.Timeout, defaultTimeout)
	over := time.NewTimer(limit)
	defer over.Stop()
	turn := k.line()
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-over.C:
		return nil, timedOut(k.Name(), limit)
	}
	c := k.start(ctx, turn, do)
	asking := c.asking
	var waiting <-chan time.Time
	for {
		select {
		case o := <-c.outcome:
			return o.record, o.err
		case <-asking:
			asking = nil
			if longer := cmp.Or(k.PromptTimeout, defaultPromptTimeout); longer > limit {
				limit, waiting = longer, time.After(waitingAfter)
				over.Reset(k.left(c, limit))
			}
		case <-waiting:
			if k.Waiting != nil {
				k.Waiting(k.Name())
			}
		case <-ctx.Done():
			k.giveUp(c, false)
			return nil, ctx.Err()
		case <-over.C:
			if left := k.left(c, limit); left > 0 {
				over.Reset(left) // for a step that began meanwhile
				continue
			}
			k.giveUp(c, true)
			return nil, timedOut(k.Name(), limit)
		}
	}
}

// left is how much of its time the step under way has left.
func (k *Keychain) left(c *call, limit time.Duration) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Until(c.step.Add(limit))
}

// blocked returns an error if a call cannot be made now.
func (k *Keychain) blocked(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stuck > 0 && ctx.Err() == nil {
		return k.unavailable(TimedOut, errors.New("an earlier call has not come back"))
	}
	return ctx.Err()
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

// start makes the call in a goroutine, as go-keyring cannot be stopped: it waits
// for ever for a daemon that is stopped, for one that dies while it asks for a
// password, and for a prompt that nobody answers. Its caller has the turn.
func (k *Keychain) start(ctx context.Context, turn <-chan struct{}, do func(*steps) ([]byte, error)) *call {
	c := &call{outcome: make(chan outcome, 1), asking: make(chan struct{}), step: time.Now()}
	go func() {
		var o outcome
		o.record, o.err = do(k.steps(ctx, c))
		k.end(c)
		<-turn
		c.outcome <- o
	}()
	return c
}

// ready finds out whether there is a keychain. go-keyring must not be called
// before: without a session bus it starts stray daemons, and with a dead one it
// never returns.
func (k *Keychain) ready(ctx context.Context, c *call) error {
	probe := k.probe
	if probe == nil {
		probe = probePlatform
	}
	prompts, err := probe(ctx)
	if prompts {
		close(c.asking)
	}
	return err
}

func (k *Keychain) steps(ctx context.Context, c *call) *steps {
	r := k.ring
	if r == nil {
		r = osRing{}
	}
	return &steps{ring: r, keychain: k, call: c, ready: sync.OnceValue(func() error { return k.ready(ctx, c) })}
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
