package grant_test

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// CA-01 to CA-03 and CA-11, through the revocation endpoint as there.
func TestClientAuth(t *testing.T) {
	const odd = "client %&+-_.!~*'()"
	const oddEncoded = "client+%25%26%2B%2D%5F%2E%21%7E%2A%27%28%29"
	tests := []struct {
		name, clientID string
		auth           grant.ClientAuth
		basic          string // the decoded credentials
		form           url.Values
	}{
		{"CA-01 basic", "c", grant.ClientSecretBasic("foo"), "c:foo", nil},
		{"CA-02 basic, odd characters", odd, grant.ClientSecretBasic(odd), oddEncoded + ":" + oddEncoded, nil},
		{"R083 basic, not ASCII", "a:b c", grant.ClientSecretBasic("pä ß:ö/€"), "a%3Ab+c:p%C3%A4+%C3%9F%3A%C3%B6%2F%E2%82%AC", nil},
		{"CA-03 post", "c", grant.ClientSecretPost("foo"), "", url.Values{"client_id": {"c"}, "client_secret": {"foo"}}},
		{"CA-11 none", "c", grant.None(), "", url.Values{"client_id": {"c"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider("")
			client := newClient(p)
			client.ClientID = test.clientID
			opts := &grant.TokenEndpointRequestOptions{ClientAuth: test.auth}
			if _, err := grant.RevocationRequest(t.Context(), newServer(), client, "token", "", opts); err != nil {
				t.Fatal(err)
			}
			r := p.one(t, "/revoke")
			for _, name := range []string{"client_id", "client_secret"} {
				if got, want := r.form.Get(name), test.form.Get(name); got != want {
					t.Errorf("body has %s=%q, want %q", name, got, want)
				}
			}
			header := r.header.Get("Authorization")
			credentials, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(header, "Basic "))
			if err != nil || string(credentials) != test.basic || strings.HasPrefix(header, "Basic ") != (test.basic != "") {
				t.Errorf("Authorization %q holds %q, want %q", header, credentials, test.basic)
			}
			if !regexp.MustCompile(`^[A-Za-z0-9%+]*:?[A-Za-z0-9%+]*$`).Match(credentials) {
				t.Errorf("credentials %q are not form-encoded", credentials)
			}
		})
	}
}

func TestBasicVectors(t *testing.T) {
	for credentials, want := range map[[2]string]string{
		{"c", "foo"}:          "Basic Yzpmb28=",
		{"a:b c", "pä ß:ö/€"}: "Basic YSUzQWIrYzpwJUMzJUE0KyVDMyU5RiUzQSVDMyVCNiUyRiVFMiU4MiVBQw==",
	} {
		p := newProvider(tokenBody(""))
		client := newClient(p)
		client.ClientID, client.Auth = credentials[0], grant.ClientSecretBasic(grant.Secret(credentials[1]))
		if _, err := senders[1].send(t.Context(), t, newServer(), client, nil); err != nil {
			t.Fatal(err)
		}
		if got := p.one(t, "/token").header.Get("Authorization"); got != want {
			t.Errorf("%v: %q, want %q", credentials, got, want)
		}
	}
}

// How the method is chosen: section 2.2 of the specification, D01 to D04.
func TestClientAuthChoice(t *testing.T) {
	basicAndPost := []string{"client_secret_basic", "client_secret_post"}
	tests := []struct {
		name, method string
		secret       grant.Secret
		key          crypto.Signer
		auth         grant.ClientAuth
		override     grant.ClientAuth
		offered      []string
		want         string // "none", "basic", "post", "assertion", or an outcome
	}{
		{name: "D02 public client", want: "none"},
		{name: "D02 public client of a server that does not list none", offered: basicAndPost, want: "none"},
		{name: "D02 secret", secret: "s", want: "basic"},
		{name: "R088 secret, server lists others", secret: "s", offered: []string{"private_key_jwt"}, want: "basic"},
		{name: "secret, server wants post", secret: "s", offered: []string{"client_secret_post"}, want: "post"},
		{name: "secret, server takes both", secret: "s", offered: basicAndPost, want: "post"}, // the client_id has a colon
		{name: "secret, server takes both and client_secret_jwt", secret: "s", offered: append(basicAndPost, "client_secret_jwt"), want: "post"},
		{name: "secret, server takes client_secret_jwt only", secret: "s", offered: []string{"private_key_jwt", "client_secret_jwt"}, want: "assertion"},
		{name: "secret, server takes basic and client_secret_jwt", secret: "s", offered: []string{"client_secret_jwt", "client_secret_basic"}, want: "basic"},
		{name: "secret, server lists nothing", secret: "s", offered: []string{}, want: "basic"},
		{name: "key", key: keyES, want: "assertion"},
		{name: "R088 key, server lists others", key: keyES, offered: basicAndPost, want: "assertion"},
		{name: "D01 method private_key_jwt", method: "private_key_jwt", key: keyES, want: "assertion"},
		{name: "D01 method client_secret_jwt", method: "client_secret_jwt", secret: "s", want: "assertion"},
		{name: "D03 a key does not matter to other methods", method: "none", key: keyES, want: "none"},
		{name: "D03 tls_client_auth", method: "tls_client_auth", want: "none"},
		{name: "D03 self_signed_tls_client_auth", method: "self_signed_tls_client_auth", key: keyES, want: "none"},
		{name: "D01 method none", method: "none", want: "none"},
		{name: "D01 method basic", method: "client_secret_basic", secret: "s", offered: []string{"client_secret_post"}, want: "basic"},
		{name: "D01 method post", method: "client_secret_post", secret: "s", want: "post"},
		{name: "D01 Auth wins over the method", method: "client_secret_post", secret: "s", auth: grant.ClientSecretBasic("t"), want: "basic"},
		{name: "D01 the call wins over Auth", auth: grant.ClientSecretBasic("t"), override: grant.None(), want: "none"},
		{name: "D03 unknown method", method: "client_secret_md5", secret: "s", want: "argument"},
		{name: "D03 unknown method without a secret", method: "client_secret_md5", want: "argument"},
		{name: "D04 none with a secret", method: "none", secret: "s", want: "argument"},
		{name: "D04 basic without a secret", method: "client_secret_basic", want: "argument"},
		{name: "D04 post without a secret", method: "client_secret_post", want: "argument"},
		{name: "R082 empty secret for basic", auth: grant.ClientSecretBasic(""), want: "argument"},
		{name: "R081 empty secret for post", override: grant.ClientSecretPost(""), want: "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(tokenBody(""))
			as, client := newServer(), newClient(p)
			as.TokenEndpointAuthMethodsSupported = test.offered
			client.TokenEndpointAuthMethod, client.ClientSecret, client.Auth = test.method, test.secret, test.auth
			client.Key = test.key
			_, err := senders[1].send(t.Context(), t, as, client, &grant.TokenEndpointRequestOptions{ClientAuth: test.override})
			if err != nil {
				wantOutcome(t, err, test.want)
				return
			}
			got, r := "none", p.one(t, "/token")
			if r.form.Has("client_secret") {
				got = "post"
			}
			if r.header.Get("Authorization") != "" {
				got = "basic"
			}
			if r.form.Has("client_assertion") {
				got = "assertion"
			}
			if got != test.want {
				t.Errorf("%s was used, want %s", got, test.want)
			}
		})
	}
}

// With credentials that every server decodes alike, basic is used, as every
// server has to know it.
func TestClientAuthPrefersBasic(t *testing.T) {
	p := newProvider(tokenBody(""))
	as, client := newServer(), newClient(p)
	as.TokenEndpointAuthMethodsSupported = []string{"client_secret_post", "client_secret_basic"}
	client.ClientID, client.ClientSecret = "app", "s3cret"
	if _, err := senders[1].send(t.Context(), t, as, client, nil); err != nil {
		t.Fatal(err)
	}
	if r := p.one(t, "/token"); r.header.Get("Authorization") == "" || r.form.Has("client_secret") {
		t.Errorf("basic was not used: %v", r.form)
	}
}

func TestUnknownMethodIsNamed(t *testing.T) {
	client := newClient(newProvider(""))
	client.TokenEndpointAuthMethod = "client_secret_md5"
	_, err := senders[1].send(t.Context(), t, newServer(), client, nil)
	if err == nil || !strings.Contains(err.Error(), `"client_secret_md5" is not supported`) {
		t.Errorf("got %v", err)
	}
}

func TestClientAuthMethod(t *testing.T) {
	for want, auth := range map[string]grant.ClientAuth{
		"none": grant.None(), "client_secret_basic": grant.ClientSecretBasic("s"), "client_secret_post": grant.ClientSecretPost("s"),
		"client_secret_jwt": grant.ClientSecretJWT("s"), "private_key_jwt": grant.PrivateKeyJWT(keyES, ""),
		"tls_client_auth": grant.TLSClientAuth(), "self_signed_tls_client_auth": grant.SelfSignedTLSClientAuth(),
	} {
		if got := auth.Method(); got != want {
			t.Errorf("method %q, want %q", got, want)
		}
		if got := fmt.Sprint(auth); got != want && want != "none" {
			t.Errorf("%q is printed for the method %q", got, want)
		}
	}
}
