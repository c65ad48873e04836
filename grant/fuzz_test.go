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
