package loopback

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/oauth-login/oauth-login/grant"
)

// A browser on another machine cannot reach the receiver. It ends up at the
// redirect URI all the same, and shows the redirect in its address bar: from
// there, the person can bring it.

// pasting has Options.Paste read what the person pastes until stop is called,
// which waits for it to return.
func (r *Receiver) pasting(ctx context.Context, a *attempt) (stop func()) {
	if r.opts.Paste == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.opts.Paste(ctx, func(address string) error { return r.take(a, address) })
	}()
	return func() {
		cancel()
		<-ended
	}
}

// take is what serveCallback and serveUnposted are for a request: nothing passes
// here that would not pass there. Its errors do not quote the address, which may
// hold a code.
func (r *Receiver) take(a *attempt, address string) error {
	params, err := r.pasted(strings.TrimSpace(address))
	if err != nil {
		return err
	}
	if !a.ours(params) {
		return errors.New("that is not the answer to this login; it may belong to another one, or be incomplete")
	}
	got := redirection{params: params}
	if r.opts.FormPost {
		got.refusal = unposted()
	}
	if !a.settle(got) {
		return errors.New("this login has its answer already, or is over")
	}
	return nil
}

// pasted returns the parameters in the address of a redirect.
func (r *Receiver) pasted(address string) (url.Values, error) {
	if address == "" {
		return nil, fmt.Errorf("nothing was pasted; paste %s", r.wanted())
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("that is no address, and a code alone cannot be checked; paste %s", r.wanted())
	}
	if !r.redirect.matches(u) {
		return nil, fmt.Errorf("that is the address of another page; paste %s", r.wanted())
	}
	if len(u.RawQuery) > maxQuery {
		return nil, errors.New("that address is too long to be the answer")
	}
	params, err := grant.ParseAuthResponse(u.RawQuery)
	if err != nil {
		return nil, errors.New("that address is damaged; copy it again")
	}
	return params, nil
}

// wanted describes the address to paste.
func (r *Receiver) wanted() string {
	return "the whole address that the browser ends up at, which starts with " + r.redirect.uri
}
