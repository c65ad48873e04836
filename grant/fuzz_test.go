package grant_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/oauth-login/oauth-login/grant"
)

// Whatever a metadata document says, it means the same when it is written again,
// and no request goes and nobody is sent to what is not https.
func FuzzMetadata(f *testing.F) {
	f.Add(`{"issuer":"https://op.example.com","authorization_endpoint":"https://op.example.com/a?x=1#y","token_endpoint":"https://op.example.com/t","jwks_uri":"https://op.example.com/j"}`)
	f.Add(`{"issuer":"https://a","authorization_endpoint":"javascript://%0aalert(1)","token_endpoint":"http://127.0.0.1/","mtls_endpoint_aliases":{"token_endpoint":null}}`)
	f.Add(`{"issuer":5,"token_endpoint":["x"],"scopes_supported":"x","code_challenge_methods_supported":["S256"],"require_signed_request_object":"false","ISSUER":"x"}`)
	f.Fuzz(func(t *testing.T, document string) {
		as := new(grant.AuthorizationServer)
		if json.Unmarshal([]byte(document), as) != nil {
			return
		}
		data, err := json.Marshal(as)
		if err != nil {
			t.Fatal(err)
		}
		again := new(grant.AuthorizationServer)
		if err := json.Unmarshal(data, again); err != nil {
			t.Fatal(err)
		}
		wantSameMetadata(t, again, as)
		p := newProvider("")
		client := newClient(p)
		client.Server, client.Scopes, client.AllowInsecureRequests = as, []string{"openid"}, false
		flow, err := client.Authorize(t.Context(), redirect)
		for _, r := range p.seen {
			if !strings.HasPrefix(r.url, "https://") {
				t.Errorf("%q: a request to %s", document, r.url)
			}
		}
		if err != nil {
			return
		}
		u, err := url.Parse(flow.URL)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
			t.Errorf("%q: the person is sent to %q", document, flow.URL)
		}
		params, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"redirect_uri": redirect, "client_id": clientID, "code_challenge_method": "S256", "response_type": "code", "scope": "openid"} {
			if !reflect.DeepEqual(params[name], []string{want}) {
				t.Errorf("%q: %s is %q", document, name, params[name])
			}
		}
	})
}

// Whatever else is in a key set, a key of the issuer's verifies its token, and a
// token of somebody else's is refused.
func FuzzKeys(f *testing.F) {
	for _, set := range []string{
		jwks(jwkES, jwkRS, jwkEd), `{"keys":[]}`, `{"keys":[null]}`, `{"keys":[{"kty":"oct","k":"AAAA"}]}`, `{"keys":{}}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","kid":5,"use":["sig"],"key_ops":"verify","alg":null}]}`,
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}],"keys":[]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"","d":""}]}`,
	} {
		f.Add(set, "")
	}
	f.Add(`{"keys":[]}`, "kid")
	stranger := strangersToken()
	good := func(kid string) string { return mintHeader(members{"alg": "ES256", "kid": kid}, idClaims(nil)) }
	f.Fuzz(func(t *testing.T, set, kid string) {
		p := newProvider("")
		p.jwks = always(200, set)
		if verify(t.Context(), newServer(), newClient(p), stranger) == nil {
			t.Errorf("%q verifies a token of somebody else's", set)
		}
		var document map[string]json.RawMessage
		var keys []json.RawMessage
		if !utf8.ValidString(set+kid) || json.Unmarshal([]byte(set), &document) != nil || json.Unmarshal(document["keys"], &keys) != nil {
			return
		}
		for _, key := range keys {
			if o := map[string]json.RawMessage(nil); json.Unmarshal(key, &o) != nil || o == nil {
				return // the whole set is refused
			}
		}
		ours, err := json.Marshal(jwkES.with(members{"kid": kid}))
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(map[string]any{"keys": append([]json.RawMessage{ours}, keys...)})
		if err != nil {
			t.Fatal(err)
		}
		p.jwks = always(200, string(data))
		if err := verify(t.Context(), newServer(), newClient(p), good(kid)); err != nil {
			t.Errorf("%s: %v", data, err)
		}
	})
}

// strangersToken is good but for its key.
func strangersToken() string {
	input := b64([]byte(`{"alg":"ES256"}`)) + "." + b64([]byte(idClaims(nil).json()))
	digest := sha256.Sum256([]byte(input))
	return input + "." + b64(signES(mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), digest[:]))
}

// FuzzJARM: no change to a signed response is accepted, and no input reaches the
// token endpoint but a signed one with the right state.
func FuzzJARM(f *testing.F) {
	f.Add(0, 0, 0, "", "")
	f.Add(0, 0, 20, b64([]byte(`{"alg":"none"}`)), "")
	f.Add(1, 1<<30, 0, ".", "&code=c&state=STATE")
	f.Add(1, 100, 4, "AAAA", "&response=x")
	f.Add(0, 0, 1<<30, "", "code=c&state=STATE")
	f.Add(0, 0, 1<<30, unsigned(responseClaims(members{"state": "STATE", "code": "c"})), "")
	algs := []string{"RS256", "EdDSA"}
	f.Fuzz(func(t *testing.T, alg, at, remove int, insert, query string) {
		p, client := jarming()
		p.jwks = always(200, jwks(jwkRS, jwkEd))
		client.Scopes, client.Server.AuthorizationSigningAlgValuesSupported = nil, algs
		p.token = always(200, tokenBody(""))
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		state := stateOf(t, flow)
		valid := mint(algs[uint(alg)%uint(len(algs))], responseClaims(members{"code": "the code", "state": state}))
		from := min(max(at, 0), len(valid))
		to := from + min(max(remove, 0), len(valid)-from)
		changed := valid[:from] + insert + valid[to:]
		params, err := grant.ParseAuthResponse("response=" + url.QueryEscape(changed) + strings.ReplaceAll(query, "STATE", state))
		if err != nil {
			return
		}
		accepted := reflect.DeepEqual(params["response"], []string{valid})
		if accepted && !flow.Ours(params) {
			t.Error("a valid response is not ours")
		}
		_, err = flow.Exchange(t.Context(), params)
		sent := p.requests("/token")
		if (err == nil) != accepted || (len(sent) == 1) != accepted || len(sent) > 1 {
			t.Errorf("%d token requests (%v) for %q", len(sent), err, params)
		}
		if accepted && sent[0].form.Get("code") != "the code" {
			t.Errorf("code %q", sent[0].form.Get("code"))
		}
	})
}
