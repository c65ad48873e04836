package grant

import (
	"context"
	"sync"
)

// A turn is a lock that can be held while the network is slow: who waits for
// it stops waiting when the context ends. The zero value is ready for use.
type turn struct {
	once sync.Once
	held chan struct{} // full while somebody has the turn
}

// take waits for the turn. It returns the context's error when that ends first.
func (t *turn) take(ctx context.Context) error {
	if ctx == nil {
		return argumentError("the context is nil")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t.once.Do(func() { t.held = make(chan struct{}, 1) })
	select {
	case t.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) pass() { <-t.held }
