package grant_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	compared  = "OAUTH_JWT_CLAIM_COMPARISON_FAILED id_token."
	timestamp = "OAUTH_JWT_TIMESTAMP_CHECK_FAILED id_token."
	badClaim  = "OAUTH_INVALID_RESPONSE id_token."
	wrongAlg  = "OAUTH_INVALID_RESPONSE id_token.alg"
	noSuchAlg = "OAUTH_UNSUPPORTED_OPERATION id_token.alg"
	badParse  = "OAUTH_PARSE_ERROR id_token."
	wrongSig  = "OAUTH_INVALID_RESPONSE id_token.signature"
	noKey     = "OAUTH_KEY_SELECTION_FAILED jwks.key"
)

// The claims that hold for every grant. mint replaces the signed default where
// the row is about something else than claims.
func TestIDToken(t *testing.T) {
	now := time.Now().Unix()
	es := func(changes members) string { return mint("ES256", idClaims(changes)) }
	valid := es(nil)
	header := func(h members) string { return mintHeader(members{"alg": "ES256"}.with(h), idClaims(nil)) }
	raw := func(header, payload string) string {
		input := b64([]byte(header)) + "." + b64([]byte(payload))
		return input + "." + b64(sign("ES256", input))
	}
	parts := strings.Split(valid, ".")
	tests := []struct {
		name, token, want string
		setup             func(as *grant.AuthorizationServer, client *grant.Client)
	}{
		{"AC-27 RT-27 DEV-47 valid", valid, "ok", nil},
		{"AC-36 no at_hash", valid, "ok", nil},

		{"AC-23 three parts that are no JSON", "a.b.c", badParse + "header", nil},
		{"R140 two parts", "a.b", badClaim + "form", nil},
		{"R140 four parts", valid + ".x", badClaim + "form", nil},
		{"R140 five parts are an encrypted token", valid + ".x.y", "OAUTH_UNSUPPORTED_OPERATION id_token.form", nil},
		{"R140 nothing but dots", "..", badParse + "header", nil},
		{"R141 header is not an object", raw(`[]`, `{}`), badClaim + "header", nil},
		{"R141 header null", raw(`null`, `{}`), badClaim + "header", nil},
		{"R141 header is no JSON", raw(`{"alg":"ES256"`, `{}`), badParse + "header", nil},
		{"R142 alg before the payload", raw(`{"alg":"XS256"}`, `{`), wrongAlg, nil},
		{"R144 payload is no JSON", raw(`{"alg":"ES256"}`, `{`), badParse + "payload", nil},
		{"R144 payload is not an object", raw(`{"alg":"ES256"}`, `"x"`), badClaim + "payload", nil},
		{"R144 payload is not UTF-8", raw(`{"alg":"ES256"}`, "{\"sub\":\"\xff\"}"), badParse + "payload", nil},
		{"T04 byte order mark", raw(`{"alg":"ES256"}`, "\ufeff"+idClaims(nil).json()), "ok", nil},
		{"T10 padding", parts[0] + "." + parts[1] + "." + parts[2] + "==", badParse + "signature", nil},
		{"T10 line break in the signature", parts[0] + "." + parts[1] + "." + parts[2][:40] + "\n" + parts[2][40:], badParse + "signature", nil},
		{"T10 line break in the header", parts[0][:4] + "\r\n" + parts[0][4:] + "." + parts[1] + "." + parts[2], badParse + "header", nil},
		{"T10 line break in the payload", parts[0] + "." + parts[1][:4] + "\n" + parts[1][4:] + "." + parts[2], badParse + "payload", nil},
		{"T10 trailing bits", parts[0] + "." + parts[1] + "." + parts[2][:85] + string(parts[2][85]+1), badParse + "signature", nil},
		{"T10 standard alphabet", parts[0] + "." + parts[1] + "./" + parts[2][1:], badParse + "signature", nil},
		{"R143 crit", header(members{"crit": []string{"exp"}}), "OAUTH_UNSUPPORTED_OPERATION id_token.crit", nil},
		{"R143 crit null", header(members{"crit": null}), "OAUTH_UNSUPPORTED_OPERATION id_token.crit", nil},
		{"R143 other header members", header(members{"typ": "x", "jku": "https://evil.example", "x5u": 1, "cty": true, "jwk": 5, "b64": false}), "ok", nil},
		{"AC-34 typ JWT", header(members{"typ": "JWT"}), "ok", nil},
		{"AC-35 typ application/jwt", header(members{"typ": "application/jwt"}), "ok", nil},
		{"kid of a wrong type", header(members{"kid": 5}), badClaim + "header", nil},

		{"R145 exp missing", es(members{"exp": nil}), badClaim + "exp", nil},
		{"R147 exp null", es(members{"exp": null}), badClaim + "exp", nil},
		{"R145 exp text", es(members{"exp": "5"}), badClaim + "exp", nil},
		{"R145 expired", es(members{"exp": now - 31}), timestamp + "exp", nil},
		{"R145 expired long ago", es(members{"exp": 0}), timestamp + "exp", nil},
		{"R148 fractions", es(members{"exp": float64(now) + 0.5, "iat": float64(now) - 0.5}), "ok", nil},
		{"T15 exp in the far future", es(members{"exp": 1e300}), "ok", nil},
		{"exp beyond every number", raw(`{"alg":"ES256"}`, strings.Replace(idClaims(nil).json(), `"exp":`, `"exp":1e999,"x":`, 1)), badClaim + "exp", nil},
		{"R146 iat missing", es(members{"iat": nil}), badClaim + "iat", nil},
		{"R147 iat null", es(members{"iat": null}), badClaim + "iat", nil},
		{"R146 iat text", es(members{"iat": "5"}), badClaim + "iat", nil},
		{"R146 iat next day", es(members{"iat": now + 86400}), "ok", nil},
		{"R146 iat last week", es(members{"iat": now - 7*86400}), "ok", nil},
		{"R147 nbf null", es(members{"nbf": null}), badClaim + "nbf", nil},
		{"R147 nbf text", es(members{"nbf": "5"}), badClaim + "nbf", nil},
		{"R147 nbf now", es(members{"nbf": now}), "ok", nil},
		{"R147 nbf later", es(members{"nbf": now + 90}), timestamp + "nbf", nil},
		{"nbf in the far future", es(members{"nbf": 1e300}), timestamp + "nbf", nil},

		{"R155 iss missing", es(members{"iss": nil}), badClaim + "iss", nil},
		{"R147 iss null", es(members{"iss": null}), badClaim + "iss", nil},
		{"R147 iss array", es(members{"iss": []string{issuer}}), badClaim + "iss", nil},
		{"R156 another iss", es(members{"iss": "https://evil.example"}), compared + "iss", nil},
		{"R156 iss with a slash", es(members{"iss": issuer + "/"}), compared + "iss", nil},
		{"T02 ISS", es(members{"iss": nil, "ISS": issuer}), badClaim + "iss", nil},
		{"R155 sub missing", es(members{"sub": nil}), badClaim + "sub", nil},
		{"H04 sub null", es(members{"sub": null}), badClaim + "sub", nil},
		{"H04 sub number", es(members{"sub": 5}), badClaim + "sub", nil},
		{"H04 sub empty", es(members{"sub": ""}), badClaim + "sub", nil},

		{"R155 aud missing", es(members{"aud": nil}), badClaim + "aud", nil},
		{"R147 aud null", es(members{"aud": null}), badClaim + "aud", nil},
		{"R147 aud number", es(members{"aud": 5}), badClaim + "aud", nil},
		{"aud array of numbers", es(members{"aud": []any{clientID, 5}}), badClaim + "aud", nil},
		{"R157 another aud", es(members{"aud": "other"}), compared + "aud", nil},
		{"R157 aud empty array", es(members{"aud": []string{}}), compared + "aud", nil},
		{"R157 aud array", es(members{"aud": []string{clientID}}), "ok", nil},
		{"R157 aud array of another", es(members{"aud": []string{"other"}}), compared + "aud", nil},
		{"R157 aud within another", es(members{"aud": clientID + " other"}), compared + "aud", nil},
		{"AC-47 two aud, no azp", es(members{"aud": []string{clientID, "other-aud"}}), compared + "aud", nil},
		{"AC-48 two aud, another azp", es(members{"aud": []string{clientID, "other-aud"}, "azp": "not-my-client_id"}), compared + "azp", nil},
		{"AC-49 two aud, our azp", es(members{"aud": []string{clientID, "other-aud"}, "azp": clientID}), "ok", nil},
		{"R158 aud twice, no azp", es(members{"aud": []string{clientID, clientID}}), compared + "aud", nil},
		{"R158 two aud, azp null", es(members{"aud": []string{clientID, "other-aud"}, "azp": null}), compared + "azp", nil},
		{"R158 one aud, another azp", es(members{"azp": "other"}), "ok", nil},

		{"AC-41 auth_time -1", es(members{"auth_time": -1}), badClaim + "auth_time", nil},
		{"AC-42 auth_time null", es(members{"auth_time": null}), badClaim + "auth_time", nil},
		{"AC-43 auth_time text", es(members{"auth_time": "1"}), badClaim + "auth_time", nil},
		{"AC-44 auth_time array", es(members{"auth_time": []int{}}), badClaim + "auth_time", nil},
		{"AC-45 auth_time object", es(members{"auth_time": members{}}), badClaim + "auth_time", nil},
		{"AC-46 auth_time true", es(members{"auth_time": true}), badClaim + "auth_time", nil},
		{"R159 auth_time 0", es(members{"auth_time": 0}), "ok", nil},
		{"R155 auth_time required", valid, badClaim + "auth_time", func(_ *grant.AuthorizationServer, client *grant.Client) { client.RequireAuthTime = true }},
		{"R155 auth_time required, there", es(members{"auth_time": 5}), "ok", func(_ *grant.AuthorizationServer, client *grant.Client) { client.RequireAuthTime = true }},
		{"R155 auth_time required by DefaultMaxAge", valid, badClaim + "auth_time", func(_ *grant.AuthorizationServer, client *grant.Client) { client.DefaultMaxAge = new(60) }},

		{"at_hash of another token", es(members{"at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng"}), compared + "at_hash", nil},
		{"at_hash null", es(members{"at_hash": null}), compared + "at_hash", nil},
		{"at_hash right", es(members{"at_hash": half256("token")}), "ok", nil},
		{"at_hash right, with padding", es(members{"at_hash": half256("token") + "=="}), compared + "at_hash", nil},
		{"at_hash of EdDSA", mint("EdDSA", idClaims(members{"at_hash": half512("token")})), "ok", nil},
		{"at_hash of EdDSA made with SHA-256", mint("EdDSA", idClaims(members{"at_hash": half256("token")})), compared + "at_hash", nil},
		{"R160 c_hash and s_hash are not looked at", es(members{"c_hash": "x", "s_hash": 5, "acr": null}), "ok", nil},

		{"signature empty", parts[0] + "." + parts[1] + ".", wrongSig, nil},
		{"AC-26 RT-26 DEV-46 random signature: stricter, it is verified", parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), wrongSig, nil},
		{"payload of another token", parts[0] + "." + strings.Split(es(members{"sub": "other"}), ".")[1] + "." + parts[2], wrongSig, nil},
		{"header of another token", strings.Split(header(members{"x": 1}), ".")[0] + "." + parts[1] + "." + parts[2], wrongSig, nil},
	}
	for _, processor := range processors {
		for _, test := range tests {
			t.Run(processor.name+" "+test.name, func(t *testing.T) {
				p := newProvider("")
				p.jwks = always(200, jwks(jwkES, jwkEd))
				as, client := newServer(), newClient(p)
				if test.setup != nil {
					test.setup(as, client)
				}
				token, err := processor.process(t, as, client, response(200, tokenBody(test.token)))
				wantOutcome(t, err, test.want)
				if err == nil && (token.IDToken.Subject != subject || token.IDToken.Claims(&members{}) != nil) {
					t.Errorf("subject %q", token.IDToken.Subject)
				}
				// Keys are fetched for a token that is right in all else.
				if fetched := len(p.requests("/jwks")); fetched > 0 && test.want != "ok" && test.want != wrongSig {
					t.Errorf("%d requests for keys", fetched)
				}
			})
		}
	}
}

func half256(s string) string { sum := sha256.Sum256([]byte(s)); return b64(sum[:16]) }
func half512(s string) string { sum := sha512.Sum512([]byte(s)); return b64(sum[:32]) }

// AC-29 to AC-33, RT-29 to RT-33, R150, R151, H05.
func TestIDTokenAlg(t *testing.T) {
	unsigned := func(alg string) string {
		return mintHeader(members{"alg": alg}, idClaims(nil))
	}
	tests := []struct {
		name   string
		client string
		listed []string // nil: the server lists none
		token  string
		want   string
	}{
		{"AC-27 server lists it", "", []string{"ES256"}, unsigned("ES256"), "ok"},
		{"AC-29 RT-29 DEV-49 client names it", "ES256", nil, unsigned("ES256"), "ok"},
		{"AC-30 RT-30 DEV-50 RS256 by default", "", nil, unsigned("RS256"), "ok"},
		{"AC-31 RT-31 DEV-51 nothing but RS256 by default", "", nil, unsigned("ES256"), wrongAlg},
		{"AC-32 RT-32 DEV-52 server lists another", "", []string{"RS256"}, unsigned("ES256"), wrongAlg},
		{"AC-33 RT-33 DEV-53 client names another", "RS256", nil, unsigned("ES256"), wrongAlg},
		{"R150 the client wins over the server", "ES256", []string{"RS256"}, unsigned("ES256"), "ok"},
		{"R150 the client wins over the server, the other way", "RS256", []string{"ES256"}, unsigned("ES256"), wrongAlg},
		{"R150 empty list", "", []string{}, unsigned("RS256"), wrongAlg},
		{"H05 none, listed", "", []string{"none", "RS256"}, mintHeader(members{"alg": "none"}, idClaims(nil)), noSuchAlg},
		{"H05 none, not listed", "", nil, mintHeader(members{"alg": "none"}, idClaims(nil)), wrongAlg},
		{"H05 none, named by the client: stricter, never", "none", nil, mintHeader(members{"alg": "none"}, idClaims(nil)), noSuchAlg},
		{"H05 HS256, listed", "", []string{"HS256"}, unsigned("HS256"), noSuchAlg},
		{"H05 HS256, named by a client without a secret", "HS256", nil, unsigned("HS256"), noSuchAlg},
		{"alg missing", "", nil, mintHeader(members{}, idClaims(nil)), wrongAlg},
		{"alg missing, empty one listed", "", []string{""}, mintHeader(members{}, idClaims(nil)), noSuchAlg},
		{"alg of a wrong type", "", nil, mintHeader(members{"alg": []string{"RS256"}}, idClaims(nil)), wrongAlg},
		{"alg in lower case", "", nil, mintHeader(members{"alg": "rs256"}, idClaims(nil)), wrongAlg},
	}
	for _, processor := range processors {
		for _, test := range tests {
			t.Run(processor.name+" "+test.name, func(t *testing.T) {
				as, client := newServer(), newClient(newProvider(""))
				as.IDTokenSigningAlgValuesSupported, client.IDTokenSignedResponseAlg = test.listed, test.client
				_, err := processor.process(t, as, client, response(200, tokenBody(test.token)))
				wantOutcome(t, err, test.want)
			})
		}
	}
}

// What a code grant demands beyond that: R162 to R168.
func TestIDTokenOfCodeGrant(t *testing.T) {
	now := time.Now().Unix()
	es := func(changes members) string { return mint("ES256", idClaims(changes)) }
	tests := []struct {
		name          string
		token         string
		opts          grant.ProcessAuthorizationCodeOptions
		defaultMaxAge *int
		want          string
	}{
		{"AC-37 nonce, none expected", es(members{"nonce": "randomvalue"}), grant.ProcessAuthorizationCodeOptions{}, nil, compared + "nonce"},
		{"R166 nonce null, none expected", es(members{"nonce": null}), grant.ProcessAuthorizationCodeOptions{}, nil, compared + "nonce"},
		{"R166 nonce empty, none expected", es(members{"nonce": ""}), grant.ProcessAuthorizationCodeOptions{}, nil, compared + "nonce"},
		{"AC-38 another nonce", es(members{"nonce": "randomvalue"}), grant.ProcessAuthorizationCodeOptions{ExpectedNonce: "anotherrandom-value"}, nil, compared + "nonce"},
		{"AC-39 no nonce", es(nil), grant.ProcessAuthorizationCodeOptions{ExpectedNonce: "randomvalue"}, nil, badClaim + "nonce"},
		{"AC-40 the nonce", es(members{"nonce": "randomvalue"}), grant.ProcessAuthorizationCodeOptions{ExpectedNonce: "randomvalue"}, nil, "ok"},
		{"R166 nonce null", es(members{"nonce": null}), grant.ProcessAuthorizationCodeOptions{ExpectedNonce: "randomvalue"}, nil, compared + "nonce"},
		{"R166 nonce number", es(members{"nonce": 5}), grant.ProcessAuthorizationCodeOptions{ExpectedNonce: "5"}, nil, compared + "nonce"},
		{"R167 nonce, ID token only demanded", es(members{"nonce": "x"}), grant.ProcessAuthorizationCodeOptions{RequireIDToken: true}, nil, compared + "nonce"},

		{"R164 no ID token, none demanded", "", grant.ProcessAuthorizationCodeOptions{}, nil, "ok"},
		{"R164 no ID token, demanded", "", grant.ProcessAuthorizationCodeOptions{RequireIDToken: true}, nil, badToken + "id_token"},
		{"R164 no ID token, nonce", "", grant.ProcessAuthorizationCodeOptions{ExpectedNonce: "n"}, nil, badToken + "id_token"},
		{"R164 no ID token, max_age", "", grant.ProcessAuthorizationCodeOptions{MaxAge: new(5)}, nil, badToken + "id_token"},
		{"R164 no ID token, DefaultMaxAge", "", grant.ProcessAuthorizationCodeOptions{}, new(5), "ok"},

		{"R163 max_age without auth_time", es(nil), grant.ProcessAuthorizationCodeOptions{MaxAge: new(60)}, nil, badClaim + "auth_time"},
		{"R165 signed in a minute ago, 100 s allowed", es(members{"auth_time": now - 60}), grant.ProcessAuthorizationCodeOptions{MaxAge: new(100)}, nil, "ok"},
		{"R165 signed in long ago", es(members{"auth_time": now - 140}), grant.ProcessAuthorizationCodeOptions{MaxAge: new(100)}, nil, timestamp + "auth_time"},
		{"R165 max_age 0 has the tolerance", es(members{"auth_time": now - 20}), grant.ProcessAuthorizationCodeOptions{MaxAge: new(0)}, nil, "ok"},
		{"R165 max_age 0", es(members{"auth_time": now - 40}), grant.ProcessAuthorizationCodeOptions{MaxAge: new(0)}, nil, timestamp + "auth_time"},
		{"R165 auth_time in the future", es(members{"auth_time": now + 600}), grant.ProcessAuthorizationCodeOptions{MaxAge: new(0)}, nil, "ok"},
		{"R167 DefaultMaxAge", es(members{"auth_time": now - 140}), grant.ProcessAuthorizationCodeOptions{}, new(100), timestamp + "auth_time"},
		{"R163 max_age wins over DefaultMaxAge", es(members{"auth_time": now - 140}), grant.ProcessAuthorizationCodeOptions{MaxAge: new(200)}, new(100), "ok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			as, client := newServer(), newClient(newProvider(""))
			client.DefaultMaxAge = test.defaultMaxAge
			_, err := grant.ProcessAuthorizationCodeResponse(t.Context(), as, client, response(200, tokenBody(test.token)), &test.opts)
			wantOutcome(t, err, test.want)
		})
	}
}

// R164: an unknown type is reported before a missing ID token.
func TestTokenTypeComesBeforeMissingIDToken(t *testing.T) {
	_, err := grant.ProcessAuthorizationCodeResponse(t.Context(), newServer(), newClient(nil),
		response(200, `{"access_token":"token","token_type":"x"}`), &grant.ProcessAuthorizationCodeOptions{RequireIDToken: true})
	wantOutcome(t, err, badType)
}

// The clock, to the second: R145, R147, R165, and section 0.2.
func TestIDTokenClock(t *testing.T) {
	const skew, tolerance = 1000 * time.Second, 5 * time.Second
	tests := []struct {
		name            string
		skew, tolerance time.Duration
		claims          func(now int64) members
		want            string
	}{
		{"R145 29 s after exp", 0, 0, func(now int64) members { return members{"exp": now - 29} }, "ok"},
		{"R145 30 s after exp", 0, 0, func(now int64) members { return members{"exp": now - 30} }, timestamp + "exp"},
		{"R147 30 s before nbf", 0, 0, func(now int64) members { return members{"nbf": now + 30} }, "ok"},
		{"R147 31 s before nbf", 0, 0, func(now int64) members { return members{"nbf": now + 31} }, timestamp + "nbf"},
		{"tolerance of 5 s", 0, tolerance, func(now int64) members { return members{"exp": now - 4} }, "ok"},
		{"tolerance of 5 s, over", 0, tolerance, func(now int64) members { return members{"exp": now - 5} }, timestamp + "exp"},
		{"no tolerance", 0, -1, func(now int64) members { return members{"exp": now + 1} }, "ok"},
		{"no tolerance, over", 0, -1, func(now int64) members { return members{"exp": now} }, timestamp + "exp"},
		{"clock behind", skew, 0, func(now int64) members { return members{"exp": now + 971, "nbf": now + 1030} }, "ok"},
		{"clock behind, over", skew, 0, func(now int64) members { return members{"exp": now + 970} }, timestamp + "exp"},
		{"clock ahead", -skew, 0, func(now int64) members { return members{"exp": now - 1029, "nbf": now - 970} }, "ok"},
		{"clock ahead, over", -skew, 0, func(now int64) members { return members{"nbf": now - 969} }, timestamp + "nbf"},
	}
	for _, test := range tests {
		t.Run(test.name, inBubble(func(t *testing.T) {
			as, client := newServer(), newClient(newProvider(""))
			client.ClockSkew, client.ClockTolerance = test.skew, test.tolerance
			token := mint("ES256", idClaims(test.claims(time.Now().Unix())))
			_, err := processors[0].process(t, as, client, response(200, tokenBody(token)))
			wantOutcome(t, err, test.want)
		}))
	}
}

// U02: a wrong clock is the person's to repair, so the text says how wrong.
func TestTimestampErrorTellsTheDifference(t *testing.T) {
	inBubble(func(t *testing.T) {
		token := mint("ES256", idClaims(members{"exp": time.Now().Unix() - 3600}))
		_, err := processors[0].process(t, newServer(), newClient(newProvider("")), response(200, tokenBody(token)))
		if err == nil || !strings.Contains(err.Error(), "by 3600 s") || !strings.Contains(err.Error(), "clock") {
			t.Errorf("got %v", err)
		}
	})(t)
}

// A time beyond every calendar is none.
func TestIDTokenTimeBeyondCalendars(t *testing.T) {
	token, err := processors[0].process(t, newServer(), newClient(newProvider("")), response(200, tokenBody(mint("ES256", idClaims(members{"exp": 1e300})))))
	if err != nil || !token.IDToken.Expiry.IsZero() {
		t.Errorf("%v, %v", token, err)
	}
}

func TestIDTokenFields(t *testing.T) {
	now := time.Now().Unix()
	raw := mint("ES256", idClaims(members{"aud": []string{"other", clientID}, "azp": clientID, "auth_time": 5.5, "name": "Zoë", "exp": now + 60}))
	token, err := processors[0].process(t, newServer(), newClient(newProvider("")), response(200, tokenBody(raw)))
	if err != nil {
		t.Fatal(err)
	}
	id := token.IDToken
	if id.Raw != grant.Secret(raw) || id.Issuer != issuer || id.Subject != subject || !reflect.DeepEqual(id.Audience, []string{"other", clientID}) ||
		id.Expiry.Unix() != now+60 || id.IssuedAt.Unix() != now || !id.AuthTime.Equal(time.UnixMilli(5500)) {
		t.Errorf("got %#v", *id)
	}
	var claims struct{ Name string }
	if err := id.Claims(&claims); err != nil || claims.Name != "Zoë" {
		t.Errorf("claims %+v, %v", claims, err)
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](id.Claims(&[]string{})); !ok {
		t.Error("claims were decoded into an array")
	}
	for name, made := range map[string]*grant.IDToken{"AC-28 RT-28 DEV-48 not what a process function returned": {Raw: grant.Secret(raw)}, "none": nil} {
		t.Run(name, func(t *testing.T) { wantOutcome(t, made.Claims(&claims), "argument") })
	}
}

// FuzzIDToken: no change to a token that the issuer signed leaves it valid, but
// the one that changes nothing. The algorithms are those whose signatures cannot
// be altered and stay valid, as those of ECDSA can.
func FuzzIDToken(f *testing.F) {
	algs := []string{"RS256", "EdDSA", "PS256"}
	tokens := map[string]string{}
	for _, alg := range algs {
		tokens[alg] = mint(alg, idClaims(members{"exp": time.Now().Add(24 * time.Hour).Unix()}))
	}
	f.Add(0, 0, 0, "")                                     // nothing
	f.Add(0, 0, 20, b64([]byte(`{"alg":"none"}`)))         // another header
	f.Add(1, 0, 0, "\n")                                   // a line break
	f.Add(1, 1<<30, 0, "=")                                // padding
	f.Add(2, 1<<30, 0, ".")                                // a fourth part
	f.Add(2, 100, 4, "AAAA")                               // another payload
	f.Add(0, 0, 1<<30, mint("ES256", members{"iss": "x"})) // another token
	p := newProvider("")
	p.jwks = always(200, jwks(jwkRS, jwkEd))
	as, client := newServer(), newClient(p)
	f.Fuzz(func(t *testing.T, alg, at, remove int, insert string) {
		valid := tokens[algs[uint(alg)%uint(len(algs))]]
		from := min(max(at, 0), len(valid))
		to := from + min(max(remove, 0), len(valid)-from)
		changed := valid[:from] + insert + valid[to:]
		token, err := processors[0].process(t, as, client, response(200, tokenBody(changed)))
		if accepted := err == nil && token.IDToken != nil; accepted != (changed == valid) {
			t.Errorf("accepted %t (%v): %q instead of %q", accepted, err, changed, valid)
		}
	})
}

func BenchmarkIDToken(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			p := newProvider("")
			p.jwks = always(200, jwks(jwkRS, jwkES, jwkEd))
			as, client := newServer(), newClient(p)
			body := tokenBody(mint(alg, idClaims(members{"exp": time.Now().Add(time.Hour).Unix()})))
			for b.Loop() {
				if _, err := grant.ProcessAuthorizationCodeResponse(b.Context(), as, client, response(200, body), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
