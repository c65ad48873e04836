package grant_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// TestMetadataRevalidated: what the issuer says beside a login that has begun with
// metadata from the cache, before the code is sent to anybody.
func TestMetadataRevalidated(t *testing.T) {
	const moved = "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED metadata.endpoint"
	changed := func(changes members) endpoint { return always(200, metadataDocument(changes)) }
	tests := []struct {
		name   string
		answer endpoint
		want   string
		token  string // the path that the code is sent to, "" for none
		keys   string // the path of the keys in the end
		cached bool   // the next process need not ask first
	}{
		{"304", always(304, ""), "ok", "/token", "/jwks", true},
		{"the same", changed(nil), "ok", "/token", "/jwks", true},
		{"the same, and not to be kept any more", always(200, metadataDocument(nil), "Cache-Control", "no-store"), "ok", "/token", "/jwks", false},
		{"what we do not read", changed(members{"service_documentation": "x"}), "ok", "/token", "/jwks", true},
		{"another token endpoint", changed(members{"token_endpoint": issuer + "/token2"}), "ok", "/token2", "/jwks", true},
		{"other keys", changed(members{"jwks_uri": issuer + "/jwks2"}), "ok", "/token", "/jwks2", true},
		{"iss is promised now", changed(members{"authorization_response_iss_parameter_supported": true}), "OAUTH_INVALID_RESPONSE authorization_response.iss", "", "/jwks", true},
		{"another authorization endpoint", changed(members{"authorization_endpoint": issuer + "/authorize2"}), moved, "", "/jwks", true},
		{"no PKCE with S256", changed(members{"code_challenge_methods_supported": []string{"plain"}}),
			"OAUTH_UNSUPPORTED_OPERATION metadata.code_challenge_methods_supported", "", "/jwks", true},
		{"a token endpoint without TLS", changed(members{"token_endpoint": "http://op.example.com/token"}), "OAUTH_HTTP_REQUEST_FORBIDDEN url.scheme", "", "/jwks", true},
		{"no token endpoint", changed(members{"token_endpoint": nil}), "OAUTH_MISSING_SERVER_METADATA metadata.endpoint", "", "/jwks", true},
		{"another issuer", changed(members{"issuer": "https://evil.example", "token_endpoint": "https://evil.example/token"}), otherMetadata, "", "/jwks", false},
		{"no such page", always(404, ""), "ok", "/token", "/jwks", false},
		{"a page", always(200, "<html>", "Content-Type", "text/html"), "ok", "/token", "/jwks", false},
		{"no issuer", changed(members{"issuer": nil}), "ok", "/token", "/jwks", false},
		{"trouble", always(503, ""), "ok", "/token", "/jwks", true},
		{"too many requests", always(429, ""), "ok", "/token", "/jwks", true},
		{"no network", func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }, "ok", "/token", "/jwks", true},
	}
	for _, test := range tests {
		for _, warm := range []bool{true, false} {
			t.Run(test.name, func(t *testing.T) {
				p, cache := newPublished(nil, "ETag", `"1"`), &memoryCache{}
				authorizedBy(t, nextProcess(p, cache))
				client := nextProcess(p, cache)
				flow := authorizedBy(t, client)
				p.wantAsked(t, "before the browser", 1)
				signedIn(t, p, flow, nil)
				p.others["/token2"], p.others["/jwks2"], p.metadata = p.token, p.jwks, test.answer
				if warm {
					flow.Warm(t.Context())
				}
				_, err := flow.Exchange(t.Context(), redirectOf(t, flow))
				wantOutcome(t, err, test.want)
				for _, path := range []string{"/token", "/token2"} {
					if sent := len(p.requests(path)) == 1; sent != (path == test.token) {
						t.Errorf("the code was sent to %s: %t", path, sent)
					}
				}
				if warm && len(p.requests(test.keys)) == 0 {
					t.Errorf("nobody has asked for %s", test.keys)
				}
				if cache.has() != test.cached {
					t.Errorf("in the cache: %t", !test.cached)
				}
			})
		}
	}
}

// TestMetadataPromise: what was promised when the person was sent to the server
// holds, although the issuer does not promise it any more.
func TestMetadataPromise(t *testing.T) {
	p, cache := newPublished(members{"authorization_response_iss_parameter_supported": true}), &memoryCache{}
	authorizedBy(t, nextProcess(p, cache))
	flow := authorizedBy(t, nextProcess(p, cache))
	signedIn(t, p, flow, nil)
	p.metadata = always(200, metadataDocument(nil))
	_, err := flow.Exchange(t.Context(), redirectOf(t, flow))
	wantOutcome(t, err, "OAUTH_INVALID_RESPONSE authorization_response.iss")
}

// TestMetadataDoNotHoldUpTheRedirect: an issuer that does not answer is waited for,
// but not long.
func TestMetadataDoNotHoldUpTheRedirect(t *testing.T) {
	inBubble(func(t *testing.T) {
		p, cache := newPublished(nil), &memoryCache{}
		authorizedBy(t, nextProcess(p, cache))
		flow := authorizedBy(t, nextProcess(p, cache))
		signedIn(t, p, flow, nil)
		p.metadata = func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		var beside sync.WaitGroup
		beside.Go(func() { flow.KeepWarm(ctx) })
		came := time.Now()
		if _, err := flow.Exchange(t.Context(), redirectOf(t, flow)); err != nil {
			t.Error(err)
		}
		if waited := time.Since(came); waited != 3*time.Second {
			t.Errorf("waited for %v", waited)
		}
		cancel()
		beside.Wait()
	})(t)
}

// TestMetadataThatDoNotDo: nobody is refused for what was wrong yesterday.
func TestMetadataThatDoNotDo(t *testing.T) {
	p, cache := newPublished(members{"code_challenge_methods_supported": []string{"plain"}}), &memoryCache{}
	_, err := nextProcess(p, cache).Authorize(t.Context(), redirect)
	wantOutcome(t, err, "OAUTH_UNSUPPORTED_OPERATION metadata.code_challenge_methods_supported")
	p.metadata = always(200, metadataDocument(nil))
	authorizedBy(t, nextProcess(p, cache))
	p.wantAsked(t, "the second login", 2)
	authorizedBy(t, nextProcess(p, cache))
	p.wantAsked(t, "the third login", 2)
}

// TestMetadataDoubted: after a failure with metadata from the cache, the issuer is
// asked the next time. A refusal in the words of OAuth is none.
func TestMetadataDoubted(t *testing.T) {
	old := &grant.Token{AccessToken: "old", RefreshToken: "refresh"}
	tests := []struct {
		name   string
		answer endpoint
		do     func(t *testing.T, client *grant.Client) error
		kept   bool
	}{
		{"a token endpoint that is not there", always(404, "gone", "Content-Type", "text/plain"), refreshing(old), false},
		{"a host that is not there", func(*http.Request) (*http.Response, error) { return nil, errors.New("no such host") }, refreshing(old), false},
		{"a refresh token that is spent", always(400, `{"error":"invalid_grant"}`), refreshing(old), true},
		{"a token", always(200, tokenBody("")), refreshing(old), true},
		{"a revocation endpoint that is not there", always(404, ""), func(t *testing.T, client *grant.Client) error {
			return client.Revoke(t.Context(), "refresh", "refresh_token")
		}, false},
		{"a device endpoint that is not there", always(404, ""), func(t *testing.T, client *grant.Client) error {
			_, err := client.AuthorizeDevice(t.Context())
			return err
		}, false},
		{"userinfo that is not there", always(404, ""), func(t *testing.T, client *grant.Client) error {
			_, err := client.Userinfo(t.Context(), old)
			return err
		}, false},
		{"a login", always(404, ""), func(t *testing.T, client *grant.Client) error {
			flow := authorizedBy(t, client)
			_, err := flow.Exchange(t.Context(), redirectOf(t, flow))
			return err
		}, true}, // the issuer has just confirmed it
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, cache := newPublished(nil), &memoryCache{}
			authorizedBy(t, nextProcess(p, cache))
			p.token, p.revocation, p.others["/device"], p.others["/userinfo"] = test.answer, test.answer, test.answer, test.answer
			client := nextProcess(p, cache)
			err := test.do(t, client)
			if test.name != "a token" && err == nil {
				t.Error("it succeeded")
			}
			if cache.has() != test.kept {
				t.Errorf("%v: kept: %t", err, !test.kept)
			}
			before := len(p.requests(oidcPlace))
			if _, err := client.Discover(t.Context()); err != nil {
				t.Fatal(err)
			}
			if asked := len(p.requests(oidcPlace)) > before; asked == test.kept {
				t.Errorf("the next use asks: %t", asked)
			}
		})
	}
}

// TestRefreshAfterAMove: a refusal of an endpoint that the issuer does not name any
// more ends no login.
func TestRefreshAfterAMove(t *testing.T) {
	old := &grant.Token{AccessToken: "old", RefreshToken: "refresh"}
	spent := always(400, `{"error":"invalid_grant"}`)
	for name, test := range map[string]struct {
		first, then endpoint // the token endpoint that is kept, and the other one
		metadata    endpoint
		want        string
		sent        int // to the other one
		asked       int // for the metadata
	}{
		"moved":               {spent, always(200, tokenBody("")), always(200, metadataDocument(members{"token_endpoint": issuer + "/token2"})), "ok", 1, 1},
		"moved, and a page":   {always(401, "<html>", "Content-Type", "text/html"), always(200, tokenBody("")), always(200, metadataDocument(members{"token_endpoint": issuer + "/token2"})), "ok", 1, 1},
		"moved, and as spent": {spent, spent, always(200, metadataDocument(members{"token_endpoint": issuer + "/token2"})), "refused invalid_grant", 1, 1},
		"where it was":        {spent, nil, always(304, ""), "refused invalid_grant", 0, 1},
		"nobody knows":        {spent, nil, always(503, ""), "refused invalid_grant", 0, 1},
		"another issuer":      {spent, nil, always(200, metadataDocument(members{"issuer": "https://evil.example", "token_endpoint": issuer + "/token2"})), "refused invalid_grant", 0, 1},
		"busy":                {always(400, `{"error":"temporarily_unavailable"}`), nil, nil, "refused temporarily_unavailable", 0, 0},
		"good":                {always(200, tokenBody("")), nil, nil, "ok", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p, cache := newPublished(nil, "ETag", `"1"`), &memoryCache{}
			authorizedBy(t, nextProcess(p, cache))
			p.seen, p.metadata, p.token, p.others["/token2"] = nil, test.metadata, test.first, test.then
			_, err := nextProcess(p, cache).Refresh(t.Context(), old)
			wantOutcome(t, err, test.want)
			if first, then := len(p.requests("/token")), len(p.requests("/token2")); first != 1 || then != test.sent {
				t.Errorf("%d and %d token requests", first, then)
			}
			if asked := len(p.requests(oidcPlace)); asked != test.asked {
				t.Errorf("the metadata were asked for %d times", asked)
			}
		})
	}
}

func refreshing(old *grant.Token) func(t *testing.T, client *grant.Client) error {
	return func(t *testing.T, client *grant.Client) error {
		_, err := client.Refresh(t.Context(), old)
		return err
	}
}

// TestMetadataOfAnotherIssuer: the first login is refused at its end, and the next one
// of the same client before the person has signed in.
func TestMetadataOfAnotherIssuer(t *testing.T) {
	p, cache := newPublished(nil), &memoryCache{}
	authorizedBy(t, nextProcess(p, cache))
	client := nextProcess(p, cache)
	flow := authorizedBy(t, client)
	p.metadata = always(200, metadataDocument(members{"issuer": "https://evil.example"}))
	_, err := flow.Exchange(t.Context(), redirectOf(t, flow))
	wantOutcome(t, err, otherMetadata)
	_, err = client.Authorize(t.Context(), redirect)
	wantOutcome(t, err, otherMetadata)
}

// TestMetadataResumed: a login that is resumed asks too, before the code is sent.
func TestMetadataResumed(t *testing.T) {
	p, cache := newPublished(nil), &memoryCache{}
	flow := authorizedBy(t, nextProcess(p, cache))
	pending, err := flow.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	resumed, err := nextProcess(p, cache).Resume(t.Context(), pending)
	if err != nil {
		t.Fatal(err)
	}
	p.wantAsked(t, "resumed", 1)
	p.metadata = always(200, metadataDocument(members{"issuer": "https://evil.example"}))
	_, err = resumed.Exchange(t.Context(), redirectOf(t, flow))
	wantOutcome(t, err, otherMetadata)
	if n := len(p.requests("/token")); n != 0 {
		t.Errorf("%d token requests", n)
	}
}

// TestMetadataMovedAway: the connection that waits is one to the token endpoint as it
// was. Where that has moved to another host, the code goes there, over TLS with that
// host.
func TestMetadataMovedAway(t *testing.T) {
	var endpoint atomic.Pointer[string] // of tokens, as the metadata have it
	var host atomic.Pointer[string]     // that the token request was for, by TLS
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			host.Store(&r.TLS.ServerName)
			fmt.Fprint(w, tokenBody(""))
			return
		}
		fmt.Fprint(w, members{"issuer": server.URL, "authorization_endpoint": server.URL + "/authorize", "token_endpoint": *endpoint.Load()}.json())
	})
	transport := server.Client().Transport.(*http.Transport)
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	cache := &memoryCache{}
	login := func() *grant.Flow {
		return authorizedBy(t, &grant.Client{Issuer: server.URL, ClientID: clientID, MetadataCache: cache, HTTPClient: &http.Client{Transport: transport}})
	}
	endpoint.Store(new(server.URL + "/token"))
	login()
	flow := login()
	endpoint.Store(new("https://example.com/token"))
	keepWarm(t, flow)
	time.Sleep(200 * time.Millisecond) // the connection is there
	if _, err := flow.Exchange(t.Context(), answerOf(t, flow)); err != nil {
		t.Fatal(err)
	}
	if got := host.Load(); got == nil || *got != "example.com" {
		t.Errorf("the token request was for %v", got)
	}
}
