package grant_test

import (
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// What the device grant has in common with the others is tested with them; this is
// the rest.
func TestDeviceCodeGrantRequestOrder(t *testing.T) {
	without := newServer()
	without.TokenEndpoint = ""
	tests := []struct {
		name   string
		as     *grant.AuthorizationServer
		client *grant.Client
		code   grant.Secret
		want   string
	}{
		{"DEV-22 no token_endpoint", without, newClient(nil), "device_code", noEndpoint},
		{"DEV-23 no device code, no token_endpoint", without, newClient(nil), "", "argument"},
		{"R001 no server", nil, newClient(nil), "device_code", "argument"},
		{"R002 no client", newServer(), nil, "device_code", "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := grant.DeviceCodeGrantRequest(t.Context(), test.as, test.client, test.code, nil)
			wantOutcome(t, err, test.want)
		})
	}
}

func TestDeviceCodeMaxAge(t *testing.T) {
	idToken := mint("ES256", idClaims(members{"auth_time": time.Now().Unix()}))
	for maxAge, want := range map[int]string{-1: "argument", 0: "ok", 60: "ok"} {
		_, err := grant.ProcessDeviceCodeResponse(t.Context(), newServer(), newClient(newProvider("")), response(200, tokenBody(idToken)),
			&grant.ProcessDeviceCodeOptions{MaxAge: &maxAge})
		wantOutcome(t, err, want)
	}
}

// What the person was asked for is demanded of the ID token.
func TestDeviceFlowMaxAge(t *testing.T) {
	inBubble(func(t *testing.T) {
		now := time.Now().Unix()
		for _, test := range []struct {
			name             string
			maxAge, standing *int
			claims           members
			want             string
		}{
			{"max_age, no auth_time", new(60), nil, nil, badClaim + "auth_time"},
			{"max_age, too long ago", new(60), nil, members{"auth_time": now - 3600}, timestamp + "auth_time"},
			{"max_age, just now", new(60), nil, members{"auth_time": now}, "ok"},
			{"default_max_age, too long ago", nil, new(60), members{"auth_time": now - 3600}, timestamp + "auth_time"},
			{"max_age goes before", new(7200), new(60), members{"auth_time": now - 3600}, "ok"},
		} {
			p, client := newDevice(nil)
			client.MaxAge, client.DefaultMaxAge = test.maxAge, test.standing
			p.token = always(200, tokenBody(mint("ES256", idClaims(test.claims))))
			flow, err := client.AuthorizeDevice(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = flow.Wait(t.Context())
			if outcome(err) != test.want {
				t.Errorf("%s: %v, want %s", test.name, err, test.want)
			}
		}
	})(t)
}
