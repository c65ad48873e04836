// Command notes is a program as anybody may write one: it reads notes from an API, as the person in front of it. Its module is not that
// of oauth-login, so that it can use no more than others can.
//
//	notes get URL         print what is there; signs in where nothing else helps
//	notes whoami          print who is signed in; asks nobody
//	notes start           print the URL to sign in at, and end
//	notes complete URL    finish that, with the address that the browser has ended up at
//	notes logout          end the login, here and at the provider
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	n := &notes{out: os.Stdout, say: os.Stderr}
	flags := flag.NewFlagSet("notes", flag.ExitOnError)
	issuer := flags.String("issuer", "https://issuer.example", "the provider")
	here := flags.Bool("here", false, "the provider is on this machine, and needs no TLS")
	flags.StringVar(&n.pending, "pending", "notes.pending", "the `file` of a login that was started")
	flags.Parse(os.Args[1:]) // ends the program where it fails
	n.use(&grant.Client{Issuer: *issuer, ClientID: "native", Scopes: []string{"openid"}, AllowInsecureRequests: *here}, nil)
	if err := n.run(ctx, flags.Arg(0), flags.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(1)
	}
}

// notes is the program. Its fields are what a test replaces.
type notes struct {
	out, say io.Writer // for data, for people
	pending  string    // a file
	open     func(ctx context.Context, url string) error
	client   *grant.Client
	source   *store.Source
}

// use makes a client and a store, nil for the keychain, those of the program.
func (n *notes) use(client *grant.Client, in store.Store) {
	n.client, n.source = client, &store.Source{Client: client, Store: in, Login: n.login}
}

func (n *notes) run(ctx context.Context, verb, argument string) error {
	defer n.client.CloseIdleConnections()
	switch verb {
	case "get":
		return n.get(ctx, argument)
	case "whoami":
		return n.whoami(ctx)
	case "start":
		return n.start(ctx)
	case "complete":
		return n.complete(ctx, argument)
	case "logout":
		return n.logout(ctx)
	}
	return errors.New("say what to do: get, whoami, start, complete or logout")
}

// login is called where there is no token, and where the API wants another login than there was.
func (n *notes) login(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
	if demand := grant.StepUpOf(ctx); demand != nil {
		fmt.Fprintf(n.say, "The notes are for those who sign in with the scopes %q.\n", demand.Scopes)
	}
	return loopback.Login(ctx, n.client, &loopback.Options{Save: save, Open: n.open, NoBrowser: n.open == nil, Notify: func(e loopback.Event) {
		if e.Kind == loopback.AuthorizationURL {
			fmt.Fprintf(n.say, "Open this page to sign in:\n%s\n", e.URL)
		}
	}})
}

func (n *notes) get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := n.source.HTTPClient().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New("the notes cannot be read: " + resp.Status)
	}
	_, err = io.Copy(n.out, resp.Body)
	return err
}

func (n *notes) whoami(ctx context.Context) error {
	record, err := n.source.Load(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return errors.New("nobody is signed in")
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(n.out, record.Token.IDToken.Subject)
	return nil
}

func (n *notes) start(ctx context.Context) error {
	flow, err := n.client.Authorize(ctx, "http://127.0.0.1/callback")
	if err != nil {
		return err
	}
	pending, err := flow.MarshalBinary()
	if err != nil {
		return err
	}
	if err := os.WriteFile(n.pending, pending, 0o600); err != nil {
		return err
	}
	fmt.Fprintln(n.out, flow.URL)
	return nil
}

func (n *notes) complete(ctx context.Context, redirectURL string) error {
	pending, err := os.ReadFile(n.pending)
	if err != nil {
		return err
	}
	flow, err := n.client.Resume(ctx, pending)
	if err != nil {
		return err
	}
	token, err := flow.Complete(ctx, redirectURL)
	if errors.Is(err, grant.ErrNotOurs) {
		return err // the right address may still come
	}
	if err := errors.Join(err, os.Remove(n.pending)); err != nil {
		return err
	}
	return n.source.Save(ctx, token)
}

func (n *notes) logout(ctx context.Context) error {
	return n.source.SignOut(ctx, func(ctx context.Context, record *store.Record) error {
		return n.client.Revoke(ctx, record.Token.RefreshToken, "refresh_token")
	})
}
