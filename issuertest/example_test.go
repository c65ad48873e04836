package issuertest_test

import (
	"context"
	"fmt"
	"io"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// A program signs ada in and calls an API as her. In a test, New(t) takes the place
// of the first lines.
func Example() {
	iss, err := issuertest.Start(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer iss.Close()

	client := &grant.Client{
		Issuer: iss.URL, ClientID: iss.ClientID, AllowInsecureRequests: true,
		Scopes: []string{"openid", "offline_access"},
	}
	source := &store.Source{
		Client: client,
		Store:  new(store.Memory),
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
		},
	}
	resp, err := source.HTTPClient().Get(iss.API(issuertest.Demand{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s%v\n", body, err)
	fmt.Println(iss.LastAuthorization().Get("scope"), iss.Requests("token"))
	// Output:
	// {"user":"ada"}
	// <nil>
	// openid offline_access 1
}
