package grant_test

import (
	"net/http"
	"net/url"
	"reflect"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// R182: how a token is presented.
func TestTokenAuthorize(t *testing.T) {
	d := newDPoP(t, keyES)
	for _, test := range []struct {
		name   string
		token  *grant.Token
		url    string
		header http.Header
		want   string // the Authorization header, or an outcome
		proof  bool
	}{
		{"bearer", &grant.Token{AccessToken: "token", TokenType: "bearer"}, "https://rs.example.com/", nil, "Bearer token", false},
		{"a type of no server", &grant.Token{AccessToken: "token"}, "https://rs.example.com/", nil, "Bearer token", false},
		{"in other letters", &grant.Token{AccessToken: "token", TokenType: "Bearer"}, "https://rs.example.com/", nil, "Bearer token", false},
		{"bearer with a key for the refresh token", &grant.Token{AccessToken: "token", TokenType: "bearer", DPoP: d}, "https://rs.example.com/", nil, "Bearer token", false},
		{"dpop", bound(d), "https://rs.example.com/", http.Header{"Foo": {"bar"}}, "DPoP token", true},
		{"dpop in other letters", &grant.Token{AccessToken: "token", TokenType: "DPoP", DPoP: d}, "https://rs.example.com/", nil, "DPoP token", true},
		{"R016 a proof of the caller's is replaced", bound(d), "https://rs.example.com/", http.Header{"Dpop": {"foo"}}, "DPoP token", true},
		{"http on loopback", bound(d), "http://127.0.0.1:8080/", nil, "DPoP token", true},
		{"dpop without the key", &grant.Token{AccessToken: "token", TokenType: "dpop"}, "https://rs.example.com/", nil, "argument", false},
		{"another type", &grant.Token{AccessToken: "token", TokenType: "mac"}, "https://rs.example.com/", nil, "argument", false},
		{"no access token", &grant.Token{TokenType: "bearer"}, "https://rs.example.com/", nil, "argument", false},
		{"nil", nil, "https://rs.example.com/", nil, "argument", false},
		{"Authorization is taken", &grant.Token{AccessToken: "token"}, "https://rs.example.com/", http.Header{"Authorization": {"Basic x"}}, "argument", false},
		{"http", &grant.Token{AccessToken: "token"}, "http://rs.example.com/", nil, "OAUTH_HTTP_REQUEST_FORBIDDEN url.scheme", false},
		{"http, dpop", bound(d), "http://rs.example.com/", nil, "OAUTH_HTTP_REQUEST_FORBIDDEN url.scheme", false},
		{"ftp", bound(d), "ftp://rs.example.com/", nil, "OAUTH_REQUEST_PROTOCOL_FORBIDDEN url.scheme", false},
		{"T07 no ASCII", bound(d), "https://bücher.example/", nil, "argument", false},
		{"T08 no host", bound(d), "https:///x", nil, "argument", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := http.NewRequest("GET", test.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if test.header != nil {
				req.Header = test.header
			}
			before := req.Header.Clone()
			if err := test.token.Authorize(req); err != nil {
				wantOutcome(t, err, test.want)
				if !reflect.DeepEqual(req.Header, before) {
					t.Errorf("header %v", req.Header)
				}
				return
			}
			if got := req.Header.Get("Authorization"); got != test.want {
				t.Errorf("Authorization %q, want %q", got, test.want)
			}
			if proof := req.Header.Get("DPoP"); (proof != "") != test.proof {
				t.Errorf("DPoP %q", proof)
			} else if test.proof {
				openProof(t, proof)
			}
		})
	}
}

// DPOP-03: a proof that somebody else makes.
func TestTokenAuthorizeWithForeignProof(t *testing.T) {
	req, err := http.NewRequest("GET", "https://rs.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("DPoP", "foo")
	if err := (&grant.Token{AccessToken: "token", TokenType: "dpop"}).Authorize(req); err != nil {
		t.Fatal(err)
	}
	if req.Header.Get("Authorization") != "DPoP token" || req.Header.Get("DPoP") != "foo" {
		t.Errorf("DPOP-03: header %v", req.Header)
	}
}

func TestTokenAuthorizeNothing(t *testing.T) {
	token := &grant.Token{AccessToken: "token"}
	wantOutcome(t, token.Authorize(nil), "argument")
	wantOutcome(t, token.Authorize(&http.Request{}), "argument")
	req, err := http.NewRequest("GET", "https://rs.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = nil
	wantOutcome(t, token.Authorize(req), "ok")
}

// A request without a method is a GET.
func TestTokenAuthorizeWithoutMethod(t *testing.T) {
	req := &http.Request{URL: &url.URL{Scheme: "https", Host: "rs.example.com"}}
	if err := bound(newDPoP(t, keyES)).Authorize(req); err != nil {
		t.Fatal(err)
	}
	if claims, _ := openProof(t, req.Header.Get("DPoP")); claims["htm"] != "GET" {
		t.Errorf("htm %v", claims["htm"])
	}
}
