package grant_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// nonceOf is the nonce that the next proof for a URL has, nil for none.
func nonceOf(t testing.TB, d *grant.DPoP, url string) any {
	t.Helper()
	claims, _ := openProof(t, authorized(t, bound(d), "GET", url).Header.Get("DPoP"))
	return claims["nonce"]
}

// answered has the handle see a response.
func answered(t testing.TB, d *grant.DPoP, url string, status int, header ...string) (again bool) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return bound(d).Observe(req, response(status, "", header...))
}

// DPOP-02, R175: nonces are those of an origin, from whatever answer came last.
func TestDPoPNonce(t *testing.T) {
	d := newDPoP(t, keyES)
	for i, step := range []struct {
		url, nonce string // of an answer
		status     int
		probe      string
		want       any
	}{
		{"https://rs.example.com/a", "", 401, "https://rs.example.com/a", nil},
		{"https://rs.example.com/a", "foo", 401, "https://rs.example.com/b?c", "foo"},
		{"https://RS.example.com:443/c", "bar", 200, "https://rs.example.com/a", "bar"},
		{"https://rs.example.com/", "", 200, "https://rs.example.com/", "bar"},
		{"https://rs.example.com/", "baz", 500, "https://rs.example.com/", "baz"},
		{"https://rs.example.com:8443/", "x", 204, "https://rs.example.com/", "baz"},
		{"https://rs.example.com/", "qux", 302, "https://rs.example.com:8443/", "x"},
		{"http://localhost/", "y", 200, "https://localhost/", nil},
		{"https://as.example.com/", "z", 200, "https://rs.example.com/", "qux"},
		{"https://rs.example.com/", "with \"quotes\"", 200, "https://rs.example.com/", "qux"},
		{"https://rs.example.com/", "with blank", 200, "https://rs.example.com/", "qux"},
		{"https://rs.example.com/", "n\u00e4h", 200, "https://rs.example.com/", "qux"},
		{"https://rs.example.com/", `with"quote`, 200, "https://rs.example.com/", "qux"},
		{"https://rs.example.com/", `with\backslash`, 200, "https://rs.example.com/", "qux"},
		{"https://rs.example.com/", "!#[]~", 200, "https://rs.example.com/", "!#[]~"},
	} {
		header := []string{}
		if step.nonce != "" {
			header = []string{"DPoP-Nonce", step.nonce}
		}
		answered(t, d, step.url, step.status, header...)
		if got := nonceOf(t, d, step.probe); got != step.want {
			t.Errorf("DPOP-02, step %d: nonce %v, want %v", i, got, step.want)
		}
	}
	if got := nonceOf(t, newDPoP(t, keyES), "https://rs.example.com/"); got != nil {
		t.Errorf("another handle has the nonce %v", got)
	}
}

// R175: at most 100 origins; the one that was not used for longest goes.
func TestDPoPNonceOrigins(t *testing.T) {
	d := newDPoP(t, keyES)
	origin := func(i int) string { return fmt.Sprintf("https://rs%d.example.com/", i) }
	for i := range 100 {
		answered(t, d, origin(i), 200, "DPoP-Nonce", fmt.Sprint(i))
	}
	nonceOf(t, d, origin(0))                              // read
	answered(t, d, origin(1), 200, "DPoP-Nonce", "again") // written
	answered(t, d, origin(100), 200, "DPoP-Nonce", "100")
	for i, want := range map[int]any{0: "0", 1: "again", 2: nil, 3: "3", 99: "99", 100: "100"} {
		if got := nonceOf(t, d, origin(i)); got != want {
			t.Errorf("%d: nonce %v, want %v", i, got, want)
		}
	}
}

// R176 at an API: which answers ask for the request again.
func TestObserve(t *testing.T) {
	const nonce = `DPoP error="use_dpop_nonce"`
	for _, test := range []struct {
		name      string
		status    int
		challenge []string
		noNonce   bool
		want      bool
	}{
		{"the challenge", 401, []string{nonce}, false, true},
		{"with more words", 401, []string{nonce + `, error_description="x", algs="ES256"`}, false, true},
		{"in other letters", 401, []string{`dpop ERROR=use_dpop_nonce`}, false, true},
		{"without a nonce", 401, []string{nonce}, true, false},
		{"two challenges", 401, []string{nonce + ", Bearer"}, false, false},
		{"two headers", 401, []string{nonce, "Bearer"}, false, false},
		{"bearer", 401, []string{`Bearer error="use_dpop_nonce"`}, false, false},
		{"another error", 401, []string{`DPoP error="invalid_token"`}, false, false},
		{"no challenge", 401, nil, false, false},
		{"a good answer", 200, []string{nonce}, false, false},
		{"a redirect", 302, []string{nonce}, false, false},
		{"malformed", 401, []string{nonce + ", ???"}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp := response(test.status, "", "DPoP-Nonce", "n")
			if test.noNonce {
				resp.Header.Del("DPoP-Nonce")
			}
			for _, challenge := range test.challenge {
				resp.Header.Add("WWW-Authenticate", challenge)
			}
			req, err := http.NewRequest("GET", "https://rs.example.com/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := bound(newDPoP(t, keyES)).Observe(req, resp); got != test.want {
				t.Errorf("again: %v, want %v", got, test.want)
			}
			for _, token := range []*grant.Token{nil, {}, {AccessToken: "token", TokenType: "bearer", DPoP: newDPoP(t, keyES)}, {AccessToken: "token", TokenType: "dpop"}} {
				if token.Observe(req, resp) {
					t.Error("a request without a proof is to be sent again")
				}
			}
			if bound(newDPoP(t, keyES)).Observe(req, nil) || bound(newDPoP(t, keyES)).Observe(nil, resp) {
				t.Error("nothing is to be sent again")
			}
		})
	}
}

// A client that follows redirects brings the answer of another server, whose nonce
// is none of the first one's.
func TestObserveRedirected(t *testing.T) {
	const api = "https://rs.example.com/"
	for final, want := range map[string]any{"https://evil.example/": nil, "http://rs.example.com/": nil, "https://RS.example.com:443/there": "n"} {
		d := newDPoP(t, keyES)
		req, err := http.NewRequest("GET", api, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp := response(401, "", "DPoP-Nonce", "n", "WWW-Authenticate", `DPoP error="use_dpop_nonce"`)
		if resp.Request, err = http.NewRequest("GET", final, nil); err != nil {
			t.Fatal(err)
		}
		if again := bound(d).Observe(req, resp); again != (want != nil) {
			t.Errorf("%s: again: %v", final, again)
		}
		if got := nonceOf(t, d, api); got != want {
			t.Errorf("%s: the nonce of the API is %v, want %v", final, got, want)
		}
	}
}

// R176, R177: what leads to a second token request with a code, and that there is
// never a third. Nothing else does.
func TestDPoPNonceRefusals(t *testing.T) {
	const demand = `{"error":"use_dpop_nonce"}`
	nonce := []string{"DPoP-Nonce", "n-1"}
	with := func(header ...string) []string { return append(slices.Clone(nonce), header...) }
	const challenge = `DPoP error="use_dpop_nonce"`
	for _, test := range []struct {
		name   string
		status int
		body   string
		header []string
		want   string
		sent   int
	}{
		{"400", 400, demand, nonce, "refused use_dpop_nonce", 2},
		{"401", 401, demand, nonce, "refused use_dpop_nonce", 2},
		{"428", 428, demand, nonce, "refused use_dpop_nonce", 2},
		{"the challenge", 401, ``, with("WWW-Authenticate", challenge), "refused use_dpop_nonce", 2},
		{"both", 401, demand, with("WWW-Authenticate", challenge), "refused use_dpop_nonce", 2},
		{"without a nonce", 400, demand, nil, "refused use_dpop_nonce", 1},
		{"an empty nonce", 400, demand, []string{"DPoP-Nonce", ""}, "refused use_dpop_nonce", 1},
		{"another error with a nonce", 400, `{"error":"invalid_grant"}`, nonce, "refused invalid_grant", 1},
		{"another error about the proof", 400, `{"error":"invalid_dpop_proof"}`, nonce, "refused invalid_dpop_proof", 1},
		{"two challenges", 401, ``, with("WWW-Authenticate", challenge+", Basic"), "refused use_dpop_nonce", 1},
		{"two challenges and the error", 401, demand, with("WWW-Authenticate", challenge+", Basic"), "refused use_dpop_nonce", 1},
		{"bearer", 401, ``, with("WWW-Authenticate", `Bearer error="use_dpop_nonce"`), "refused use_dpop_nonce", 1},
		{"not JSON", 400, demand, with("Content-Type", "text/plain"), notJSON4xx, 1},
		{"500", 500, demand, nonce, notConform, 1},
		{"302", 302, demand, with("Location", "https://elsewhere.example/"), notConform, 1},
		{"200", 200, demand, nonce, "refused use_dpop_nonce", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, client := newDPoPClient(t)
			p.token = always(test.status, test.body, test.header...)
			_, _, err := dpopLogin(t, client)
			wantOutcome(t, err, test.want)
			if n := len(p.requests("/token")); n != test.sent {
				t.Errorf("%d token requests, want %d", n, test.sent)
			}
			if grant.LoginRequired(err) != (test.want == "refused invalid_grant" || test.name == "not JSON") {
				t.Errorf("login required: %v", grant.LoginRequired(err))
			}
			// A refresh is repeated by the same rules.
			_, err = client.Refresh(t.Context(), &grant.Token{RefreshToken: "refresh token", DPoP: newDPoP(t, keyES)})
			wantOutcome(t, err, test.want)
			if n := len(p.requests("/token")); n != 2*test.sent {
				t.Errorf("%d token requests with those of a refresh, want %d", n, 2*test.sent)
			}
			// Without a key nothing is repeated.
			client.DPoPBoundAccessTokens = false
			_, _, err = dpopLogin(t, client)
			wantOutcome(t, err, test.want)
			if n := len(p.requests("/token")); n != 2*test.sent+1 {
				t.Errorf("a request without a proof was repeated")
			}
		})
	}
}

// The second answer is the one that counts, whatever it is.
func TestDPoPSecondAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		second endpoint
		want   string
	}{
		"refusal": {always(400, `{"error":"invalid_grant"}`), "refused invalid_grant"},
		"500":     {always(500, ``), notConform},
		"network": {func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded },
			"POST \"https://op.example.com/token\": context deadline exceeded"},
		"another nonce": {always(400, `{"error":"use_dpop_nonce"}`, "DPoP-Nonce", "n-2"), "refused use_dpop_nonce"},
	} {
		p, client := newDPoPClient(t)
		p.token = wantsNonce(t, "n-1", test.second)
		_, _, err := dpopLogin(t, client)
		if wantOutcome(t, err, test.want); len(p.requests("/token")) != 2 {
			t.Errorf("%s: %d token requests", name, len(p.requests("/token")))
		}
	}
}
