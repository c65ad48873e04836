package store_test

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/oauth-login/oauth-login/grant"
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
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer resp.Body.Close()
	io.Copy(os.Stdout, resp.Body)
}

// Never ask the person: get a token if there is one, and fail with
// ErrLoginRequired if there is none.
func ExampleSource_Token() {
	client := &grant.Client{Issuer: "https://issuer.example", ClientID: "my-cli"}
	source := &store.Source{Client: client}
	token, err := source.Token(context.Background())
	fmt.Println(token, err)
}
