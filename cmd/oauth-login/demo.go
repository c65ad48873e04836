package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// demo signs in to a provider that runs in this process. Everything else is
// real: the browser, the redirect, the checks, the keychain.
func (p *program) demo(ctx context.Context, o *options) error {
	provider, err := issuer.Start(&issuer.Options{Clients: []issuer.Client{{ID: "oauth-login-demo", Name: "The oauth-login demo"}}})
	if err != nil {
		return err
	}
	defer provider.Close()
	locks, err := os.MkdirTemp("", "oauth-login-demo") // nobody else knows this provider
	if err != nil {
		return err
	}
	defer os.RemoveAll(locks)
	d := &demonstration{program: p, options: o, provider: provider}
	d.step("A provider of its own is running at %s", provider.URL())
	d.chooseStore(ctx)
	d.client = &grant.Client{
		Issuer: provider.URL(), ClientID: "oauth-login-demo", AllowInsecureRequests: true,
		Scopes: []string{"openid", "profile", "email", "offline_access"},
	}
	if o.trace != "" || o.verbose {
		d.client.HTTPClient = &http.Client{Transport: p.watched(o, http.DefaultTransport.(*http.Transport).Clone(), false), Timeout: 30 * time.Second}
	}
	d.source = &store.Source{Client: d.client, Login: d.signIn, Store: d.store, Profile: "demo", LockDir: locks}
	if err := errors.Join(d.play(ctx), d.cleanUp(ctx)); err != nil {
		return err
	}
	own := "oauth-login --issuer https://issuer.example --client-id ID"
	if d.store != d.keychain {
		own += " --store " + encryptedStore // or else it would be refused
	}
	d.say("\nThat was everything. With a provider of yours:\n\n  %s", own)
	if o.output == outputJSON {
		return p.printJSON(map[string]string{"issuer": provider.URL(), "store": d.where(), "state": "removed"})
	}
	return nil
}

// A demonstration is one run of the demo.
type demonstration struct {
	*program
	options  *options
	provider *issuer.Issuer
	client   *grant.Client
	source   *store.Source
	store    store.Store
	steps    int
	redirect time.Time // when the answer of the provider arrived
	saved    time.Time // when the tokens were in the store
}

func (d *demonstration) step(format string, args ...any) {
	d.steps++
	d.say("%d. "+format, append([]any{d.steps}, args...)...)
}

// more is a line that belongs to the last step.
func (d *demonstration) more(format string, args ...any) { d.say("   "+format, args...) }

// chooseStore takes the keychain, and memory only where there is none. The
// real commands never make that choice by themselves.
func (d *demonstration) chooseStore(ctx context.Context) {
	d.store = d.keychain
	prober, ok := d.keychain.(interface{ Probe(context.Context) error })
	if !ok {
		return
	}
	if err := prober.Probe(ctx); err != nil && ctx.Err() == nil {
		d.store = &store.Memory{}
		d.step("There is no keychain to use here, so the tokens stay in memory")
		d.more("(%v)", err)
		return
	}
	d.step("The %s answers", d.storeName(store.Place{}))
}

func (d *demonstration) where() string {
	if d.store == d.keychain {
		return "the " + d.storeName(store.Place{})
	}
	return "memory"
}

func (d *demonstration) play(ctx context.Context) error {
	token, err := d.source.SignIn(ctx)
	if err != nil {
		return err
	}
	d.step("Signed in%s; state, iss, PKCE, nonce and the signature of the ID token are checked", who(token))
	d.more("From the answer of the provider to tokens in %s: %s", d.where(), d.saved.Sub(d.redirect).Round(time.Millisecond))

	if token, err = d.source.Token(ctx); err != nil {
		return err
	}
	d.step("The access token comes out of %s, without the network, as with 'oauth-login token'", d.where())
	first := token.AccessToken

	if token, err = d.source.Refresh(ctx); err != nil {
		return err
	}
	if token.AccessToken == first {
		return errors.New("the provider gave the same access token again")
	}
	d.step("An expired token is refreshed without the person; the rotated refresh token is saved first")

	if err := d.client.Revoke(ctx, token.RefreshToken, "refresh_token"); err != nil {
		return err
	}
	d.step("Signed out: the refresh token is revoked at the provider")
	return nil
}

// signIn is the login of the demo's source.
func (d *demonstration) signIn(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	visit := make(chan error, 1)
	visiting := false
	playBrowser := func(url string) {
		visiting = true
		go func() { visit <- d.visit(ctx, url) }()
	}
	opts := &loopback.Options{
		Browser: d.options.browser, NoBrowser: !d.opensBrowser(d.options), Timeout: d.options.timeout,
		Save: func(ctx context.Context, token *grant.Token) error {
			err := save(ctx, token)
			d.saved = time.Now()
			return err
		},
		Notify: func(e loopback.Event) {
			d.trace.login(e)
			switch {
			case e.Kind == loopback.AuthorizationURL:
				d.announce(e.URL)
				if !d.opensBrowser(d.options) {
					d.more("There is no browser to open here, so the demo plays its part: it signs in as \"ada\" and allows the access")
					playBrowser(e.URL)
				}
			case e.Kind == loopback.BrowserFailed && !visiting:
				d.more("The browser could not be opened (%v), so the demo plays its part", e.Err)
				playBrowser(e.URL)
			case e.Kind == loopback.Received:
				d.redirect = time.Now()
			}
		},
	}
	token, err := loopback.Login(ctx, d.client, opts)
	cancel()
	if visiting {
		if visitError := <-visit; err == nil && visitError != nil && !errors.Is(visitError, context.Canceled) {
			return nil, visitError
		}
	}
	return token, err
}

func (d *demonstration) announce(url string) {
	d.step("Sign in on this page, with any name and any password:\n\n%s\n", url)
}

// visit is the browser, where there is none.
func (d *demonstration) visit(ctx context.Context, url string) error {
	_, err := new(issuer.Visitor).Visit(ctx, url)
	return err
}

// cleanUp leaves nothing behind, also when the demo was interrupted: then it has
// graceTime, and the person is told what is left.
func (d *demonstration) cleanUp(ctx context.Context) error {
	graced, release := grace(ctx)
	defer release()
	graced, cancel := context.WithTimeout(graced, cleanUpTime)
	defer cancel()
	err := d.source.Delete(graced)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		d.step("Removed what the demo has stored in %s", d.where())
	} else if ctx.Err() != nil {
		d.warning("what the demo has stored is still in %s: %v", d.where(), err)
		d.hint("remove it: oauth-login logout --issuer " + d.client.Issuer + " --client-id " + d.client.ClientID + " --profile " + d.source.Profile)
	}
	return err
}

const cleanUpTime = 5 * time.Second
