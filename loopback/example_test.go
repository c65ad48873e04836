package loopback_test

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
)

var lastWords = template.Must(template.New("page").Parse(
	`<!DOCTYPE html><html lang="en"><title>{{.}}</title><style>body { font: 1rem sans-serif }</style><h1>{{.}}</h1></html>`))

// pageOf makes the last page with html/template.
func pageOf(outcome loopback.Outcome) []byte {
	if outcome != loopback.SignedIn {
		return nil // the one that is built in
	}
	var page bytes.Buffer
	if err := lastWords.Execute(&page, "Welcome to my-cli & friends"); err != nil {
		return nil
	}
	return page.Bytes()
}

// A program shows the progress, has a page of its own, and waits no longer than two
// minutes.
func ExampleLogin() {
	iss := startExample(nil)
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, AllowInsecureRequests: true}
	token, err := loopback.Login(context.Background(), client, &loopback.Options{
		Open:    iss.Open, // in place of the system's browser
		Page:    pageOf,
		Notify:  func(e loopback.Event) { fmt.Println(e.Kind) },
		Timeout: 2 * time.Minute,
	})
	fmt.Println(token, err)
	fmt.Println(iss.LastPage().Body)
	// Output:
	// listening for the redirect
	// sending the person to the provider
	// the redirect is here
	// the login is over
	// token [redacted] <nil>
	// <!DOCTYPE html><html lang="en"><title>Welcome to my-cli &amp; friends</title><style>body { font: 1rem sans-serif }</style><h1>Welcome to my-cli &amp; friends</h1></html>
}

// A program says where the person has to go, as there may be no browser to open.
func ExampleOptions() {
	iss := startExample(nil)
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, AllowInsecureRequests: true}
	say := new(bytes.Buffer) // os.Stderr
	token, err := loopback.Login(context.Background(), client, &loopback.Options{
		Open: iss.Open,
		Notify: func(e loopback.Event) {
			if e.Kind == loopback.AuthorizationURL {
				fmt.Fprintln(say, "Open this page to sign in:", e.URL)
			}
		},
	})
	fmt.Println(token, err, strings.HasPrefix(say.String(), "Open this page to sign in: "+iss.URL))
	// Output: token [redacted] <nil> true
}

// A program that has a server already takes the redirect there, behind a router and
// middleware of its own.
func ExampleReceiver() {
	iss := startExample(&issuertest.Options{RedirectURIs: []string{"http://127.0.0.1/auth/callback"}})
	defer iss.Close()
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, AllowInsecureRequests: true}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux) // the program's own
	defer server.Close()

	receiver, err := loopback.NewReceiver(server.URL+"/auth/callback", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux.Handle("/auth/", http.StripPrefix("/auth", receiver))

	ctx := context.Background()
	flow, err := client.Authorize(ctx, receiver.RedirectURI())
	if err != nil {
		fmt.Println(err)
		return
	}
	opened := make(chan error)
	go func() { opened <- iss.Open(ctx, flow.URL) }() // or send the person there in another way
	var token *grant.Token
	err = receiver.Receive(ctx, flow.Ours, func(ctx context.Context, params url.Values) (err error) {
		token, err = flow.Exchange(ctx, params)
		return err // what the browser is told depends on it
	})
	fmt.Println(token, err, <-opened, iss.LastPage().Status)
	// Output: token [redacted] <nil> <nil> 200
}

// startExample starts a provider for an example. It is slower than a program is, as
// the person is.
func startExample(opts *issuertest.Options) *issuertest.Issuer {
	own := issuertest.Options{Delay: 10 * time.Millisecond}
	if opts != nil {
		own.RedirectURIs = opts.RedirectURIs
	}
	iss, err := issuertest.Start(&own)
	if err != nil {
		panic(err)
	}
	return iss
}
