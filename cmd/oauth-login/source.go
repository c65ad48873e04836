package main

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// A source is a store.Source in a process that the person may interrupt.
type source struct {
	*store.Source
	signedIn atomic.Pointer[grant.Token] // saved, and on the list of logins
}

// source joins a client, the store and the browser.
func (p *program) source(o *options, client *grant.Client, profile store.Profile) (*source, error) {
	o.adopt(presetOf(profile.Provider), o.given)
	receiver, err := o.loopback()
	if err != nil {
		return nil, err
	}
	receiver.NoBrowser = !p.opensBrowser(o)
	receiver.Paste = p.paste(o, client)
	if p.trace != nil {
		receiver.Trace = p.trace.redirect
	}
	where, err := p.storeOf(profile)
	if err != nil {
		return nil, err
	}
	s := &source{Source: &store.Source{
		Client: client, Store: where, Profile: profile.Name, MinTTL: o.minTTL, LockDir: o.lockDir, Waiting: p.othersAreSlow, Waited: p.othersWereSlow(o),
		Damaged: p.wasDamaged(profile.Place),
	}}
	s.Login = func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
		receiver.Notify = p.notifier(ctx, o, client)
		receiver.Save = func(ctx context.Context, token *grant.Token) error {
			p.emit(event{Event: "exchanged"})
			if err := o.checkUser(token); err != nil {
				forget(ctx, client, token)
				return err
			}
			began := time.Now()
			if err := p.enlist(ctx, o, profile, func() error { return save(ctx, token) }); err != nil {
				if errors.Is(err, errNameTaken) {
					forget(ctx, client, token)
				}
				return err
			}
			s.signedIn.Store(token)
			if profile.Place.Store != noStore {
				p.detail(o, "saved in the %s in %s", p.storeName(profile.Place), milliseconds(time.Since(began)))
				p.emit(event{Event: "stored", Store: p.storeName(profile.Place)})
			}
			return nil
		}
		if o.device {
			return p.deviceLogin(ctx, o, client, receiver.Save)
		}
		token, err := loopback.Login(ctx, client, receiver)
		return token, o.explainPorts(err)
	}
	return s, nil
}

// enlist saves a login and puts it on the list. What is not stored is not listed.
func (p *program) enlist(ctx context.Context, o *options, profile store.Profile, save func() error) error {
	if profile.Place.Store == noStore {
		return save()
	}
	return p.profiles.Enlist(context.WithoutCancel(ctx), profile, func() error {
		if err := p.checkName(o, profile); err != nil { // another may have taken it while the person signed in
			return err
		}
		return save()
	})
}

// Token is that of store.Source.
func (s *source) Token(ctx context.Context) (*grant.Token, error) {
	return s.settled(ctx, s.Source.Token)
}

// SignIn is that of store.Source.
func (s *source) SignIn(ctx context.Context) (*grant.Token, error) {
	return s.settled(ctx, s.Source.SignIn)
}

// Refresh is that of store.Source.
func (s *source) Refresh(ctx context.Context) (*grant.Token, error) {
	return s.settled(ctx, s.Source.Refresh)
}

// Renew is that of store.Source.
func (s *source) Renew(ctx context.Context, refused *grant.Token) (*grant.Token, error) {
	return s.settled(ctx, func(ctx context.Context) (*grant.Token, error) { return s.Source.Renew(ctx, refused) })
}

// settled sees to it that Ctrl-C loses nothing: a refresh that was sent is saved
// before the process ends, and a sign-in that was saved has succeeded, although
// the browser may not have its page yet.
func (s *source) settled(ctx context.Context, call func(context.Context) (*grant.Token, error)) (*grant.Token, error) {
	token, err := call(ctx)
	if errors.Is(err, errOtherUser) { // to speak of saving would mislead
		other, _ := errors.AsType[*commandError](err)
		return nil, other
	}
	if ctx.Err() == nil {
		return token, err
	}
	settling, cancel := grace(ctx)
	defer cancel()
	_ = s.Settle(settling) // what takes longer is given up
	if token := s.signedIn.Load(); token != nil {
		return token, nil
	}
	return token, err
}

// graceTime is what an interrupted command takes at most to leave things as they
// should be. The rest of a second is for everything else that it has to do.
const graceTime = 800 * time.Millisecond

// grace returns a context that ends graceTime after ctx has ended.
func grace(ctx context.Context) (context.Context, context.CancelFunc) {
	graced, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		over := time.NewTimer(graceTime)
		defer over.Stop()
		select {
		case <-over.C:
			cancel()
		case <-graced.Done():
		}
	})
	return graced, func() {
		stop()
		cancel()
	}
}

// storedSource uses a login as it was made. It asks the person only with
// --interactive.
func (p *program) storedSource(ctx context.Context, o *options, profile store.Profile, record *store.Record) (*source, error) {
	client, err := p.storedClient(ctx, o, profile, record)
	if err != nil {
		return nil, err
	}
	source, err := p.source(o, client, profile)
	if err != nil {
		return nil, err
	}
	if !o.interactive {
		source.Login = nil
	}
	return source, nil
}

// storedClient is the client of a login, reached as the flags say.
func (p *program) storedClient(ctx context.Context, o *options, profile store.Profile, record *store.Record) (*grant.Client, error) {
	client := record.Client()
	o.protect(client)
	client.TokenEndpointAuthMethod = cmp.Or(o.clientAuth, client.TokenEndpointAuthMethod)
	return client, p.reach(ctx, o, client, o.withFiles(profile))
}
