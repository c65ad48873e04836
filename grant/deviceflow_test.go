package grant_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// newDevice returns a provider that gives out codes, and a client.
func newDevice(changes members) (*provider, *grant.Client) {
	p, client := newOIDC()
	p.others = map[string]endpoint{"/device": always(200, deviceBody(changes).json())}
	return p, client
}

// pending is what the token endpoint says before the person has finished.
func pending(code string, extra ...string) endpoint {
	return always(400, members{"error": code}.json(), extra...)
}

// finished is what it says then.
func finished() endpoint { return always(200, tokenBody(mint("ES256", idClaims(nil)))) }

// pollScript answers with one endpoint after the other, and notes when it was asked.
type pollScript struct {
	start   time.Time
	answers []endpoint
	asked   []time.Duration // since the start
}

func (s *pollScript) answer(req *http.Request) (*http.Response, error) {
	s.asked = append(s.asked, time.Since(s.start))
	if len(s.asked) > len(s.answers) {
		return nil, errors.New("asked once too often")
	}
	return s.answers[len(s.asked)-1](req)
}

// RFC 8628, section 3.5, and H12: when the server is asked, and what ends it.
func TestDeviceFlowPolling(t *testing.T) {
	noRoute := func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }
	untrusted := func(*http.Request) (*http.Response, error) {
		return nil, &tls.CertificateVerificationError{Err: errors.New("x")}
	}
	at := func(seconds ...float64) (times []time.Duration) {
		for _, s := range seconds {
			times = append(times, time.Duration(s*float64(time.Second)))
		}
		return times
	}
	date := func(req *http.Request) (*http.Response, error) {
		return response(503, "", "Retry-After", time.Now().UTC().Add(20*time.Second).Format(http.TimeFormat)), nil
	}
	forged := mint("ES256", idClaims(nil))
	forged = forged[:len(forged)-86] + b64(make([]byte, 64))
	tests := []struct {
		name    string
		changes members
		answers []endpoint
		asked   []time.Duration
		want    string
	}{
		{"O50 an interval before the first request", nil, []endpoint{finished()}, at(5), "ok"},
		{"O50 five seconds where the server names none", members{"interval": nil}, []endpoint{pending("authorization_pending"), finished()}, at(5, 10), "ok"},
		{"O53 pending", members{"interval": 2}, []endpoint{pending("authorization_pending"), pending("authorization_pending"), finished()}, at(2, 4, 6), "ok"},
		{"a fraction of a second", members{"interval": 0.5}, []endpoint{pending("authorization_pending"), finished()}, at(0.5, 1), "ok"},
		{"O53 slow_down is for good", nil, []endpoint{pending("slow_down"), pending("authorization_pending"), pending("slow_down"), pending("authorization_pending"), finished()}, at(5, 15, 25, 40, 55), "ok"},
		{"O53 Retry-After", nil, []endpoint{pending("authorization_pending", "Retry-After", "17"), pending("authorization_pending"), finished()}, at(5, 22, 27), "ok"},
		{"O53 a smaller Retry-After", nil, []endpoint{pending("authorization_pending", "Retry-After", "1"), finished()}, at(5, 10), "ok"},
		{"O53 Retry-After and slow_down", nil, []endpoint{pending("slow_down", "Retry-After", "11"), finished()}, at(5, 16), "ok"},
		{"O53 a Retry-After that is none", nil, []endpoint{pending("authorization_pending", "Retry-After", "soon"), finished()}, at(5, 10), "ok"},
		{"O54 503 with Retry-After", nil, []endpoint{always(503, "", "Retry-After", "30"), finished()}, at(5, 35), "ok"},
		{"O54 503 with a date", nil, []endpoint{date, finished()}, at(5, 25), "ok"},
		{"O54 503 with a date in the past", nil, []endpoint{always(503, "", "Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"), finished()}, at(5, 15), "ok"},
		{"H12 429 is slow_down", nil, []endpoint{always(429, ""), pending("authorization_pending"), finished()}, at(5, 15, 25), "ok"},
		{"H12 429 with slow_down counts once", nil, []endpoint{always(429, `{"error":"slow_down"}`), finished()}, at(5, 15), "ok"},
		{"H12 429 with a challenge", nil, []endpoint{always(429, "", "WWW-Authenticate", "Basic"), finished()}, at(5, 15), "ok"},
		{"H12 5xx, less and less often, a minute at most", members{"interval": 10, "expires_in": 1000}, []endpoint{always(500, ""), always(502, "<html>"), always(500, ""), always(500, ""), always(500, ""), finished()},
			at(10, 30, 70, 130, 190, 250), "ok"},
		{"H12 an interval beyond a minute stays", members{"interval": 90, "expires_in": 1000}, []endpoint{always(500, ""), always(500, ""), finished()}, at(90, 180, 270), "ok"},
		{"H12 network", nil, []endpoint{noRoute, noRoute, pending("authorization_pending"), noRoute, finished()}, at(5, 15, 35, 40, 50), "ok"},
		{"H12 after slow_down, from there", nil, []endpoint{pending("slow_down"), noRoute, finished()}, at(5, 15, 35), "ok"},
		{"408", nil, []endpoint{always(408, ""), finished()}, at(5, 15), "ok"},
		{"5xx with a challenge", nil, []endpoint{always(503, "", "WWW-Authenticate", `Bearer error="access_denied"`), finished()}, at(5, 15), "ok"},
		{"GitHub's errors in a 200", nil, []endpoint{always(200, `{"error":"authorization_pending"}`), always(200, `{"error":"slow_down","interval":10}`), finished()}, at(5, 10, 20), "ok"},

		{"O55 access_denied", nil, []endpoint{pending("authorization_pending"), pending("access_denied")}, at(5, 10), "refused access_denied"},
		{"O55 expired_token", nil, []endpoint{pending("expired_token")}, at(5), "refused expired_token"},
		{"O55 access_denied in a 200", nil, []endpoint{always(200, `{"error":"access_denied"}`)}, at(5), "refused access_denied"},
		{"O55 invalid_grant", nil, []endpoint{pending("invalid_grant")}, at(5), "refused invalid_grant"},
		{"O55 a challenge", nil, []endpoint{always(401, "", "WWW-Authenticate", "Basic")}, at(5), "refused "},
		{"404", nil, []endpoint{always(404, "")}, at(5), notConform},
		{"R021 302", nil, []endpoint{always(302, "", "Location", "https://evil.example/")}, at(5), notConform},
		{"a certificate that nobody trusts", nil, []endpoint{untrusted}, at(5), ""},
		{"an answer beyond 1 MiB", nil, []endpoint{always(200, strings.Repeat(" ", 1<<20+1))}, at(5), "OAUTH_INVALID_RESPONSE response.size"},
		{"no ID token", nil, []endpoint{always(200, tokenBody(""))}, at(5), badToken + "id_token"},
		{"a forged ID token", nil, []endpoint{always(200, tokenBody(forged))}, at(5), wrongSig},
		{"an ID token for another client", nil, []endpoint{always(200, tokenBody(mint("ES256", idClaims(members{"aud": "other"}))))}, at(5), compared + "aud"},

		{"O56 nobody comes", members{"expires_in": 12}, []endpoint{pending("authorization_pending"), pending("authorization_pending")}, at(5, 10), "OAUTH_TIMEOUT device_flow.expired"},
		{"O56 expired at once", members{"expires_in": 0}, nil, nil, "OAUTH_TIMEOUT device_flow.expired"},
		{"O56 only trouble", members{"expires_in": 20}, []endpoint{noRoute, noRoute}, at(5, 15), "OAUTH_TIMEOUT device_flow.expired"},
		{"O56 an answer that hangs", members{"expires_in": 20}, []endpoint{untilDone}, at(5), "OAUTH_TIMEOUT device_flow.expired"},
		{"O56 a Retry-After beyond the end", members{"expires_in": 20}, []endpoint{always(503, "", "Retry-After", "18446744073709551615")}, at(5), "OAUTH_TIMEOUT device_flow.expired"},
	}
	for _, test := range tests {
		t.Run(test.name, inBubble(func(t *testing.T) {
			p, client := newDevice(test.changes)
			s := &pollScript{start: time.Now(), answers: test.answers}
			p.token = s.answer
			flow, err := client.AuthorizeDevice(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			token, err := flow.Wait(t.Context())
			if test.want != "" {
				wantOutcome(t, err, test.want)
			} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
				t.Errorf("got %v", err)
			}
			if !reflect.DeepEqual(s.asked, test.asked) {
				t.Errorf("asked at %v, want %v", s.asked, test.asked)
			}
			if err == nil && (token.IDToken.Subject != subject || !reflect.DeepEqual(token.Scopes, []string{"openid", "profile"})) {
				t.Errorf("got %#v", *token)
			}
			if strings.HasPrefix(test.want, "OAUTH_TIMEOUT") && time.Now().After(flow.Expiry) {
				t.Errorf("it ended %v too late", time.Since(flow.Expiry))
			}
			if test.name == "O56 only trouble" && !strings.Contains(fmt.Sprint(err), "no route") {
				t.Errorf("the trouble is not named: %v", err)
			}
		}))
	}
}

func TestDeviceFlowRequests(t *testing.T) {
	inBubble(func(t *testing.T) {
		p, client := newDevice(nil)
		p.token = finished()
		client.Prompt, client.LoginHint, client.ACRValues, client.Audience = "login", "me", "1", "api"
		client.Resources, client.MaxAge = []string{"https://a.example/x", "https://b.example"}, new(3600)
		client.ResponseMode = "form_post" // which nothing comes back in
		client.AuthorizationParameters = url.Values{"foo": {"bar"}, "scope": {"smuggled"}, "client_id": {"smuggled"}}
		client.TokenParameters = url.Values{"baz": {"qux"}, "device_code": {"smuggled"}}
		p.token = always(200, tokenBody(mint("ES256", idClaims(members{"auth_time": time.Now().Unix()}))))
		flow, err := client.AuthorizeDevice(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if flow.UserCode != userCode || flow.VerificationURI != "https://op.example.com/go" ||
			flow.VerificationURIComplete != "https://op.example.com/go?code="+userCode || time.Until(flow.Expiry) != 300*time.Second {
			t.Errorf("got %q %q %q %v", flow.UserCode, flow.VerificationURI, flow.VerificationURIComplete, flow.Expiry)
		}
		if _, err := flow.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := url.Values{"client_id": {clientID}, "scope": {"openid profile"}, "prompt": {"login"}, "login_hint": {"me"}, "acr_values": {"1"},
			"audience": {"api"}, "resource": {"https://a.example/x", "https://b.example"}, "max_age": {"3600"}, "foo": {"bar"}}
		if form := p.one(t, "/device").form; !reflect.DeepEqual(form, want) {
			t.Errorf("device form %v, want %v", form, want)
		}
		want = url.Values{"client_id": {clientID}, "grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {deviceCode},
			"resource": {"https://a.example/x", "https://b.example"}, "baz": {"qux"}}
		if form := p.one(t, "/token").form; !reflect.DeepEqual(form, want) {
			t.Errorf("token form %v, want %v", form, want)
		}
		if len(client.AuthorizationParameters) != 3 {
			t.Errorf("R022: the parameters were changed to %v", client.AuthorizationParameters)
		}
		_, err = flow.Wait(t.Context())
		wantOutcome(t, err, "argument") // it has been waited for
	})(t)
}

// O31: a nonce is asked for with the first proof, and waits for its time.
func TestDeviceFlowDPoP(t *testing.T) {
	bound := always(200, `{"access_token":"token","token_type":"DPoP"}`)
	again := always(400, `{"error":"use_dpop_nonce"}`, "DPoP-Nonce", "n-2")
	withoutNonce := always(400, `{"error":"use_dpop_nonce"}`)
	challenge := always(401, "", "WWW-Authenticate", `DPoP error="use_dpop_nonce"`, "DPoP-Nonce", "n-2")
	for _, test := range []struct {
		name    string
		bearer  bool // the client sends no proofs
		answers []endpoint
		asked   int
		want    string
	}{
		{"once", false, []endpoint{again, bound}, 2, "ok"},
		{"in a challenge", false, []endpoint{challenge, bound}, 2, "ok"},
		{"once again later", false, []endpoint{again, pending("authorization_pending"), again, bound}, 4, "ok"},
		{"twice", false, []endpoint{again, again}, 2, "refused use_dpop_nonce"},
		{"without a nonce", false, []endpoint{withoutNonce}, 1, "refused use_dpop_nonce"},
		{"without a proof", true, []endpoint{again}, 1, "refused use_dpop_nonce"},
	} {
		t.Run(test.name, inBubble(func(t *testing.T) {
			p, client := newDevice(nil)
			client.Scopes, client.DPoPBoundAccessTokens = nil, !test.bearer
			s := &pollScript{start: time.Now(), answers: test.answers}
			p.token = s.answer
			flow, err := client.AuthorizeDevice(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			token, err := flow.Wait(t.Context())
			wantOutcome(t, err, test.want)
			if len(s.asked) != test.asked || s.asked[len(s.asked)-1] != time.Duration(test.asked)*5*time.Second {
				t.Errorf("asked at %v", s.asked)
			}
			if p.one(t, "/device").header.Get("DPoP") != "" {
				t.Error("R179: a proof was sent to the device authorization endpoint")
			}
			if err != nil {
				return
			}
			seen := p.requests("/token")
			first, key := openProof(t, seen[0].header.Get("DPoP"))
			last, sameKey := openProof(t, seen[len(seen)-1].header.Get("DPoP"))
			if key != sameKey || token.DPoP.Thumbprint() != key || token.TokenType != "dpop" || first["nonce"] != nil || last["nonce"] != "n-2" || first["jti"] == last["jti"] {
				t.Errorf("proofs %v and %v with the keys %s and %s, token %q %s", first, last, key, sameKey, token.TokenType, token.DPoP.Thumbprint())
			}
		}))
	}
	_, client := newDevice(nil)
	client.DPoPBoundAccessTokens, client.Server.DPoPSigningAlgValuesSupported = true, []string{"x"}
	_, err := client.AuthorizeDevice(t.Context())
	wantOutcome(t, err, "OAUTH_UNSUPPORTED_OPERATION metadata.dpop_signing_alg_values_supported")
}

// Without openid nothing but the access token is demanded.
func TestDeviceFlowOfPlainOAuth(t *testing.T) {
	inBubble(func(t *testing.T) {
		p, client := newDevice(nil)
		client.Scopes = nil
		p.token = always(200, `{"access_token":"token","scope":"a"}`)
		flow, err := client.AuthorizeDevice(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		token, err := flow.Wait(t.Context())
		if err != nil || token.TokenType != "bearer" || !reflect.DeepEqual(token.Scopes, []string{"a"}) {
			t.Errorf("got %v, %v", token, err)
		}
	})(t)
}

// O51, H12: the context ends the wait at once, in a pause and in a request.
func TestDeviceFlowEndsWithItsContext(t *testing.T) {
	inBubble(func(t *testing.T) {
		for _, test := range []struct {
			name   string
			answer endpoint
			after  time.Duration
		}{
			{"before the first request", untilDone, time.Second},
			{"in a request", untilDone, 7 * time.Second},
			{"in a later pause", pending("authorization_pending"), 8 * time.Second},
		} {
			p, client := newDevice(nil)
			p.token = test.answer
			flow, err := client.AuthorizeDevice(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), test.after)
			defer cancel()
			start := time.Now()
			_, err = flow.Wait(ctx)
			if took := time.Since(start); took != test.after || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: after %v: %v", test.name, took, err)
			}
			if _, ok := errors.AsType[*grant.CheckError](err); ok {
				t.Errorf("%s: the codes have not expired: %v", test.name, err)
			}
		}
	})(t)
}

func TestDeviceFlowHidesSecrets(t *testing.T) {
	inBubble(func(t *testing.T) {
		p, client := newDevice(nil)
		client.ClientSecret = secretOfClient
		p.token = func(*http.Request) (*http.Response, error) {
			return response(400, members{"error": "x", "error_description": deviceCode + " " + secretOfClient}.json()), nil
		}
		resp, err := grant.DeviceAuthorizationRequest(t.Context(), client.Server, client, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		d, err := grant.ProcessDeviceAuthorizationResponse(client.Server, client, resp, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantHidden(t, "*DeviceAuthorization", d, deviceCode)
		flow, err := client.AuthorizeDevice(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantHidden(t, "*DeviceFlow", flow, deviceCode)
		_, err = flow.Wait(t.Context())
		wantHidden(t, "refusal", err, deviceCode, secretOfClient)
		resp, err = grant.DeviceCodeGrantRequest(t.Context(), client.Server, client, deviceCode, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = grant.ProcessDeviceCodeResponse(t.Context(), client.Server, client, resp, nil)
		wantHidden(t, "refusal of a single request", err, deviceCode, secretOfClient)
		for name, body := range map[string]members{
			"error":            {"error": "x", "error_description": secretOfClient},
			"verification_uri": deviceBody(members{"verification_uri": "http://" + deviceCode + ".example/"}),
			"interval":         deviceBody(members{"interval": deviceCode}),
		} {
			status := 200
			if body["error"] != nil {
				status = 400
			}
			p.others["/device"] = always(status, body.json())
			_, err := client.AuthorizeDevice(t.Context())
			if err == nil {
				t.Fatalf("%s: no error", name)
			}
			wantHidden(t, name, err, deviceCode, secretOfClient)
		}
	})(t)
}
