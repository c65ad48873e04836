package grant_test

import (
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const badResponse = "OAUTH_INVALID_RESPONSE authorization_response."

// responseClaims are those of a signed response with changes.
func responseClaims(changes members) members {
	return members{"iss": issuer, "aud": clientID, "exp": time.Now().Add(30 * time.Second).Unix()}.with(changes)
}

// signedResponse is a redirect with a signed response.
func signedResponse(alg string, changes members) url.Values {
	return url.Values{"response": {mint(alg, responseClaims(changes))}}
}

// R210 to R214, and the catalogue of the specification.
func TestValidateJWTAuthResponse(t *testing.T) {
	type setup func(as *grant.AuthorizationServer, c *grant.Client)
	offers := func(algs ...string) setup {
		return func(as *grant.AuthorizationServer, _ *grant.Client) { as.AuthorizationSigningAlgValuesSupported = algs }
	}
	pins := func(alg string) setup {
		return func(_ *grant.AuthorizationServer, c *grant.Client) { c.AuthorizationSignedResponseAlg = alg }
	}
	code := members{"code": "c", "state": "s"}
	good := signedResponse("RS256", code)
	with := func(name string, values ...string) url.Values {
		params := url.Values{name: values}
		if name != "response" {
			params["response"] = good["response"]
		}
		return params
	}
	tests := []struct {
		name   string
		params url.Values
		state  string
		setup  setup
		want   string
	}{
		{"JARM-01", nil, "s", nil, "argument"},
		{"JARM-02", url.Values{}, "s", nil, jarm},
		{"R210 empty response", with("response", ""), "s", nil, jarm},
		{"R210 response twice", with("response", good.Get("response"), good.Get("response")), "s", nil, duplicate},
		{"R210 plain parameters in its place", url.Values{"code": {"c"}, "state": {"s"}, "iss": {issuer}}, "s", nil, jarm},
		{"R210 a plain error in its place", url.Values{"error": {"access_denied"}, "state": {"s"}}, "s", nil, jarm},
		{"R210 a plain state beside it is not looked at", with("state", "other", "twice"), "s", nil, "ok"},
		{"R210 a plain error beside it is not looked at", with("error", "access_denied"), "s", nil, "ok"},
		{"R210 a plain iss beside it is not looked at", with("iss", "https://evil.example"), "s", nil, "ok"},

		{"JARM-03", signedResponse("RS256", members{"code": "c"}), "", nil, "ok"},
		{"JARM-05", signedResponse("RS256", members{"state": "state"}), "state", nil, "ok"},
		{"JARM-06", signedResponse("RS256", nil), "", nil, "ok"},
		{"JARM-08", url.Values{"response": {forged(mint("ES256", responseClaims(code)))}}, "s", offers("ES256"), badResponse + "signature"},
		{"JARM-10", signedResponse("ES256", code), "s", offers("ES256"), "ok"},
		{"JARM-11", signedResponse("ES256", code), "s", pins("ES256"), "ok"},
		{"JARM-12", good, "s", nil, "ok"},
		{"JARM-13", signedResponse("ES256", code), "s", nil, badResponse + "alg"},
		{"JARM-14", signedResponse("ES256", code), "s", offers("RS256"), badResponse + "alg"},
		{"JARM-15", signedResponse("ES256", code), "s", pins("RS256"), badResponse + "alg"},
		{"R150 the client's algorithm wins over the server's", signedResponse("ES256", code), "s", func(as *grant.AuthorizationServer, c *grant.Client) {
			as.AuthorizationSigningAlgValuesSupported, c.AuthorizationSignedResponseAlg = []string{"RS256"}, "ES256"
		}, "ok"},
		{"R212 none, although listed", url.Values{"response": {unsigned(responseClaims(code))}}, "s", offers("none"), "OAUTH_UNSUPPORTED_OPERATION authorization_response.alg"},
		{"R212 HS256, although listed", signedResponse("HS256", code), "s", offers("HS256"), "OAUTH_UNSUPPORTED_OPERATION authorization_response.alg"},
		{"R212 none, although pinned", url.Values{"response": {unsigned(responseClaims(code))}}, "s", pins("none"), "OAUTH_UNSUPPORTED_OPERATION authorization_response.alg"},

		{"R140 two parts", with("response", "a.b"), "s", nil, badResponse + "form"},
		{"R140 encrypted", with("response", "a.b.c.d.e"), "s", nil, "OAUTH_UNSUPPORTED_OPERATION authorization_response.form"},
		{"R141 header", with("response", "?.e30."), "s", nil, "OAUTH_PARSE_ERROR authorization_response.header"},
		{"R144 payload", with("response", b64([]byte(`{"alg":"RS256"}`))+".W10."), "s", nil, badResponse + "payload"},
		{"R143 crit", url.Values{"response": {mintHeader(members{"alg": "RS256", "crit": []string{"x"}}, responseClaims(code))}}, "s", nil, "OAUTH_UNSUPPORTED_OPERATION authorization_response.crit"},
		{"R214 typ is not looked at", url.Values{"response": {mintHeader(members{"alg": "RS256", "typ": "at+jwt"}, responseClaims(code))}}, "s", nil, "ok"},

		{"R211 no aud", signedResponse("RS256", members{"code": "c", "state": "s", "aud": nil}), "s", nil, badResponse + "aud"},
		{"R211 no exp", signedResponse("RS256", members{"code": "c", "state": "s", "exp": nil}), "s", nil, badResponse + "exp"},
		{"R211 no iss", signedResponse("RS256", members{"code": "c", "state": "s", "iss": nil}), "s", nil, badResponse + "iss"},
		{"R211 iat is not needed, and may be old", signedResponse("RS256", code.with(members{"iat": 1})), "s", nil, "ok"},
		{"R211 wrong iss", signedResponse("RS256", code.with(members{"iss": issuer + "/"})), "s", nil, "OAUTH_JWT_CLAIM_COMPARISON_FAILED authorization_response.iss"},
		{"R211 wrong aud", signedResponse("RS256", code.with(members{"aud": "other"})), "s", nil, "OAUTH_JWT_CLAIM_COMPARISON_FAILED authorization_response.aud"},
		{"R211 several audiences, no azp", signedResponse("RS256", code.with(members{"aud": []string{"other", clientID}})), "s", nil, "ok"},
		{"R145 expired", signedResponse("RS256", code.with(members{"exp": time.Now().Unix() - 31})), "s", nil, "OAUTH_JWT_TIMESTAMP_CHECK_FAILED authorization_response.exp"},
		{"R145 expired, within the tolerance", signedResponse("RS256", code.with(members{"exp": time.Now().Unix() - 15})), "s", nil, "ok"},
		{"R145 exp null", signedResponse("RS256", code.with(members{"exp": null})), "s", nil, badResponse + "exp"},
		{"R146 iat not a number", signedResponse("RS256", code.with(members{"iat": "now"})), "s", nil, badResponse + "iat"},
		{"R147 nbf", signedResponse("RS256", code.with(members{"nbf": time.Now().Unix() + 60})), "s", nil, "OAUTH_JWT_TIMESTAMP_CHECK_FAILED authorization_response.nbf"},

		{"R213 a state that is a number is none", signedResponse("RS256", members{"code": "c", "state": 7}), "7", nil, wrongState},
		{"R213 a code that is an object is none", signedResponse("RS256", members{"code": members{}, "state": "s"}), "s", nil, "ok"},
		{"R213 iss satisfies RFC 9207", good, "s", func(as *grant.AuthorizationServer, _ *grant.Client) {
			as.AuthorizationResponseIssParameterSupported = true
		}, "ok"},
		{"R214 wrong state", good, "other", nil, wrongState},
		{"R214 no state expected", good, "", nil, wrongState},
		{"R214 no state there", signedResponse("RS256", members{"code": "c"}), "s", nil, wrongState},
		{"R214 error", signedResponse("RS256", members{"error": "access_denied", "state": "s"}), "s", nil, "refused access_denied"},
		{"R214 wrong state before the error", signedResponse("RS256", members{"error": "access_denied", "state": "s"}), "x", nil, wrongState},
		{"R214 a response within", signedResponse("RS256", code.with(members{"response": "x"})), "s", nil, jarm},
		{"R214 id_token", signedResponse("RS256", code.with(members{"id_token": "x"})), "s", nil, implicit},
		{"R214 token", signedResponse("RS256", code.with(members{"token": ""})), "s", nil, implicit},

		{"no keys", good, "s", func(as *grant.AuthorizationServer, _ *grant.Client) { as.JWKSURI = "" }, "OAUTH_MISSING_SERVER_METADATA metadata.endpoint"},
		{"R001 no issuer", good, "s", func(as *grant.AuthorizationServer, _ *grant.Client) { as.Issuer = "" }, "argument"},
		{"R002 no client_id", good, "s", func(_ *grant.AuthorizationServer, c *grant.Client) { c.ClientID = "" }, "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(tokenBody(""))
			as, client := newServer(), newClient(p)
			if test.setup != nil {
				test.setup(as, client)
			}
			callback, err := grant.ValidateJWTAuthResponse(t.Context(), as, client, test.params, test.state, nil)
			wantOutcome(t, err, test.want)
			if test.want == "ok" {
				return
			}
			if _, err := grant.AuthorizationCodeGrantRequest(t.Context(), as, client, callback, redirect, "verifier", nil); !errors.Is(err, grant.ErrArgument) {
				t.Errorf("what was refused can be used: %v", err)
			}
		})
	}
}

// forged has a signature of the right length by nobody.
func forged(token string) string {
	dot := strings.LastIndexByte(token, '.') + 1
	return token[:dot] + strings.Repeat("A", len(token)-dot)
}

func unsigned(claims members) string {
	return b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(claims.json())) + "."
}

// The claims cost nothing, so that a response which they refuse causes no request.
func TestSignedResponseIsVerifiedLast(t *testing.T) {
	p := newProvider("")
	as, client := newServer(), newClient(p)
	_, err := grant.ValidateJWTAuthResponse(t.Context(), as, client, signedResponse("RS256", members{"exp": 1}), "", nil)
	wantOutcome(t, err, "OAUTH_JWT_TIMESTAMP_CHECK_FAILED authorization_response.exp")
	if len(p.seen) > 0 {
		t.Error("keys were fetched for a response that has expired")
	}
	_, err = grant.ValidateJWTAuthResponse(t.Context(), as, client, url.Values{"response": {forged(mint("RS256", responseClaims(nil)))}}, "", nil)
	wantOutcome(t, err, badResponse+"signature")
	p.one(t, "/jwks")
}

// jarming returns a client that asks for a signed response.
func jarming() (*provider, *grant.Client) {
	p, client := newOIDC()
	client.ResponseMode = "jwt"
	return p, client
}

func TestExchangeSigned(t *testing.T) {
	for _, mode := range []string{"jwt", "query.jwt", "form_post.jwt"} {
		t.Run(mode, func(t *testing.T) {
			p, client := jarming()
			client.ResponseMode = mode
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			if got := query(t, flow)["response_mode"]; !slices.Equal(got, []string{mode}) {
				t.Errorf("response_mode %q", got)
			}
			signedIn(t, p, flow, nil)
			if _, err := flow.Exchange(t.Context(), signedResponse("RS256", members{"code": "the code", "state": stateOf(t, flow)})); err != nil {
				t.Fatal(err)
			}
			if got := p.one(t, "/token").form["code"]; !reflect.DeepEqual(got, []string{"the code"}) {
				t.Errorf("code %q", got)
			}
			p.one(t, "/jwks") // one set of keys serves for the response and the ID token
		})
	}
}

// What ends a flow that asks for a signed response.
func TestExchangeSignedOutcomes(t *testing.T) {
	tests := []struct {
		name   string
		params func(state string) url.Values
		want   string
	}{
		{"state of another", func(string) url.Values { return signedResponse("RS256", members{"code": "c", "state": "x"}) }, "not ours"},
		{"no state", func(string) url.Values { return signedResponse("RS256", members{"code": "c"}) }, "not ours"},
		{"no JWT", func(string) url.Values { return url.Values{"response": {"x"}} }, "not ours"},
		{"two responses", func(s string) url.Values {
			one := signedResponse("RS256", members{"code": "c", "state": s})["response"]
			return url.Values{"response": {one[0], one[0]}}
		}, "not ours"},
		{"forged", func(s string) url.Values {
			return url.Values{"response": {forged(mint("RS256", responseClaims(members{"code": "c", "state": s})))}}
		}, badResponse + "signature"},
		{"unsigned", func(s string) url.Values {
			return url.Values{"response": {unsigned(responseClaims(members{"code": "c", "state": s}))}}
		}, badResponse + "alg"},
		{"plain", func(s string) url.Values { return url.Values{"code": {"c"}, "state": {s}, "iss": {issuer}} }, jarm},
		{"plain error", func(s string) url.Values { return url.Values{"error": {"access_denied"}, "state": {s}} }, jarm},
		{"plain state beside that of another", func(s string) url.Values {
			params := signedResponse("RS256", members{"code": "c", "state": "x"})
			params.Set("state", s)
			return params
		}, wrongState},
		{"error", func(s string) url.Values {
			return signedResponse("RS256", members{"error": "access_denied", "state": s})
		}, "refused access_denied"},
		{"no code", func(s string) url.Values { return signedResponse("RS256", members{"state": s}) }, missingCode},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, client := jarming()
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			state := stateOf(t, flow)
			_, err = flow.Exchange(t.Context(), test.params(state))
			wantOutcome(t, err, test.want)
			if n := len(p.requests("/token")); n > 0 {
				t.Errorf("%d token requests", n)
			}
			signedIn(t, p, flow, nil)
			_, err = flow.Exchange(t.Context(), signedResponse("RS256", members{"code": "c", "state": state}))
			if spent := errors.Is(err, grant.ErrNotOurs); spent == (test.want == "not ours") {
				t.Errorf("the second redirect: %v", err)
			}
		})
	}
}

// A signed response is no answer to a request for a plain one.
func TestExchangePlainRefusesSigned(t *testing.T) {
	p, client := newOIDC()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	_, err = flow.Exchange(t.Context(), signedResponse("RS256", members{"code": "c", "state": stateOf(t, flow)}))
	wantOutcome(t, err, jarm)
	if len(p.seen) > 0 {
		t.Error("a request was sent")
	}
}

// A server that does not know the mode says so in the only way that it knows.
func TestUnsignedErrorIsNamed(t *testing.T) {
	_, client := jarming()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	_, err = flow.Exchange(t.Context(), url.Values{"error": {"unsupported_response_mode\x1b[2J" + strings.Repeat("x", 1000)}, "state": {stateOf(t, flow)}})
	if err == nil || !strings.Contains(err.Error(), "unsigned, is the error unsupported_response_mode") || len(err.Error()) > 600 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %v", err)
	}
}

// Design section 7: with the keys that Warm has fetched, one round trip is left.
func TestExchangeSignedTakesOneRoundTrip(t *testing.T) {
	inBubble(func(t *testing.T) {
		const delay = 50 * time.Millisecond
		p, client := jarming()
		client.Scopes = nil // so that only the response needs keys
		p.token, p.jwks = delayed(delay, always(200, tokenBody(""))), delayed(delay, p.jwks)
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		flow.Warm(t.Context())
		start := time.Now()
		_, err = flow.Exchange(t.Context(), signedResponse("RS256", members{"code": "c", "state": stateOf(t, flow)}))
		if took := time.Since(start); took != delay || err != nil {
			t.Errorf("it took %v: %v", took, err)
		}
	})(t)
}

func TestAuthorizeChecksResponseMode(t *testing.T) {
	const unsupported = "OAUTH_UNSUPPORTED_OPERATION metadata.response_modes_supported"
	tests := []struct {
		mode    string
		offered []string
		want    string
	}{
		{"", nil, "ok"}, {"", []string{"fragment"}, "ok"},
		{"query", nil, "ok"}, {"form_post", nil, "ok"}, {"jwt", nil, "ok"},
		{"form_post", []string{"query", "form_post"}, "ok"}, {"form_post", []string{"query"}, unsupported}, {"form_post", []string{}, unsupported},
		{"jwt", []string{"jwt"}, "ok"}, {"jwt", []string{"query.jwt"}, "ok"}, {"jwt", []string{"form_post.jwt"}, unsupported},
		{"query.jwt", []string{"jwt"}, unsupported}, {"query", []string{"jwt"}, unsupported},
		{"fragment", nil, "argument"}, {"fragment.jwt", []string{"fragment.jwt"}, "argument"}, {"web_message", nil, "argument"}, {"JWT", nil, "argument"},
	}
	for _, test := range tests {
		_, client := newOIDC()
		client.ResponseMode, client.Server.ResponseModesSupported = test.mode, test.offered
		_, err := client.Authorize(t.Context(), redirect)
		if got := outcome(err); got != test.want {
			t.Errorf("%q of %q: %v, want %s", test.mode, test.offered, err, test.want)
		}
	}
}

// Keys that will be needed have to be somewhere.
func TestAuthorizeNeedsKeys(t *testing.T) {
	for name, test := range map[string]struct {
		setup func(c *grant.Client)
		want  string
	}{
		"for ID tokens":       {func(*grant.Client) {}, "OAUTH_MISSING_SERVER_METADATA metadata.endpoint"},
		"for the response":    {func(c *grant.Client) { c.Scopes, c.ResponseMode = nil, "jwt" }, "OAUTH_MISSING_SERVER_METADATA metadata.endpoint"},
		"for nothing to sign": {func(c *grant.Client) { c.Scopes = nil }, "ok"},
	} {
		_, client := newOIDC()
		client.Server.JWKSURI = ""
		test.setup(client)
		_, err := client.Authorize(t.Context(), redirect)
		if got := outcome(err); got != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A response, signed or forged, that repeats what it holds.
func TestSignedResponseFailuresHideSecrets(t *testing.T) {
	_, client := jarming()
	for name, change := range map[string]func(header, claims members, all string){
		"iss":   func(_, claims members, all string) { claims["iss"] = all },
		"aud":   func(_, claims members, all string) { claims["aud"] = all },
		"alg":   func(header, _ members, all string) { header["alg"] = all },
		"kid":   func(header, _ members, all string) { header["kid"] = all },
		"error": func(_, claims members, all string) { claims["error"], claims["error_description"] = all, all },
	} {
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		state := stateOf(t, flow)
		header, claims := members{"alg": "RS256"}, responseClaims(members{"code": secretCode, "state": state})
		change(header, claims, state+" "+secretCode)
		signed := mintHeader(header, claims)
		_, err = flow.Exchange(t.Context(), url.Values{"response": {signed}})
		if err == nil || errors.Is(err, grant.ErrNotOurs) {
			t.Fatalf("%s: %v", name, err)
		}
		wantHidden(t, name, err, state, secretCode, signed)
	}
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	state := stateOf(t, flow)
	_, err = flow.Exchange(t.Context(), url.Values{"error": {state + " " + secretCode}, "state": {state}, "code": {secretCode}})
	wantHidden(t, "plain", err, state, secretCode)
}
