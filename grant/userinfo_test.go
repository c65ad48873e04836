package grant_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	userinfoStatus = "OAUTH_RESPONSE_IS_NOT_CONFORM userinfo_response.status"
	badUserinfo    = "OAUTH_INVALID_RESPONSE userinfo_response."
	otherPerson    = "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED userinfo_response.sub"
	jwtExpected    = "OAUTH_JWT_USERINFO_EXPECTED userinfo_response.body"
)

// aboutSubject is a token of a login with an ID token.
func aboutSubject() *grant.Token {
	return &grant.Token{AccessToken: "token", IDToken: &grant.IDToken{Subject: subject}}
}

func TestUserinfoRequestOrder(t *testing.T) {
	without := newServer()
	without.UserinfoEndpoint = ""
	http1 := newServer()
	http1.UserinfoEndpoint = "http://op.example.com/userinfo"
	tests := []struct {
		name   string
		as     *grant.AuthorizationServer
		client *grant.Client
		token  grant.Secret
		header http.Header
		want   string
	}{
		{"UI-06 no endpoint", without, newClient(nil), "token", nil, noEndpoint},
		{"R182 no token, no endpoint", without, newClient(nil), "", nil, "argument"},
		{"R001 no server", nil, newClient(nil), "token", nil, "argument"},
		{"R002 no client", newServer(), nil, "token", nil, "argument"},
		{"R012 http", http1, newClient(nil), "token", nil, notHTTPS},
		{"R182 Authorization header", newServer(), newClient(nil), "token", http.Header{"authorization": {"x"}}, "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := grant.UserinfoRequest(t.Context(), test.as, test.client, test.token, &grant.UserinfoRequestOptions{Header: test.header})
			wantOutcome(t, err, test.want)
		})
	}
}

func TestUserinfoRequest(t *testing.T) {
	const both = "application/json, application/jwt"
	tests := []struct {
		name, alg string
		opts      *grant.UserinfoRequestOptions
		accept    string
		userAgent string
	}{
		{"UI-01", "", nil, both, ""},
		{"UI-02 UI-03 UI-04 headers", "", &grant.UserinfoRequestOptions{Header: http.Header{"accept": {"x"}, "user-agent": {"foo"}, "foo": {"bar"}}}, both, "foo"},
		{"UI-05 signed", "ES256", nil, "application/jwt", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider("")
			p.others = map[string]endpoint{"/userinfo": always(403, "")}
			client := newClient(p)
			client.UserinfoSignedResponseAlg = test.alg
			resp, err := grant.UserinfoRequest(t.Context(), newServer(), client, "token", test.opts)
			if err != nil || resp.StatusCode != 403 {
				t.Fatal(resp, err)
			}
			r := p.one(t, "/userinfo")
			agent := r.header.Get("User-Agent")
			if test.userAgent == "" && userAgent.MatchString(agent) {
				agent = ""
			}
			if r.method != "GET" || r.form != nil || r.header.Get("Accept") != test.accept || r.header.Get("Authorization") != "Bearer token" || agent != test.userAgent {
				t.Errorf("%s %v with %v", r.method, r.form, r.header)
			}
			if test.opts != nil && r.header.Get("Foo") != "bar" {
				t.Errorf("headers %v", r.header)
			}
		})
	}
}

func TestUserinfoEndpointAlias(t *testing.T) {
	p := newProvider("")
	p.others = map[string]endpoint{"/alias": always(200, members{"sub": subject}.json())}
	as, client := newServer(), newClient(p)
	as.MTLSEndpointAliases = map[string]string{"userinfo_endpoint": issuer + "/alias"}
	client.UseMTLSEndpointAliases = true
	if _, err := grant.UserinfoRequest(t.Context(), as, client, "token", nil); err != nil {
		t.Fatal(err)
	}
	p.one(t, "/alias") // R015
}

func TestUserinfoResponse(t *testing.T) {
	good := members{"sub": subject, "email": "a@b.example"}.json()
	tests := []struct {
		name   string
		status int
		body   string
		header []string
		alg    string // Client.UserinfoSignedResponseAlg
		noID   bool   // no ID token to compare with
		want   string
	}{
		{name: "UI-12 equal sub", body: good, want: "ok"},
		{name: "UI-13 nothing to compare with", body: good, noID: true, want: "ok"},
		{name: "UI-15 other sub", body: `{"sub":"other"}`, want: otherPerson},
		{name: "sub in another case", body: `{"sub":"URN:example:subject"}`, want: otherPerson},
		{name: "UI-08 half an object", body: `{"`, want: "OAUTH_PARSE_ERROR userinfo_response.body"},
		{name: "UI-10 array", body: `[]`, want: badUserinfo + "body"},
		{name: "R108 null", body: `null`, want: badUserinfo + "body"},
		{name: "R107 HTML", body: `<html>`, header: []string{"Content-Type", "text/html"}, want: "OAUTH_RESPONSE_IS_NOT_JSON userinfo_response.body"},
		{name: "R107 wrong type, good JSON", body: good, header: []string{"Content-Type", "text/html"}, want: "ok"},
		{name: "T04 byte order mark", body: "\ufeff" + good, want: "ok"},
		{name: "UI-11 sub number", body: `{"sub":5}`, want: badUserinfo + "sub"},
		{name: "R187 sub null", body: `{"sub":null}`, noID: true, want: badUserinfo + "sub"},
		{name: "R187 sub empty", body: `{"sub":""}`, noID: true, want: badUserinfo + "sub"},
		{name: "R187 no sub", body: `{}`, noID: true, want: badUserinfo + "sub"},
		{name: "T02 Sub", body: `{"Sub":"urn:example:subject"}`, want: badUserinfo + "sub"},
		{name: "UI-09 404 with good JSON", status: 404, body: good, want: userinfoStatus},
		{name: "R185 an OAuth error in the body means nothing", status: 400, body: `{"error":"invalid_token"}`, want: userinfoStatus},
		{name: "R185 201", status: 201, body: good, want: userinfoStatus},
		{name: "R021 302", status: 302, header: []string{"Location", "https://evil.example/"}, want: userinfoStatus},
		{name: "500", status: 500, body: good, want: userinfoStatus},
		{name: "R185 challenge", status: 401, header: []string{"WWW-Authenticate", `Bearer error="invalid_token"`}, want: "refused invalid_token"},
		{name: "R185 challenge on a 200", body: good, header: []string{"WWW-Authenticate", `Bearer error="x"`}, want: "refused x"},
		{name: "R206 malformed challenge", status: 401, header: []string{"WWW-Authenticate", `???`}, want: userinfoStatus},
		{name: "UI-16 plain, and signed expected", body: good, alg: "ES256", want: jwtExpected},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client, token := newClient(newProvider("")), aboutSubject()
			client.UserinfoSignedResponseAlg = test.alg
			if test.noID {
				token.IDToken = nil
			}
			if test.status == 0 {
				test.status = 200
			}
			resp := response(test.status, test.body, test.header...)
			body := &closeCounter{Reader: resp.Body}
			resp.Body = body
			userinfo, err := grant.ProcessUserinfoResponse(t.Context(), newServer(), client, token, resp, nil)
			wantOutcome(t, err, test.want)
			if body.closed == 0 {
				t.Error("T17: the body was not closed")
			}
			var claims map[string]any
			if err == nil && (userinfo.Subject != subject || userinfo.Claims(&claims) != nil || claims["email"] != "a@b.example") {
				t.Errorf("got %v with %v", userinfo.Subject, claims)
			}
		})
	}
}

// R0.1, T17: the body of an answer with a challenge is for whoever wants it.
func TestUserinfoChallengeKeepsTheBody(t *testing.T) {
	resp := response(401, "why", "WWW-Authenticate", `Bearer realm="r"`)
	_, err := grant.ProcessUserinfoResponse(t.Context(), newServer(), newClient(nil), aboutSubject(), resp, nil)
	refusal, ok := errors.AsType[*grant.Error](err)
	if !ok || refusal.Endpoint != "userinfo" || refusal.Status != 401 || !reflect.DeepEqual(refusal.Challenges, []grant.Challenge{ch("bearer", "realm", "r")}) {
		t.Errorf("got %+v", err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "why" {
		t.Errorf("the body is %q, %v", body, err)
	}
}

func TestUserinfoArguments(t *testing.T) {
	as, client, token := newServer(), newClient(nil), aboutSubject()
	good := func() *http.Response { return response(200, members{"sub": subject}.json()) }
	for name, call := range map[string]func() (*grant.Userinfo, error){
		"UI-07 no response": func() (*grant.Userinfo, error) {
			return grant.ProcessUserinfoResponse(t.Context(), as, client, token, nil, nil)
		},
		"UI-14 nothing to compare with": func() (*grant.Userinfo, error) {
			return grant.ProcessUserinfoResponse(t.Context(), as, client, nil, good(), nil)
		},
		"R001 no server": func() (*grant.Userinfo, error) {
			return grant.ProcessUserinfoResponse(t.Context(), nil, client, token, good(), nil)
		},
		"R002 no client": func() (*grant.Userinfo, error) {
			return grant.ProcessUserinfoResponse(t.Context(), as, nil, token, good(), nil)
		},
		"R006 no body": func() (*grant.Userinfo, error) {
			return grant.ProcessUserinfoResponse(t.Context(), as, client, token, &http.Response{StatusCode: 200}, nil)
		},
		"no token":         func() (*grant.Userinfo, error) { return client.Userinfo(t.Context(), nil) },
		"no client at all": func() (*grant.Userinfo, error) { return (*grant.Client)(nil).Userinfo(t.Context(), token) },
	} {
		_, err := call()
		if outcome(err) != "argument" {
			t.Errorf("%s: %v", name, err)
		}
	}
	var v any
	wantOutcome(t, (*grant.Userinfo)(nil).Claims(&v), "argument")
	wantOutcome(t, new(grant.Userinfo).Claims(&v), "argument")
}

// R186: what a signed answer has to be.
func TestSignedUserinfo(t *testing.T) {
	now := time.Now().Unix()
	claims := func(changes members) members { return members{"sub": subject}.with(changes) }
	es := func(changes members) string { return mint("ES256", claims(changes)) }
	forged := es(nil)
	forged = forged[:len(forged)-86] + b64(make([]byte, 64))
	tests := []struct {
		name, token string
		listed      []string // UserinfoSigningAlgValuesSupported
		alg         string   // Client.UserinfoSignedResponseAlg
		want        string
	}{
		{"UI-18 listed", es(nil), []string{"ES256"}, "", "ok"},
		{"UI-19 the client's", es(nil), nil, "ES256", "ok"},
		{"R150 the client's wins", es(nil), []string{"RS256"}, "ES256", "ok"},
		{"UI-20 nothing agreed on, RS256", mint("RS256", claims(nil)), nil, "", badUserinfo + "alg"},
		{"UI-21 the client wants another", es(nil), nil, "PS256", badUserinfo + "alg"},
		{"UI-22 another listed", es(nil), []string{"RS256"}, "", badUserinfo + "alg"},
		{"UI-23 the client wants RS256", es(nil), []string{"ES256"}, "RS256", badUserinfo + "alg"},
		{"R150 nothing listed", es(nil), []string{}, "", badUserinfo + "alg"},
		{"UI-17 stricter: the signature counts", forged, []string{"ES256"}, "", badUserinfo + "signature"},
		{"R151 none", mint("none", claims(nil)), []string{"none"}, "", "OAUTH_UNSUPPORTED_OPERATION userinfo_response.alg"},
		{"R151 HS256", mint("HS256", claims(nil)), []string{"HS256"}, "", "OAUTH_UNSUPPORTED_OPERATION userinfo_response.alg"},
		{"R143 crit", mintHeader(members{"alg": "ES256", "crit": []string{"x"}}, claims(nil)), []string{"ES256"}, "", "OAUTH_UNSUPPORTED_OPERATION userinfo_response.crit"},
		{"R140 encrypted", es(nil) + ".x.y", []string{"ES256"}, "", "OAUTH_UNSUPPORTED_OPERATION userinfo_response.form"},
		{"R140 plain JSON", claims(nil).json(), []string{"ES256"}, "", badUserinfo + "form"},
		{"all claims", es(members{"iss": issuer, "aud": []string{clientID, "api"}, "exp": now + 60, "iat": now, "nbf": now}), []string{"ES256"}, "", "ok"},
		{"R156 another iss", es(members{"iss": issuer + "/"}), []string{"ES256"}, "", "OAUTH_JWT_CLAIM_COMPARISON_FAILED userinfo_response.iss"},
		{"R157 another aud", es(members{"aud": "other"}), []string{"ES256"}, "", "OAUTH_JWT_CLAIM_COMPARISON_FAILED userinfo_response.aud"},
		{"R147 aud null", es(members{"aud": null}), []string{"ES256"}, "", badUserinfo + "aud"},
		{"R145 expired", es(members{"exp": now - 60}), []string{"ES256"}, "", "OAUTH_JWT_TIMESTAMP_CHECK_FAILED userinfo_response.exp"},
		{"R147 not yet valid", es(members{"nbf": now + 60}), []string{"ES256"}, "", "OAUTH_JWT_TIMESTAMP_CHECK_FAILED userinfo_response.nbf"},
		{"R146 iat text", es(members{"iat": "5"}), []string{"ES256"}, "", badUserinfo + "iat"},
		{"UI-15 other sub", es(members{"sub": "other"}), []string{"ES256"}, "", otherPerson},
		{"R187 no sub", es(members{"sub": nil}), []string{"ES256"}, "", badUserinfo + "sub"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			as, client := newServer(), newClient(newProvider(""))
			as.UserinfoSigningAlgValuesSupported, client.UserinfoSignedResponseAlg = test.listed, test.alg
			resp := response(200, test.token, "Content-Type", "application/jwt; charset=utf-8")
			userinfo, err := grant.ProcessUserinfoResponse(t.Context(), as, client, aboutSubject(), resp, nil)
			wantOutcome(t, err, test.want)
			var raw json.RawMessage
			if err == nil && (userinfo.Claims(&raw) != nil || !strings.HasPrefix(string(raw), `{`)) {
				t.Errorf("claims %s", raw)
			}
		})
	}
}

func TestClientUserinfo(t *testing.T) {
	p, client := newOIDC()
	p.others = map[string]endpoint{"/userinfo": always(200, members{"sub": subject, "name": "A"}.json())}
	userinfo, err := client.Userinfo(t.Context(), aboutSubject())
	if err != nil || userinfo.Subject != subject {
		t.Fatal(userinfo, err)
	}
	var raw json.RawMessage
	if err := userinfo.Claims(&raw); err != nil || string(raw) != `{"name":"A","sub":"urn:example:subject"}` {
		t.Errorf("claims %s, %v", raw, err)
	}
	client.Server.UserinfoEndpoint = ""
	_, err = client.Userinfo(t.Context(), aboutSubject())
	wantOutcome(t, err, noEndpoint)
}

// The endpoint repeats what it was sent, and the claims are about a person.
func TestUserinfoHidesSecrets(t *testing.T) {
	p, client := newOIDC()
	token := aboutSubject()
	token.AccessToken = secretAccess
	for name, answer := range map[string]endpoint{
		"challenge": always(401, "", "WWW-Authenticate", `Bearer error="`+secretAccess+`", x="`+secretAccess+`"`),
		"alg":       always(200, mint(secretAccess, members{"sub": subject}), "Content-Type", "application/jwt"),
		"iss":       always(200, mint("ES256", members{"sub": subject, "iss": secretAccess}), "Content-Type", "application/jwt"),
		"sub":       always(200, members{"sub": "PERSON@4715 " + secretAccess}.json()),
		"HTML":      always(200, secretAccess, "Content-Type", secretAccess),
		"redirect":  always(302, "", "Location", "https://"+secretAccess+".example/"+secretAccess),
		"network":   func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") },
	} {
		p.others = map[string]endpoint{"/userinfo": answer}
		client.Server.UserinfoSigningAlgValuesSupported = []string{"ES256"}
		_, err := client.Userinfo(t.Context(), token)
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		wantHidden(t, name, err, secretAccess, "PERSON@4715")
	}
	p.others = map[string]endpoint{"/userinfo": always(200, members{"sub": subject, "email": "PERSON@4715"}.json())}
	userinfo, err := client.Userinfo(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	wantHidden(t, "*Userinfo", userinfo, "PERSON@4715")
	for how, text := range shown(*userinfo) {
		if !strings.HasSuffix(how, " hidden") {
			wantNoSecrets(t, "Userinfo "+how, text, "PERSON@4715")
		}
	}
}

func TestUserinfoEndsWithItsContext(t *testing.T) {
	inBubble(func(t *testing.T) {
		p, client := newOIDC()
		p.others = map[string]endpoint{"/userinfo": untilDone}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := client.Userinfo(ctx, aboutSubject())
		if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", took, err)
		}
	})(t)
}
