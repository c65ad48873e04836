package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"golang.org/x/oauth2"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// A program that calls an API as the person in front of it. The first run opens
// the browser; later ones find the login in the keychain.
func Example() {
	client := &grant.Client{Issuer: "https://issuer.example", ClientID: "my-cli", Scopes: []string{"openid", "offline_access"}}
	source := &store.Source{
		Client: client,
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save})
		},
	}
	resp, err := source.HTTPClient().Get("https://api.example/me")
	show(resp, err)
}

// The same in a test: the provider, its API, the browser and the person are those of
// issuertest, and nothing gets into a keychain.
func Example_inATest() {
	iss := start(nil)
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true}
	source := &store.Source{
		Client: client,
		Store:  new(store.Memory),
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
		},
	}
	resp, err := source.HTTPClient().Get(iss.API(issuertest.Demand{}))
	show(resp, err)
	// Output: {"user":"ada"}
}

// Code that is written for golang.org/x/oauth2 gets its tokens here. They are valid,
// and refreshed in time; the refresh token stays in the store.
func ExampleSource_TokenSource() {
	client := &grant.Client{Issuer: "https://issuer.example", ClientID: "my-cli", Scopes: []string{"openid", "offline_access"}}
	source := &store.Source{
		Client: client,
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save})
		},
	}
	ctx := context.Background()
	resp, err := oauth2.NewClient(ctx, source.TokenSource(ctx)).Get("https://api.example/me")
	show(resp, err)
}

func ExampleSource_TokenSource_inATest() {
	iss := start(nil)
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true}
	source := &store.Source{
		Client: client,
		Store:  new(store.Memory),
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
		},
	}
	ctx := context.Background()
	resp, err := oauth2.NewClient(ctx, source.TokenSource(ctx)).Get(iss.API(issuertest.Demand{}))
	show(resp, err)
	// Output: {"user":"ada"}
}

// Never ask the person, as in a service or a prompt of the shell: use the login that
// is there, refresh it if need be, and say so if there is none.
func ExampleSource_Token() {
	client := &grant.Client{Issuer: "https://issuer.example", ClientID: "my-cli"}
	source := &store.Source{Client: client} // without Login
	_, err := source.Token(context.Background())
	if errors.Is(err, store.ErrLoginRequired) {
		fmt.Println("sign in first: my-cli login")
	}
}

func ExampleSource_Token_inATest() {
	iss := start(nil)
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, AllowInsecureRequests: true}
	source := &store.Source{Client: client, Store: new(store.Memory)} // without Login
	_, err := source.Token(context.Background())
	if errors.Is(err, store.ErrLoginRequired) {
		fmt.Println("sign in first: my-cli login")
	}
	// Output: sign in first: my-cli login
}

// Tokens that are bound to a key are of no use to whoever steals them (RFC 9449).
// Every request has a proof of the key, and is sent again where the API wants its
// nonce in the proof.
func ExampleSource_HTTPClient() {
	client := &grant.Client{Issuer: "https://issuer.example", ClientID: "my-cli", Scopes: []string{"openid", "offline_access"}, DPoPBoundAccessTokens: true}
	source := &store.Source{
		Client: client,
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save})
		},
	}
	resp, err := source.HTTPClient().Get("https://api.example/me")
	show(resp, err)
}

// The provider and its API insist on proofs, with nonces: the API is asked twice.
func ExampleSource_HTTPClient_inATest() {
	iss := start(&issuertest.Options{RequireDPoP: true, DPoPNonce: true})
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid", "offline_access"}, DPoPBoundAccessTokens: true, AllowInsecureRequests: true}
	source := &store.Source{
		Client: client,
		Store:  new(store.Memory),
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
		},
	}
	resp, err := source.HTTPClient().Get(iss.API(issuertest.Demand{DPoP: true}))
	show(resp, err)
	fmt.Println(iss.Requests("api"), "requests to the API")
	// Output:
	// {"user":"ada"}
	// 2 requests to the API
}

// start starts a provider for an example.
func start(opts *issuertest.Options) *issuertest.Issuer {
	iss, err := issuertest.Start(opts)
	if err != nil {
		panic(err)
	}
	return iss
}

// show prints the answer of an API.
func show(resp *http.Response, err error) {
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	io.Copy(os.Stdout, resp.Body)
}

// An API may want more of a login than the token comes of: another scope, a second
// factor, a person who is there. Login is called for that too, and finds out what is
// wanted and why; the request is sent again with the token that comes of it.
func ExampleSource_HTTPClient_stepUp() {
	iss := start(&issuertest.Options{ACRValues: []string{"phishing-resistant"}})
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true}
	source := &store.Source{Client: client, Store: new(store.Memory)}
	source.Login = func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
		if demand := grant.StepUpOf(ctx); demand != nil {
			fmt.Println("the API wants you to sign in again:", demand.ACRValues)
		}
		return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
	}
	resp, err := source.HTTPClient().Get(iss.API(issuertest.Demand{ACRValues: []string{"phishing-resistant"}}))
	show(resp, err)
	// Output:
	// the API wants you to sign in again: phishing-resistant
	// {"user":"ada"}
}

// The provider ends the login, and then it is deleted, also where the provider could not
// be told.
func ExampleSource_SignOut() {
	say := os.Stdout
	iss := start(nil)
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true}
	source := &store.Source{
		Client: client,
		Store:  new(store.Memory),
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
		},
	}
	ctx := context.Background()
	if _, err := source.SignIn(ctx); err != nil {
		fmt.Println(err)
		return
	}
	err := source.SignOut(ctx, func(ctx context.Context, login *store.Record) error {
		if err := client.Revoke(ctx, cmp.Or(login.Token.RefreshToken, login.Token.AccessToken), ""); err != nil {
			fmt.Fprintln(say, "The tokens stay valid until they expire:", err)
		}
		return ctx.Err() // nil: forget them all the same
	})
	_, missing := source.Load(ctx)
	fmt.Println(err, iss.Requests("revoke"), errors.Is(missing, store.ErrNotFound))
	// Output: <nil> 1 true
}

// A login in two processes, of which neither waits for the person. The first makes
// the URL to sign in at and keeps what the second one needs: as safely as the tokens
// themselves.
func ExampleSource_Save() {
	iss := start(&issuertest.Options{RedirectURIs: []string{"com.example.my-cli:/signed-in"}})
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true}
	source := &store.Source{Client: client, Store: new(store.Memory)}

	begin := func(ctx context.Context) (address string, pending []byte, err error) {
		flow, err := client.Authorize(ctx, "com.example.my-cli:/signed-in")
		if err != nil {
			return "", nil, err
		}
		pending, err = flow.MarshalBinary()
		return flow.URL, pending, err
	}
	complete := func(ctx context.Context, pending []byte, redirectURL string) error {
		flow, err := client.Resume(ctx, pending)
		if err != nil {
			return err
		}
		token, err := flow.Complete(ctx, redirectURL)
		if err != nil {
			return err
		}
		return source.Save(ctx, token)
	}

	ctx := context.Background()
	address, pending, err := begin(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	redirectURL, err := iss.Redirect(ctx, address) // the person signs in
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := complete(ctx, pending, redirectURL); err != nil {
		fmt.Println(err)
		return
	}
	resp, err := source.HTTPClient().Get(iss.API(issuertest.Demand{}))
	show(resp, err)
	// Output: {"user":"ada"}
}

// A program that sends its requests itself: the API does not take the token any more,
// although that should be good for another hour.
func ExampleSource_Renew() {
	iss := start(nil)
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true}
	source := &store.Source{Client: client, Store: new(store.Memory)}
	source.Login = func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
		return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
	}
	call := func(ctx context.Context, token *grant.Token) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, iss.API(issuertest.Demand{}), nil)
		if err != nil {
			return nil, err
		}
		if err := token.Authorize(req); err != nil {
			return nil, err
		}
		return http.DefaultClient.Do(req)
	}

	ctx := context.Background()
	token, err := source.Token(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	iss.ExpireAccessTokens()
	resp, err := call(ctx, token)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	if grant.InvalidToken(resp) {
		token, err = source.Renew(ctx, token)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err = call(ctx, token)
	show(resp, err)
	// Output: {"user":"ada"}
}
