package grant_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const badPAR = "OAUTH_INVALID_RESPONSE par_response."

// R070 to R072: what is sent.
func TestPushedAuthorizationRequest(t *testing.T) {
	tests := []struct {
		name   string
		auth   grant.ClientAuth
		params url.Values
		opts   *grant.TokenEndpointRequestOptions
		want   url.Values
	}{
		{"PAR-02 PAR-03 PAR-04 parameters", nil, url.Values{"response_type": {"code"}}, nil, url.Values{"client_id": {clientID}, "response_type": {"code"}}},
		{"R071 none, no parameters", nil, nil, nil, url.Values{"client_id": {clientID}}},
		{"R071 client_id replaces all", nil, url.Values{"client_id": {"a", "b"}}, nil, url.Values{"client_id": {clientID}}},
		{"R071 client_id beside Basic", grant.ClientSecretBasic("s"), url.Values{"scope": {"a b"}}, nil, url.Values{"client_id": {clientID}, "scope": {"a b"}}},
		{"R071 client_secret_post", grant.ClientSecretPost("s"), nil, nil, url.Values{"client_id": {clientID}, "client_secret": {"s"}}},
		{"R022 repeated names stay", nil, url.Values{"resource": {"https://a.example", "https://b.example"}}, nil,
			url.Values{"client_id": {clientID}, "resource": {"https://a.example", "https://b.example"}}},
		{"H06 credentials are dropped", nil, url.Values{"client_secret": {"x"}, "client_assertion": {"x"}, "client_assertion_type": {"x"}}, nil, url.Values{"client_id": {clientID}}},
		{"RFC 9126, section 2.1: no request_uri", nil, url.Values{"request_uri": {"urn:x"}}, nil, url.Values{"client_id": {clientID}}},
		{"PAR-05 PAR-06 PAR-07 headers", nil, nil, &grant.TokenEndpointRequestOptions{Header: http.Header{"accept": {"x"}, "user-agent": {"foo"}, "foo": {"bar"}}},
			url.Values{"client_id": {clientID}}},
		{"additional parameters do not win", nil, url.Values{"scope": {"a"}}, &grant.TokenEndpointRequestOptions{AdditionalParameters: url.Values{"scope": {"b"}, "x": {"1"}}},
			url.Values{"client_id": {clientID}, "scope": {"a"}, "x": {"1"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider("")
			client := newClient(p)
			client.Auth = test.auth
			before := test.params.Encode()
			resp, err := grant.PushedAuthorizationRequest(t.Context(), newServer(), client, test.params, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := grant.ProcessPushedAuthorizationResponse(newServer(), client, resp); err != nil {
				t.Fatal(err)
			}
			r := p.one(t, "/par")
			if !reflect.DeepEqual(r.form, test.want) || test.params.Encode() != before {
				t.Errorf("form %v, want %v; parameters %v", r.form, test.want, test.params)
			}
			if r.method != http.MethodPost || r.header.Get("Accept") != "application/json" || r.header.Get("User-Agent") == "" ||
				(r.header.Get("Authorization") != "") != (test.auth != nil && test.auth.Method() == "client_secret_basic") {
				t.Errorf("%s %v", r.method, r.header)
			}
			if test.opts != nil && test.opts.Header != nil && (r.header.Get("User-Agent") != "foo" || r.header.Get("Foo") != "bar") {
				t.Errorf("headers %v", r.header)
			}
		})
	}
}

func TestPushedAuthorizationRequestRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		setup func(as *grant.AuthorizationServer, c *grant.Client)
		want  string
	}{
		"PAR-01 endpoint missing": {func(as *grant.AuthorizationServer, _ *grant.Client) { as.PushedAuthorizationRequestEndpoint = "" },
			"OAUTH_MISSING_SERVER_METADATA metadata.endpoint"},
		"R011 endpoint relative": {func(as *grant.AuthorizationServer, _ *grant.Client) { as.PushedAuthorizationRequestEndpoint = "/par" },
			"OAUTH_INVALID_SERVER_METADATA metadata.endpoint"},
		"R012 endpoint not https": {func(as *grant.AuthorizationServer, _ *grant.Client) {
			as.PushedAuthorizationRequestEndpoint = "http://op.example.com/par"
		}, "OAUTH_HTTP_REQUEST_FORBIDDEN url.scheme"},
		"R070 no issuer":    {func(as *grant.AuthorizationServer, _ *grant.Client) { as.Issuer = "" }, "argument"},
		"R070 no client_id": {func(_ *grant.AuthorizationServer, c *grant.Client) { c.ClientID = "" }, "argument"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider("")
			as, client := newServer(), newClient(p)
			test.setup(as, client)
			_, err := grant.PushedAuthorizationRequest(t.Context(), as, client, url.Values{}, nil)
			wantOutcome(t, err, test.want)
			if len(p.seen) > 0 {
				t.Error("a request was sent")
			}
		})
	}
}

// R015: the endpoint has an alias for clients with a certificate.
func TestPushedAuthorizationRequestAlias(t *testing.T) {
	p := newProvider("")
	as, client := newServer(), newClient(p)
	as.MTLSEndpointAliases = map[string]string{"pushed_authorization_request_endpoint": "https://mtls.example.com/par"}
	client.UseMTLSEndpointAliases = true
	if _, err := grant.PushedAuthorizationRequest(t.Context(), as, client, nil, nil); err != nil {
		t.Fatal(err)
	}
	if got := p.one(t, "/par").url; got != "https://mtls.example.com/par" {
		t.Errorf("sent to %s", got)
	}
}

// R073: what is accepted.
func TestProcessPushedAuthorizationResponse(t *testing.T) {
	good := members{"request_uri": "urn:example:uri", "expires_in": 60}
	answer := func(changes members) *http.Response { return response(201, good.with(changes).json()) }
	tests := []struct {
		name string
		resp *http.Response
		want string
	}{
		{"PAR-10 nil", nil, "argument"},
		{"PAR-11 404", response(404, ""), "OAUTH_RESPONSE_IS_NOT_CONFORM par_response.status"},
		{"R073 200", response(200, good.json()), "OAUTH_RESPONSE_IS_NOT_CONFORM par_response.status"},
		{"R021 303", response(303, good.json(), "Location", "https://op.example.com/"), "OAUTH_RESPONSE_IS_NOT_CONFORM par_response.status"},
		{"R104 500", response(500, `{"error":"x"}`), "OAUTH_RESPONSE_IS_NOT_CONFORM par_response.status"},
		{"R102 404 HTML", response(404, "<html>", "Content-Type", "text/html"), "OAUTH_RESPONSE_IS_NOT_JSON par_response.status"},
		{"PAR-12", response(201, `{"`), "OAUTH_PARSE_ERROR par_response.body"},
		{"PAR-13", response(201, "null"), badPAR + "body"},
		{"PAR-14", response(201, "[]"), badPAR + "body"},
		{"PAR-15 request_uri null", answer(members{"request_uri": null}), badPAR + "request_uri"},
		{"R073 request_uri missing", answer(members{"request_uri": nil}), badPAR + "request_uri"},
		{"R073 request_uri empty", answer(members{"request_uri": ""}), badPAR + "request_uri"},
		{"request_uri with a line break", answer(members{"request_uri": "urn:a\r\nb"}), badPAR + "request_uri"},
		{"request_uri with a space", answer(members{"request_uri": "urn:a b"}), badPAR + "request_uri"},
		{"request_uri with a letter outside ASCII", answer(members{"request_uri": "urn:ä"}), badPAR + "request_uri"},
		{"PAR-16 expires_in null", answer(members{"expires_in": null}), badPAR + "expires_in"},
		{"R073 expires_in missing", answer(members{"expires_in": nil}), badPAR + "expires_in"},
		{"R073 expires_in negative", answer(members{"expires_in": -1}), badPAR + "expires_in"},
		{"R073 expires_in a string", answer(members{"expires_in": "60"}), "ok"},
		{"R073 expires_in 0", answer(members{"expires_in": 0}), "ok"},
		{"PAR-17", answer(nil), "ok"},
		{"R073 another form of URI", answer(members{"request_uri": "x"}), "ok"},
		{"R100 challenge on 201", response(201, good.json(), "WWW-Authenticate", `Basic realm="x"`), "ok"},
		{"R106 content type", response(201, good.json(), "Content-Type", "text/plain"), "ok"},
		{"PAR-18 invalid_client", response(401, `{"error":"invalid_client"}`), "refused invalid_client"},
		{"R101 challenge", response(401, `{"error":"invalid_client"}`, "WWW-Authenticate", `Basic error="x"`), "refused invalid_client"},
		{"PAR-19", answer(nil), "ok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pushed, err := grant.ProcessPushedAuthorizationResponse(newServer(), newClient(nil), test.resp)
			wantOutcome(t, err, test.want)
			if (pushed != nil) != (test.want == "ok") {
				t.Errorf("got %v", pushed)
			}
		})
	}
	_, err := grant.ProcessPushedAuthorizationResponse(nil, newClient(nil), answer(nil))
	wantOutcome(t, err, "argument")
	_, err = grant.ProcessPushedAuthorizationResponse(newServer(), nil, answer(nil))
	wantOutcome(t, err, "argument")
}

// pushing returns a client that pushes, for the same provider as newOIDC.
func pushing() (*provider, *grant.Client) {
	p, client := newOIDC()
	client.RequirePushedAuthorizationRequests = true
	return p, client
}

// A pushed request leaves nothing but a reference in the authorization URL, and is
// otherwise the request that it would have been.
func TestAuthorizePushes(t *testing.T) {
	for name, setup := range map[string]func(c *grant.Client){
		"the client demands it": func(c *grant.Client) { c.RequirePushedAuthorizationRequests = true },
		"the server demands it": func(c *grant.Client) { c.Server.RequirePushedAuthorizationRequests = true },
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			p, client := newOIDC()
			client.Server.AuthorizationEndpoint += "?tenant=a&request=x"
			client.ClientSecret, client.Resources, client.LoginHint = "s", []string{"https://a.example", "https://b.example"}, "me"
			client.AuthorizationParameters, client.TokenParameters = url.Values{"foo": {"1"}, "request_uri": {"urn:mine"}}, url.Values{"bar": {"1"}}
			setup(client)
			p.others["/par"] = delayed(time.Second, p.others["/par"])
			before := time.Now()
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := query(t, flow), (url.Values{"tenant": {"a"}, "client_id": {clientID}, "request_uri": {"urn:example:uri"}}); !reflect.DeepEqual(got, want) {
				t.Errorf("URL with %v, want %v", got, want)
			}
			if want := before.Add(time.Minute); !flow.URLExpiry.Equal(want) {
				t.Errorf("good until %v, want a minute from when it was asked for, %v", flow.URLExpiry, want)
			}
			form := p.one(t, "/par").form
			want := url.Values{"client_id": {clientID}, "response_type": {"code"}, "redirect_uri": {redirect}, "scope": {"openid profile"},
				"state": form["state"], "nonce": form["nonce"], "code_challenge": form["code_challenge"], "code_challenge_method": {"S256"},
				"resource": {"https://a.example", "https://b.example"}, "login_hint": {"me"}, "foo": {"1"}}
			if !reflect.DeepEqual(form, want) {
				t.Errorf("pushed %v, want %v", form, want)
			}
			if p.requests("/par")[0].header.Get("Authorization") == "" {
				t.Error("the client has not authenticated")
			}
			state := form.Get("state")
			p.token = always(200, tokenBody(mint("ES256", idClaims(members{"nonce": form.Get("nonce")}))))
			if _, err := flow.Exchange(t.Context(), url.Values{"code": {"c"}, "state": {state}}); err != nil {
				t.Fatal(err)
			}
			if verifier := p.one(t, "/token").form.Get("code_verifier"); s256(verifier) != form.Get("code_challenge") {
				t.Error("the verifier is not that of the pushed challenge")
			}
		}))
	}
}

func TestAuthorizeWithoutPAR(t *testing.T) {
	p, client := newOIDC()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	if !flow.URLExpiry.IsZero() || len(p.seen) > 0 {
		t.Errorf("good until %v, after %d requests", flow.URLExpiry, len(p.seen))
	}
}

// When a request cannot be pushed there is no other way, and the person is not
// sent anywhere.
func TestAuthorizeDoesNotFallBack(t *testing.T) {
	for name, test := range map[string]struct {
		setup func(p *provider, c *grant.Client)
		want  string
	}{
		"no endpoint": {func(_ *provider, c *grant.Client) { c.Server.PushedAuthorizationRequestEndpoint = "" }, "OAUTH_MISSING_SERVER_METADATA metadata.endpoint"},
		"refused":     {func(p *provider, _ *grant.Client) { p.others["/par"] = always(400, `{"error":"invalid_request"}`) }, "refused invalid_request"},
		"not found":   {func(p *provider, _ *grant.Client) { p.others["/par"] = always(404, "") }, "OAUTH_RESPONSE_IS_NOT_CONFORM par_response.status"},
		"no URI":      {func(p *provider, _ *grant.Client) { p.others["/par"] = always(201, `{"expires_in":60}`) }, badPAR + "request_uri"},
	} {
		t.Run(name, func(t *testing.T) {
			p, client := pushing()
			test.setup(p, client)
			flow, err := client.Authorize(t.Context(), redirect)
			wantOutcome(t, err, test.want)
			if flow != nil {
				t.Error("there is a flow")
			}
		})
	}
}

// A server that repeats what was pushed.
func TestPushFailuresHideSecrets(t *testing.T) {
	p, client := pushing()
	client.ClientSecret, client.TokenEndpointAuthMethod = secretOfClient, "client_secret_post"
	var secrets []string
	p.others["/par"] = func(*http.Request) (*http.Response, error) {
		form := p.one(t, "/par").form
		secrets = []string{form.Get("state"), form.Get("nonce"), form.Get("client_secret")}
		return response(400, members{"error": "x", "error_description": strings.Join(secrets, " ")}.json()), nil
	}
	_, err := client.Authorize(t.Context(), redirect)
	if err == nil {
		t.Fatal("no error")
	}
	wantHidden(t, "push", err, secrets...)
}
