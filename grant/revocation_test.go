package grant_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

const revocationStatus = "OAUTH_RESPONSE_IS_NOT_CONFORM revocation_response.status"

func TestRevocationRequestOrder(t *testing.T) {
	without := newServer()
	without.RevocationEndpoint = ""
	tests := []struct {
		name   string
		as     *grant.AuthorizationServer
		client *grant.Client
		token  grant.Secret
		want   string
	}{
		{"REV-01 no endpoint", without, newClient(nil), "token", noEndpoint},
		{"REV-02 no token, no endpoint", without, newClient(nil), "", "argument"},
		{"R001 no server", nil, newClient(nil), "token", "argument"},
		{"R002 no client", newServer(), nil, "token", "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := grant.RevocationRequest(t.Context(), test.as, test.client, test.token, "", nil)
			wantOutcome(t, err, test.want)
		})
	}
}

func TestRevocationRequest(t *testing.T) {
	tests := []struct {
		name, hint string
		opts       *grant.TokenEndpointRequestOptions
		wantHint   string
		userAgent  string
	}{
		{"REV-03", "", nil, "", ""},
		{"REV-04 REV-05 REV-06 additional parameters", "", &grant.TokenEndpointRequestOptions{AdditionalParameters: url.Values{
			"token_type_hint": {"access_token"}, "token": {"smuggled"}}}, "access_token", ""},
		{"REV-07 REV-08 REV-09 headers", "", &grant.TokenEndpointRequestOptions{Header: http.Header{"accept": {"x"}, "user-agent": {"foo"}}}, "", "foo"},
		{"hint", "refresh_token", nil, "refresh_token", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider("")
			resp, err := grant.RevocationRequest(t.Context(), newServer(), newClient(p), "token", test.hint, test.opts)
			if err != nil || resp.StatusCode != 200 {
				t.Fatal(resp, err)
			}
			r := p.one(t, "/revoke")
			if len(r.form["token"]) != 1 || r.form.Get("token") != "token" || r.form.Get("token_type_hint") != test.wantHint || r.form.Has("token_type_hint") != (test.wantHint != "") {
				t.Errorf("form %v", r.form)
			}
			agent := r.header.Get("User-Agent")
			if r.method != "POST" || r.header.Values("Accept") != nil || test.userAgent != "" && agent != test.userAgent || test.userAgent == "" && !userAgent.MatchString(agent) {
				t.Errorf("%s with %v", r.method, r.header)
			}
		})
	}
}

func TestRevocationResponse(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		header []string
		want   string
	}{
		{"REV-11 404", 404, "", nil, revocationStatus},
		{"REV-12 200 empty", 200, "", nil, "ok"},
		{"R241 200 with anything", 200, "<html>", []string{"Content-Type", "text/html"}, "ok"},
		{"REV-13 401", 401, `{"error":"invalid_client"}`, nil, "refused invalid_client"},
		{"R241 204", 204, "", nil, revocationStatus},
		{"R241 503", 503, "", []string{"Retry-After", "5"}, revocationStatus},
		{"challenge", 401, "", []string{"WWW-Authenticate", "Basic"}, "refused "},
		{"HTML", 403, "<html>", []string{"Content-Type", "text/html"}, "OAUTH_RESPONSE_IS_NOT_JSON revocation_response.status"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resp := response(test.status, test.body, test.header...)
			body := &closeCounter{Reader: resp.Body}
			resp.Body = body
			wantOutcome(t, grant.ProcessRevocationResponse(newServer(), newClient(nil), resp), test.want)
			if body.closed == 0 {
				t.Error("T17: the body was not closed")
			}
		})
	}
}

func TestRevocationResponseArguments(t *testing.T) {
	for _, test := range []struct {
		name   string
		as     *grant.AuthorizationServer
		client *grant.Client
		resp   *http.Response
		want   string
	}{
		{"REV-10 no response", newServer(), newClient(nil), nil, "argument"},
		{"R001 no server", nil, newClient(nil), response(200, ""), "argument"},
		{"R002 no client", newServer(), nil, response(200, ""), "argument"},
		{"R241 no body", newServer(), newClient(nil), &http.Response{StatusCode: 200}, "ok"},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantOutcome(t, grant.ProcessRevocationResponse(test.as, test.client, test.resp), test.want)
		})
	}
}

func TestClientRevoke(t *testing.T) {
	p := newProvider("")
	client := newClient(p)
	client.Server, client.Header = newServer(), http.Header{"Foo": {"bar"}}
	wantOutcome(t, client.Revoke(t.Context(), "token", "access_token"), "ok")
	if r := p.one(t, "/revoke"); r.form.Get("token_type_hint") != "access_token" || r.header.Get("Foo") != "bar" {
		t.Errorf("form %v, headers %v", r.form, r.header)
	}
	p.revocation = always(400, `{"error":"unsupported_token_type"}`)
	wantOutcome(t, client.Revoke(t.Context(), "token", "access_token"), "refused unsupported_token_type")
	wantOutcome(t, client.Revoke(t.Context(), "", ""), "argument")
	client.Server.RevocationEndpoint = ""
	wantOutcome(t, client.Revoke(t.Context(), "token", ""), noEndpoint)
	wantOutcome(t, (*grant.Client)(nil).Revoke(context.Background(), "token", ""), "argument")
}
