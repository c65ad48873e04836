package store_test

import (
	"context"
	"fmt"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// Sign-in, checks, storage and refresh for a program of your own.
func Example() {
	client := &grant.Client{Issuer: "https://issuer.example", ClientID: "my-cli", Scopes: []string{"openid", "offline_access"}}
	source := &store.Source{
		Client: client,
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save})
		},
	}
	resp, err := source.HTTPClient().Get("https://api.example/me")
	fmt.Println(resp, err)
}

// Never ask the person: get a token if there is one, and fail with
// ErrLoginRequired if there is none.
func ExampleSource_Token() {
	client := &grant.Client{Issuer: "https://issuer.example", ClientID: "my-cli"}
	source := &store.Source{Client: client}
	token, err := source.Token(context.Background())
	fmt.Println(token, err)
}
