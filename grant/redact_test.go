package grant_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// Each step by itself hides what it sent when the server repeats it.
func TestStepsHideWhatTheySent(t *testing.T) {
	const code, verifier, state, nonce, deviceCode = "the-code-4720", "the-verifier-4721", "the-state-4722", "the-nonce-4723", "the-device-code-4724"
	opts := &grant.TokenEndpointRequestOptions{ClientAuth: grant.ClientSecretPost(secretOfClient)}
	steps := map[string]struct {
		secrets []string
		run     func(ctx context.Context, as *grant.AuthorizationServer, client *grant.Client) error
	}{
		"code": {[]string{code, verifier, secretOfClient}, func(ctx context.Context, as *grant.AuthorizationServer, client *grant.Client) error {
			callback, err := grant.ValidateAuthResponse(as, client, url.Values{"code": {code}}, "")
			if err != nil {
				return err
			}
			resp, err := grant.AuthorizationCodeGrantRequest(ctx, as, client, callback, redirect, verifier, opts)
			if err != nil {
				return err
			}
			_, err = grant.ProcessAuthorizationCodeResponse(ctx, as, client, resp, nil)
			return err
		}},
		"device code": {[]string{deviceCode, secretOfClient}, func(ctx context.Context, as *grant.AuthorizationServer, client *grant.Client) error {
			resp, err := grant.DeviceCodeGrantRequest(ctx, as, client, deviceCode, opts)
			if err != nil {
				return err
			}
			_, err = grant.ProcessDeviceCodeResponse(ctx, as, client, resp, nil)
			return err
		}},
		"pushed request": {[]string{state, nonce, secretOfClient}, func(ctx context.Context, as *grant.AuthorizationServer, client *grant.Client) error {
			resp, err := grant.PushedAuthorizationRequest(ctx, as, client, url.Values{"state": {state}, "nonce": {nonce}}, opts)
			if err != nil {
				return err
			}
			_, err = grant.ProcessPushedAuthorizationResponse(as, client, resp)
			return err
		}},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			p := newProvider("")
			p.token = func(*http.Request) (*http.Response, error) {
				form := p.seen[len(p.seen)-1].form
				var all []string
				for _, values := range form {
					all = append(all, values...)
				}
				return response(400, members{"error": "x", "error_description": strings.Join(all, " ")}.json()), nil
			}
			p.others = map[string]endpoint{"/par": p.token}
			err := step.run(t.Context(), newServer(), newClient(p))
			wantOutcome(t, err, "refused x")
			wantHidden(t, name, err, step.secrets...)
			if !strings.Contains(err.Error(), "[redacted]") {
				t.Errorf("nothing was repeated: %v", err)
			}
		})
	}
}

// What came is hidden where it stands in the wrong place.
func TestWhatCameIsHidden(t *testing.T) {
	idToken := mint("ES256", idClaims(nil))
	body := members{"access_token": "token", "token_type": idToken, "id_token": idToken}
	_, err := processors[0].process(t, newServer(), newClient(newProvider("")), response(200, body.json()))
	wantOutcome(t, err, "OAUTH_UNSUPPORTED_OPERATION token_response.token_type")
	wantHidden(t, "token_type", err, strings.ToLower(idToken)[:60])
}

// A secret of eight bytes is one, a shorter one would blank out words.
func TestShortSecrets(t *testing.T) {
	for secret, want := range map[grant.Secret]string{"12345678": "got [redacted]", "1234567": "got 1234567"} {
		p := newProvider("")
		p.token = always(400, members{"error": "x", "error_description": "got " + string(secret)}.json())
		client := newClient(p)
		client.Server = newServer()
		_, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: secret})
		if err == nil || !strings.Contains(err.Error(), "("+want+")") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
