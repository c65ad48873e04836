package grant_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	oidcPlace     = "/.well-known/openid-configuration"
	oauthPlace    = "/.well-known/oauth-authorization-server"
	noMetadata    = " metadata.location"
	otherMetadata = "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED metadata.issuer"
)

// places answers each path with a document or 404.
func places(answers map[string]endpoint) *provider {
	return &provider{metadata: func(req *http.Request) (*http.Response, error) {
		if answer := answers[req.URL.Path]; answer != nil {
			return answer(req)
		}
		return response(404, "no such page", "Content-Type", "text/plain"), nil
	}}
}

func document(issuer string) endpoint { return always(200, members{"issuer": issuer}.json()) }

func discover(ctx context.Context, p *provider, issuer string, insecure bool) (*grant.AuthorizationServer, error) {
	return grant.Discover(ctx, issuer, &grant.DiscoverOptions{HTTPClient: &http.Client{Transport: p}, AllowInsecureRequests: insecure})
}

// DISC-01, DISC-05 to DISC-08, R031, R032: where the metadata is looked for.
func TestDiscoverPlaces(t *testing.T) {
	tests := []struct {
		name, issuer string
		want         []string // every URL, when none answers
	}{
		{"DISC-01", "https://op.example.com", []string{
			"https://op.example.com/.well-known/openid-configuration", "https://op.example.com/.well-known/oauth-authorization-server"}},
		{"DISC-06 slash at the end", "https://op.example.com/", []string{
			"https://op.example.com/.well-known/openid-configuration", "https://op.example.com/.well-known/oauth-authorization-server"}},
		{"DISC-05 DISC-07 path", "https://op.example.com/path", []string{
			"https://op.example.com/path/.well-known/openid-configuration", "https://op.example.com/.well-known/oauth-authorization-server/path",
			"https://op.example.com/.well-known/openid-configuration/path"}},
		{"DISC-08 path with a slash at the end", "https://op.example.com/path/", []string{
			"https://op.example.com/path/.well-known/openid-configuration", "https://op.example.com/.well-known/oauth-authorization-server/path",
			"https://op.example.com/.well-known/openid-configuration/path"}},
		{"R035 port and percent-encoding", "https://op.example.com:8443/a%2Fb/c", []string{
			"https://op.example.com:8443/a%2Fb/c/.well-known/openid-configuration", "https://op.example.com:8443/.well-known/oauth-authorization-server/a%2Fb/c",
			"https://op.example.com:8443/.well-known/openid-configuration/a%2Fb/c"}},
		{"IPv6 with a zone", "https://[fe80::1%25en0]", []string{
			"https://[fe80::1%25en0]/.well-known/openid-configuration", "https://[fe80::1%25en0]/.well-known/oauth-authorization-server"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := places(nil)
			_, err := discover(t.Context(), p, test.issuer, false)
			wantOutcome(t, err, "OAUTH_RESPONSE_IS_NOT_CONFORM"+noMetadata)
			var got []string
			for _, r := range p.seen {
				got = append(got, r.url)
				if !strings.Contains(err.Error(), r.url+": status 404") {
					t.Errorf("%q does not say what %s answered", err, r.url)
				}
				if r.method != "GET" || r.header.Get("Accept") != "application/json" || !userAgent.MatchString(r.header.Get("User-Agent")) {
					t.Errorf("%s with %v", r.method, r.header)
				}
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("requested %q, want %q", got, test.want)
			}
		})
	}
}

// DISC-11 to DISC-17: what a place may answer. What is no metadata document
// leads to the next place; a document of another issuer ends the search.
func TestDiscoverAnswers(t *testing.T) {
	const notFound = "OAUTH_RESPONSE_IS_NOT_CONFORM" + noMetadata
	network := errors.New("no route")
	tests := []struct {
		name   string
		answer endpoint
		next   bool   // the next place is tried
		want   string // when no other place has a document
	}{
		{"DISC-17 good", document(issuer), false, "ok"},
		{"R043 wrong content type", always(200, members{"issuer": issuer}.json(), "Content-Type", "text/html"), false, "ok"},
		{"R042 members of wrong types", always(200, `{"issuer":"https://op.example.com","token_endpoint":5,"scopes_supported":"x"}`), false, "ok"},
		{"DISC-11 404", always(404, "{}"), true, notFound},
		{"R038 400 with an error", always(400, `{"error":"invalid_request"}`), true, notFound},
		{"R038 401 with a challenge", always(401, "", "WWW-Authenticate", "Basic"), true, notFound},
		{"R038 201", always(201, members{"issuer": issuer}.json()), true, notFound},
		{"500", always(500, ""), true, notFound},
		{"DISC-12 half an object", always(200, `{"`), true, "OAUTH_PARSE_ERROR" + noMetadata},
		{"DISC-13 null", always(200, `null`), true, "OAUTH_INVALID_RESPONSE" + noMetadata},
		{"DISC-14 array", always(200, `[]`), true, "OAUTH_INVALID_RESPONSE" + noMetadata},
		{"DISC-15 issuer null", always(200, `{"issuer":null}`), true, "OAUTH_INVALID_RESPONSE" + noMetadata},
		{"R039 issuer empty", always(200, `{"issuer":""}`), true, "OAUTH_INVALID_RESPONSE" + noMetadata},
		{"R039 issuer number", always(200, `{"issuer":5}`), true, "OAUTH_INVALID_RESPONSE" + noMetadata},
		{"T02 Issuer", always(200, `{"Issuer":"https://op.example.com"}`), true, "OAUTH_INVALID_RESPONSE" + noMetadata},
		{"HTML", always(200, `<html>`, "Content-Type", "text/html"), true, "OAUTH_RESPONSE_IS_NOT_JSON" + noMetadata},
		{"larger than 1 MiB", always(200, strings.Repeat(" ", 1<<20)+"{}"), true, "OAUTH_INVALID_RESPONSE" + noMetadata},
		{"a redirect to a login page elsewhere", always(302, "", "Location", "https://login.example/"), true, notFound},
		{"DISC-16 another host", document("https://other.example"), false, otherMetadata},
		{"R040 stricter: slash at the end", document(issuer + "/"), false, otherMetadata},
		{"R040 stricter: upper case", document("HTTPS://op.example.com"), false, otherMetadata},
		{"R040 stricter: default port", document(issuer + ":443"), false, otherMetadata},
		{"R040 http", document("http://op.example.com"), false, otherMetadata},
		{"R041 issuer is no URL", document("%"), false, otherMetadata},
		{"network error", func(*http.Request) (*http.Response, error) { return nil, network }, false, "network"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := places(map[string]endpoint{oidcPlace: test.answer})
			_, err := discover(t.Context(), p, issuer, false)
			if test.want == "network" {
				if !errors.Is(err, network) {
					t.Errorf("got %v", err)
				}
			} else {
				wantOutcome(t, err, test.want)
			}
			if next := len(p.requests(oauthPlace)) == 1; next != test.next {
				t.Errorf("the next place was tried: %t", next)
			}
			p = places(map[string]endpoint{oidcPlace: test.answer, oauthPlace: document(issuer)})
			if as, err := discover(t.Context(), p, issuer, false); test.next && (err != nil || as.Issuer != issuer) {
				t.Errorf("the next place was not taken: %v", err)
			}
		})
	}
}

// The third form is for issuers with a path, and comes last.
func TestDiscoverMixedForm(t *testing.T) {
	p := places(map[string]endpoint{oidcPlace + "/tenant": document(issuer + "/tenant")})
	as, err := discover(t.Context(), p, issuer+"/tenant", false)
	if err != nil || as.Issuer != issuer+"/tenant" || len(p.seen) != 3 {
		t.Errorf("%v, %v after %d requests", as, err, len(p.seen))
	}
}

func TestDiscoverIssuerError(t *testing.T) {
	p := places(map[string]endpoint{oauthPlace: document(issuer + "/")})
	_, err := discover(t.Context(), p, issuer, false)
	check, ok := errors.AsType[*grant.CheckError](err)
	if !ok || check.Expected != issuer || check.Actual != issuer+"/" {
		t.Fatalf("got %+v", err)
	}
	for _, part := range []string{"only a slash at the end differs", "use the issuer " + issuer + "/", issuer + oidcPlace + ": status 404"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// The hint about the slash is for nothing else, and no place was tried in vain.
func TestDiscoverOtherIssuerError(t *testing.T) {
	_, err := discover(t.Context(), places(map[string]endpoint{oidcPlace: document("https://other.example")}), issuer, false)
	wantOutcome(t, err, otherMetadata)
	if text := err.Error(); strings.Contains(text, "slash") || strings.Contains(text, "tried before") {
		t.Errorf("got %s", text)
	}
}

// A server in trouble is not a server without metadata, and a document that is
// none tells more than a place without one.
func TestDiscoverTellsTrouble(t *testing.T) {
	broken := places(map[string]endpoint{oauthPlace: always(200, `{"`)})
	_, err := discover(t.Context(), broken, issuer, false)
	wantOutcome(t, err, "OAUTH_PARSE_ERROR"+noMetadata)
	p := places(map[string]endpoint{oidcPlace: always(503, "")})
	_, err = discover(t.Context(), p, issuer, false)
	if check, ok := errors.AsType[*grant.CheckError](err); !ok || check.Status != 503 {
		t.Errorf("got %+v", err)
	}
	p = places(map[string]endpoint{oidcPlace: always(403, "")})
	_, err = discover(t.Context(), p, issuer, false)
	if check, ok := errors.AsType[*grant.CheckError](err); !ok || check.Status != 403 {
		t.Errorf("the status of the first place is lost: %+v", err)
	}
	p = places(map[string]endpoint{oauthPlace: always(500, "")})
	_, err = discover(t.Context(), p, issuer, false)
	if check, ok := errors.AsType[*grant.CheckError](err); !ok || check.Status != 500 {
		t.Errorf("the trouble of the second place is lost: %+v", err)
	}
	p = places(map[string]endpoint{oidcPlace: always(200, `{"`), oauthPlace: always(200, `[]`)})
	_, err = discover(t.Context(), p, issuer, false)
	wantOutcome(t, err, "OAUTH_PARSE_ERROR"+noMetadata)
	if !strings.Contains(err.Error(), issuer+oidcPlace+": the answer cannot be read: it is not valid JSON") {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestDiscoverIssuerArgument(t *testing.T) {
	tests := []struct {
		issuer   string
		insecure bool
		want     string
	}{
		{"", false, "argument"},
		{"op.example.com", false, "argument"},
		{"/path", false, "argument"},
		{"https://", false, "argument"},
		{"https:op.example.com", false, "argument"},
		{"https://op.example.com?x=1", false, "argument"},
		{"https://op.example.com?", false, "argument"},
		{"https://op.example.com#x", false, "argument"},
		{"https://op.example.com#", false, "argument"},
		{"https://op.example.com/.well-known/openid-configuration", false, "argument"},
		{"https://op.example.com/.well-known/oauth-authorization-server/path", false, "argument"},
		{"https://user:hunter2secret@op.example.com", false, "argument"},
		{"https://op.example.com/\x00", false, "argument"},
		{"http://op.example.com", false, notHTTPS},
		{"http://op.example.com", true, notHTTPS},
		{"http://127.0.0.1:8080", false, notHTTPS},
		{"ftp://127.0.0.1", true, badScheme},
		{"http://127.0.0.1:8080", true, "ok"},
		{"http://localhost:8080", true, "ok"},
		{"http://[::1]:8080", true, "ok"},
		{"HTTPS://op.example.com", false, "ok"},
		{"https://op.example.com:/", false, "ok"},
		{"https://op.example.com/@tenant", false, "ok"},
		{"op.example.com/@hunter2", false, "argument"},
	}
	for _, test := range tests {
		p := places(map[string]endpoint{oidcPlace: document(test.issuer), "/@tenant" + oidcPlace: document(test.issuer)})
		_, err := discover(t.Context(), p, test.issuer, test.insecure)
		if got := outcome(err); got != test.want {
			t.Errorf("%q: %q (%v), want %q", test.issuer, got, err, test.want)
		}
		if err != nil && (len(p.seen) > 0 || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%q: %d requests, %v", test.issuer, len(p.seen), err)
		}
	}
}

func TestDiscoverHeader(t *testing.T) {
	t.Run("DISC-02 DISC-03 DISC-04", func(t *testing.T) {
		p := places(map[string]endpoint{oidcPlace: document(issuer)})
		opts := &grant.DiscoverOptions{HTTPClient: &http.Client{Transport: p}, Header: http.Header{"accept": {"x"}, "user-agent": {"foo"}, "foo": {"bar"}}}
		if _, err := grant.Discover(t.Context(), issuer, opts); err != nil {
			t.Fatal(err)
		}
		if h := p.one(t, oidcPlace).header; h.Get("Accept") != "application/json" || h.Get("User-Agent") != "foo" || h.Get("Foo") != "bar" {
			t.Errorf("headers %v", h)
		}
	})
	t.Run("R016 Authorization", func(t *testing.T) {
		_, err := grant.Discover(t.Context(), issuer, &grant.DiscoverOptions{Header: http.Header{"AUTHORIZATION": {"Bearer x"}}})
		wantOutcome(t, err, "argument")
	})
}

func TestDiscoverPassesErrorsThrough(t *testing.T) {
	inBubble(func(t *testing.T) {
		p := &provider{metadata: untilDone}
		start := time.Now()
		_, err := discover(t.Context(), p, issuer, false)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 30*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("interrupted")) })
		_, err = discover(ctx, p, issuer, false)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "discover "+issuer) {
			t.Errorf("got %v", err)
		}
	})(t)
	var none context.Context
	_, err := grant.Discover(none, issuer, nil)
	wantOutcome(t, err, "argument")
}

// Without options it makes a client of its own, and leaves nothing open.
func TestDiscoverWithoutOptions(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = grant.Discover(t.Context(), "http://"+listener.Addr().String(), nil)
	wantOutcome(t, err, notHTTPS)
}

// The client discovers once, whatever number of callers asks; one that gives
// up does not take the others with it.
func TestClientDiscover(t *testing.T) {
	inBubble(func(t *testing.T) {
		p := places(map[string]endpoint{oidcPlace: func(req *http.Request) (*http.Response, error) {
			select {
			case <-time.After(10 * time.Second):
				return document(issuer)(req)
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		}})
		client := newClient(p)
		client.Issuer = issuer
		results := make(chan *grant.AuthorizationServer, 8)
		for i := range 8 {
			go func() {
				time.Sleep(time.Duration(i^1) * time.Millisecond)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if i < 2 { // one who waits, and then the one who asks the provider
					time.AfterFunc(time.Duration(1+i)*time.Second, cancel)
				}
				as, err := client.Discover(ctx)
				if i < 2 != errors.Is(err, context.Canceled) {
					t.Errorf("caller %d: %v", i, err)
				}
				results <- as
			}()
		}
		var found *grant.AuthorizationServer
		for range 8 {
			as := <-results
			if as != nil && found != nil && as != found {
				t.Error("two callers have two servers")
			}
			if as != nil {
				found = as
			}
		}
		if n := len(p.requests(oidcPlace)); n != 2 || found == nil {
			t.Errorf("%d requests, want that of the one who left and one more", n)
		}
	})(t)
}

func TestClientDiscoverServer(t *testing.T) {
	p := &provider{}
	client := newClient(p)
	client.Server = newServer()
	if as, err := client.Discover(t.Context()); err != nil || as != client.Server || len(p.seen) > 0 {
		t.Errorf("%v, %v, %d requests", as, err, len(p.seen))
	}
	client.Server = &grant.AuthorizationServer{}
	_, err := client.Discover(t.Context())
	wantOutcome(t, err, "argument")
	_, err = (&grant.Client{}).Discover(t.Context())
	wantOutcome(t, err, "argument")
	_, err = (*grant.Client)(nil).Discover(t.Context())
	wantOutcome(t, err, "argument")
	var none context.Context
	_, err = (&grant.Client{Issuer: issuer}).Discover(none)
	wantOutcome(t, err, "argument")
}

// The client allows http only where it was told so.
func TestClientDiscoverInsecure(t *testing.T) {
	const local = "http://127.0.0.1:8080"
	for insecure, want := range map[bool]string{false: notHTTPS, true: "ok"} {
		client := newClient(places(map[string]endpoint{oidcPlace: document(local)}))
		client.Issuer, client.AllowInsecureRequests = local, insecure
		_, err := client.Discover(t.Context())
		wantOutcome(t, err, want)
	}
}

// What failed once is tried again.
func TestClientDiscoverAgain(t *testing.T) {
	answers := map[string]endpoint{}
	client := newClient(places(answers))
	client.Issuer = issuer
	_, err := client.Discover(t.Context())
	wantOutcome(t, err, "OAUTH_RESPONSE_IS_NOT_CONFORM"+noMetadata)
	answers[oidcPlace] = document(issuer)
	_, err = client.Discover(t.Context())
	wantOutcome(t, err, "ok")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		if _, err := client.Discover(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
}
