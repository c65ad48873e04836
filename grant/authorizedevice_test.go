package grant_test

import (
	"context"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

func TestAuthorizeDeviceOutcomes(t *testing.T) {
	tests := []struct {
		name    string
		setup   func(client *grant.Client)
		answer  endpoint
		want    string
		request int
	}{
		{"no device endpoint", func(c *grant.Client) { c.Server.DeviceAuthorizationEndpoint = "" }, nil, noEndpoint, 0},
		{"no token endpoint, found before", func(c *grant.Client) { c.Server.TokenEndpoint = "" }, nil, noEndpoint, 0},
		{"no keys for the ID token, found before", func(c *grant.Client) { c.Server.JWKSURI = "" }, nil, noEndpoint, 0},
		{"HS256 without a secret, found before", func(c *grant.Client) { c.IDTokenSignedResponseAlg = "HS256" }, nil, "argument", 0},
		{"no client_id", func(c *grant.Client) { c.ClientID = "" }, nil, "argument", 0},
		{"max_age negative", func(c *grant.Client) { c.MaxAge = new(-1) }, nil, "argument", 0},
		{"max_age without openid", func(c *grant.Client) { c.MaxAge, c.Scopes = new(1), nil }, nil, "argument", 0},
		{"refused", nil, always(400, `{"error":"unauthorized_client"}`), "refused unauthorized_client", 1},
		{"H09 verification_uri", nil, always(200, deviceBody(members{"verification_uri": "http://op.example.com/go"}).json()), notHTTPS, 1},
		{"R014 http is for loopback issuers", func(c *grant.Client) { c.AllowInsecureRequests = true },
			always(200, deviceBody(members{"verification_uri": "http://127.0.0.1/go"}).json()), notHTTPS, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, client := newDevice(nil)
			if test.setup != nil {
				test.setup(client)
			}
			if test.answer != nil {
				p.others["/device"] = test.answer
			}
			_, err := client.AuthorizeDevice(t.Context())
			wantOutcome(t, err, test.want)
			if n := len(p.requests("/device")); n != test.request {
				t.Errorf("%d requests", n)
			}
		})
	}
	_, err := (*grant.Client)(nil).AuthorizeDevice(t.Context())
	wantOutcome(t, err, "argument")
	_, err = (*grant.DeviceFlow)(nil).Wait(t.Context())
	wantOutcome(t, err, "argument")
	_, err = new(grant.DeviceFlow).Wait(t.Context())
	wantOutcome(t, err, "argument")
	_, client := newDevice(nil)
	flow, err := client.AuthorizeDevice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var none context.Context
	_, err = flow.Wait(none)
	wantOutcome(t, err, "argument")
}
