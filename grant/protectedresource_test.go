package grant_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	resource      = "https://api.example.com/v1"
	resourcePlace = "/.well-known/oauth-protected-resource"
	noResource    = " protected_resource.location"
	otherResource = "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED protected_resource.resource"
	badServers    = "OAUTH_INVALID_RESPONSE protected_resource.authorization_servers"
)

func resourceDocument(changes members) endpoint {
	return always(200, members{"resource": resource, "authorization_servers": []string{issuer}}.with(changes).json())
}

func discoverResource(ctx context.Context, p *provider, resource string, insecure bool) (*grant.ProtectedResource, error) {
	return grant.DiscoverProtectedResource(ctx, resource, &grant.DiscoverOptions{
		HTTPClient: &http.Client{Transport: p}, AllowInsecureRequests: insecure, Header: http.Header{"Foo": {"bar"}}})
}

// R033: where the metadata is looked for.
func TestProtectedResourcePlaces(t *testing.T) {
	const origin = "https://api.example.com"
	tests := []struct {
		resource string
		want     []string // every URL, when none answers
	}{
		{origin, []string{origin + resourcePlace, origin}},
		{origin + "/", []string{origin + resourcePlace, origin + "/"}},
		{origin + "/v1", []string{origin + resourcePlace + "/v1", origin + "/v1", origin + resourcePlace}},
		{origin + "/v1/", []string{origin + resourcePlace + "/v1/", origin + "/v1/", origin + resourcePlace}},
		{origin + "/a%2Fb?x=1&y", []string{origin + resourcePlace + "/a%2Fb?x=1&y", origin + "/a%2Fb?x=1&y", origin + resourcePlace}},
		{origin + "?x", []string{origin + resourcePlace + "?x", origin + "?x", origin + resourcePlace}},
		{origin + "/?x", []string{origin + resourcePlace + "?x", origin + "/?x", origin + resourcePlace}},
		{origin + ":8443/v1", []string{origin + ":8443" + resourcePlace + "/v1", origin + ":8443/v1", origin + ":8443" + resourcePlace}},
		{"https://[fe80::1%25en0]/v1", []string{"https://[fe80::1%25en0]" + resourcePlace + "/v1", "https://[fe80::1%25en0]/v1", "https://[fe80::1%25en0]" + resourcePlace}},
	}
	for _, test := range tests {
		t.Run(test.resource, func(t *testing.T) {
			p := places(nil)
			_, err := discoverResource(t.Context(), p, test.resource, false)
			wantOutcome(t, err, "OAUTH_RESPONSE_IS_NOT_CONFORM"+noResource)
			var got []string
			for _, r := range p.seen {
				got = append(got, r.url)
				if !strings.Contains(err.Error(), r.url+": status 404") {
					t.Errorf("%q does not say what %s answered", err, r.url)
				}
				if r.method != "GET" || r.header.Get("Authorization") != "" || r.header.Get("Foo") != "bar" || !userAgent.MatchString(r.header.Get("User-Agent")) {
					t.Errorf("%s with %v", r.method, r.header)
				}
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("requested %q, want %q", got, test.want)
			}
		})
	}
}

// R251, and RFC 9728, section 3.3: what a place may answer.
func TestProtectedResourceAnswers(t *testing.T) {
	const notFound = "OAUTH_RESPONSE_IS_NOT_CONFORM" + noResource
	tests := []struct {
		name   string
		answer endpoint
		want   string
	}{
		{"good", resourceDocument(nil), "ok"},
		{"no authorization servers", resourceDocument(members{"authorization_servers": nil}), "ok"},
		{"R043 wrong content type", always(200, members{"resource": resource}.json(), "Content-Type", "text/html"), "ok"},
		{"R042 members of wrong types", resourceDocument(members{"scopes_supported": 5, "resource_name": null}), "ok"},
		{"401 with a challenge", always(401, "", "WWW-Authenticate", "Basic"), notFound},
		{"R038 201", always(201, members{"resource": resource}.json()), notFound},
		{"half an object", always(200, `{"`), "OAUTH_PARSE_ERROR" + noResource},
		{"array", always(200, `[]`), "OAUTH_INVALID_RESPONSE" + noResource},
		{"no resource", resourceDocument(members{"resource": nil}), "OAUTH_INVALID_RESPONSE" + noResource},
		{"resource number", resourceDocument(members{"resource": 5}), "OAUTH_INVALID_RESPONSE" + noResource},
		{"T02 Resource", resourceDocument(members{"resource": nil, "Resource": resource}), "OAUTH_INVALID_RESPONSE" + noResource},
		{"HTML", always(200, `<html>`, "Content-Type", "text/html"), "OAUTH_RESPONSE_IS_NOT_JSON" + noResource},
		{"larger than 1 MiB", always(200, strings.Repeat(" ", 1<<20)+"{}"), "OAUTH_INVALID_RESPONSE" + noResource},
		{"a redirect elsewhere", always(302, "", "Location", "https://evil.example/"), notFound},
		{"another resource", resourceDocument(members{"resource": "https://evil.example/v1"}), otherResource},
		{"R251 slash at the end", resourceDocument(members{"resource": resource + "/"}), otherResource},
		{"R251 upper case", resourceDocument(members{"resource": "HTTPS://api.example.com/v1"}), otherResource},
		{"R251 default port", resourceDocument(members{"resource": "https://api.example.com:443/v1"}), otherResource},
		{"its parent", resourceDocument(members{"resource": "https://api.example.com"}), otherResource},
		{"servers text", resourceDocument(members{"authorization_servers": issuer}), badServers},
		{"servers null", resourceDocument(members{"authorization_servers": null}), badServers},
		{"a server that is a number", resourceDocument(members{"authorization_servers": []any{issuer, 5}}), badServers},
		{"a server with http", resourceDocument(members{"authorization_servers": []string{issuer, "http://127.0.0.1:1"}}), badServers},
		{"a server that is a file", resourceDocument(members{"authorization_servers": []string{"file:///etc/passwd"}}), badServers},
		{"a server with a query", resourceDocument(members{"authorization_servers": []string{issuer + "?x"}}), badServers},
		{"a server with credentials", resourceDocument(members{"authorization_servers": []string{"https://a@op.example.com"}}), badServers},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := places(map[string]endpoint{resourcePlace + "/v1": test.answer})
			r, err := discoverResource(t.Context(), p, resource, false)
			wantOutcome(t, err, test.want)
			if err == nil && (r.Resource != resource || len(p.seen) != 1) {
				t.Errorf("got %+v after %d requests", r, len(p.seen))
			}
			// The next place serves as well.
			p = places(map[string]endpoint{resourcePlace + "/v1": test.answer, resourcePlace: resourceDocument(nil)})
			if _, err := discoverResource(t.Context(), p, resource, false); err != nil {
				t.Errorf("the root was not taken: %v", err)
			}
		})
	}
}

// RFC 9728, section 5.1: the resource says where its metadata is.
func TestProtectedResourceChallenge(t *testing.T) {
	const elsewhere = "https://meta.example/where"
	challenge := func(status int, header ...string) endpoint {
		var pairs []string
		for _, h := range header {
			pairs = append(pairs, "WWW-Authenticate", h)
		}
		return always(status, "", pairs...)
	}
	named := `Bearer realm="x", resource_metadata="` + elsewhere + `"`
	tests := []struct {
		name     string
		resource endpoint // what the resource itself answers
		document endpoint // what there is elsewhere
		want     string
		asked    bool // the document
	}{
		{"named", challenge(401, named), resourceDocument(nil), "ok", true},
		{"in the second challenge", challenge(401, `Basic realm="y"`, `DPoP resource_metadata=`+`"`+elsewhere+`"`), resourceDocument(nil), "ok", true},
		{"on another status", challenge(403, named), resourceDocument(nil), "OAUTH_RESPONSE_IS_NOT_CONFORM" + noResource, false},
		{"malformed", challenge(401, named+", ???"), resourceDocument(nil), "OAUTH_RESPONSE_IS_NOT_CONFORM" + noResource, false},
		{"another resource", challenge(401, named), resourceDocument(members{"resource": elsewhere}), otherResource, true},
		{"no document", challenge(401, named), always(404, ""), "OAUTH_RESPONSE_IS_NOT_CONFORM" + noResource, true},
		{"http", challenge(401, `Bearer resource_metadata="http://127.0.0.1:1/where"`), resourceDocument(nil), notHTTPS, false},
		{"a file", challenge(401, `Bearer resource_metadata="file:///where"`), resourceDocument(nil), "OAUTH_INVALID_RESPONSE" + noResource, false},
		{"relative", challenge(401, `Bearer resource_metadata="/where"`), resourceDocument(nil), "OAUTH_INVALID_RESPONSE" + noResource, false},
		{"empty", challenge(401, `Bearer resource_metadata=""`), resourceDocument(nil), "OAUTH_RESPONSE_IS_NOT_CONFORM" + noResource, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := places(map[string]endpoint{"/v1": test.resource, "/where": test.document})
			r, err := discoverResource(t.Context(), p, resource, false)
			wantOutcome(t, err, test.want)
			if err == nil && !reflect.DeepEqual(r.AuthorizationServers, []string{issuer}) {
				t.Errorf("got %+v", r)
			}
			if asked := len(p.requests("/where")) == 1; asked != test.asked {
				t.Errorf("the document was asked for: %t", asked)
			}
		})
	}
}

func TestDiscoverProtectedResourceAt(t *testing.T) {
	p := places(map[string]endpoint{"/where": resourceDocument(members{"scopes_supported": []string{"a"}, "resource_name": "API", "dpop_bound_access_tokens_required": true})})
	opts := &grant.DiscoverOptions{HTTPClient: &http.Client{Transport: p}}
	r, err := grant.DiscoverProtectedResourceAt(t.Context(), resource, "https://meta.example/where", opts)
	want := &grant.ProtectedResource{Resource: resource, AuthorizationServers: []string{issuer}, ScopesSupported: []string{"a"}, ResourceName: "API", DPoPBoundAccessTokensRequired: true}
	if err != nil || !reflect.DeepEqual(r, want) || len(p.seen) != 1 {
		t.Errorf("got %+v, %v after %d requests", r, err, len(p.seen))
	}
	data, err := json.Marshal(r)
	if want := `{"authorization_servers":["https://op.example.com"],"dpop_bound_access_tokens_required":true,"resource":"https://api.example.com/v1","resource_name":"API","scopes_supported":["a"]}`; err != nil || string(data) != want {
		t.Errorf("encoded as %s, %v", data, err)
	}
	for _, test := range []struct{ resource, at, want string }{
		{resource + "/other", "https://meta.example/where", otherResource},
		{resource, "https://meta.example/gone", "OAUTH_RESPONSE_IS_NOT_CONFORM" + noResource},
		{resource, "http://meta.example/where", notHTTPS},
		{resource, "", "OAUTH_INVALID_RESPONSE" + noResource},
		{"http://api.example.com/v1", "https://meta.example/where", notHTTPS},
		{"", "https://meta.example/where", "argument"},
	} {
		_, err := grant.DiscoverProtectedResourceAt(t.Context(), test.resource, test.at, opts)
		if outcome(err) != test.want {
			t.Errorf("%q at %q: %v, want %s", test.resource, test.at, err, test.want)
		}
	}
}

func TestProtectedResourceArguments(t *testing.T) {
	for resource, want := range map[string]string{
		"": "argument", "api": "argument", "/v1": "argument", "https:///v1": "argument", resource + "#": "argument", resource + "#x": "argument",
		"https://a:" + secretAccess + "@api.example.com": "argument", "https://%zz": "argument",
		"http://api.example.com": notHTTPS, "http://127.0.0.1:1/": notHTTPS, "ftp://api.example.com": notHTTPS,
	} {
		p := places(nil)
		_, err := discoverResource(t.Context(), p, resource, false)
		if outcome(err) != want || len(p.seen) != 0 {
			t.Errorf("%q: %v after %d requests", resource, err, len(p.seen))
		}
		wantHidden(t, resource, err, secretAccess)
	}
	if _, err := discoverResource(t.Context(), places(nil), "http://api.example.com", true); outcome(err) != notHTTPS {
		t.Errorf("http to another host: %v", err)
	}
	network := errors.New("no route")
	for _, path := range []string{resourcePlace + "/v1", "/v1", resourcePlace} {
		p := places(map[string]endpoint{path: func(*http.Request) (*http.Response, error) { return nil, network }})
		if _, err := discoverResource(t.Context(), p, resource, false); !errors.Is(err, network) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := grant.DiscoverProtectedResource(t.Context(), resource, &grant.DiscoverOptions{HTTPClient: &http.Client{Transport: places(nil)}, Header: http.Header{"authorization": {"x"}}}); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("Authorization header: %v", err)
	}
}

// On one machine http will do, for the resource, its metadata and its issuer. The
// resource may answer without an end.
func TestProtectedResourceOverSockets(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stream":
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case resourcePlace:
			io.WriteString(w, members{"resource": server.URL + "/stream", "authorization_servers": []string{server.URL}}.json())
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	start := time.Now()
	r, err := grant.DiscoverProtectedResource(t.Context(), server.URL+"/stream", &grant.DiscoverOptions{AllowInsecureRequests: true})
	if err != nil || !reflect.DeepEqual(r.AuthorizationServers, []string{server.URL}) {
		t.Errorf("got %v, %v", r, err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	_, err = grant.DiscoverProtectedResource(t.Context(), server.URL+"/stream", nil)
	wantOutcome(t, err, notHTTPS)
}

func TestProtectedResourceEndsWithItsContext(t *testing.T) {
	inBubble(func(t *testing.T) {
		for _, path := range []string{resourcePlace + "/v1", "/v1", resourcePlace} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := discoverResource(ctx, places(map[string]endpoint{path: untilDone}), resource, false)
			if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: after %v: %v", path, took, err)
			}
			start = time.Now()
			_, err = discoverResource(t.Context(), places(map[string]endpoint{path: untilDone}), resource, false)
			if took := time.Since(start); took != 30*time.Second || !strings.Contains(fmt.Sprint(err), "no answer within 30s") {
				t.Errorf("%s: after %v: %v", path, took, err)
			}
		}
	})(t)
}

// The options may be left out.
func TestProtectedResourceWithoutOptions(t *testing.T) {
	_, err := grant.DiscoverProtectedResource(t.Context(), "http://127.0.0.1/v1", nil)
	wantOutcome(t, err, notHTTPS)
	_, err = grant.DiscoverProtectedResourceAt(t.Context(), "http://127.0.0.1/v1", "http://127.0.0.1/meta", nil)
	wantOutcome(t, err, notHTTPS)
}
