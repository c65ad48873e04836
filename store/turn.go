package store

import (
	"context"
	"sync"
)

// A turn is had by one goroutine at a time. Who waits for it stops waiting when
// the context ends. The zero value is ready for use.
type turn struct {
	once sync.Once
	held chan struct{} // full while somebody has the turn
}

// take waits for the turn. Whose context has ended does not get it, free or not: the
// caller may have gone.
func (t *turn) take(ctx context.Context) error {
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
