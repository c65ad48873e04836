package grant_test

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	duplicate    = "OAUTH_INVALID_RESPONSE authorization_response.duplicate"
	wrongIss     = "OAUTH_INVALID_RESPONSE authorization_response.iss"
	wrongState   = "OAUTH_INVALID_RESPONSE authorization_response.state"
	malformed    = "OAUTH_INVALID_RESPONSE authorization_response.syntax"
	jarm         = "OAUTH_INVALID_RESPONSE authorization_response.response"
	implicit     = "OAUTH_UNSUPPORTED_OPERATION authorization_response.implicit"
	missingCode  = "OAUTH_INVALID_RESPONSE authorization_response.code"
	unknownState = "the state of another login"
)

func TestValidateAuthResponse(t *testing.T) {
	const iss = "&iss=https%3A%2F%2Fop.example.com"
	tests := []struct {
		name, query, state string
		issSupported       bool
		want               string
	}{
		{"R117 a code", "code=c&state=s", "s", false, "ok"},
		{"R117 no code", "state=s", "s", false, "ok"},
		{"R117 extra parameters", "code=c&state=s&session_state=x&scope=openid", "s", false, "ok"},

		{"R111 state twice", "code=c&state=s&state=s", "s", false, duplicate},
		{"R111 state twice, percent-encoded name", "code=c&state=s&st%61te=s", "s", false, duplicate},
		{"R111 state in another case is another name", "code=c&state=s&State=x", "s", false, "ok"},
		{"R111 iss twice", "code=c&state=s" + iss + iss, "s", false, duplicate},
		{"R111 error twice", "state=s&error=a&error=a", "s", false, duplicate},
		{"R111 response twice", "state=s&response=a&response=a", "s", false, duplicate},
		{"R111 id_token twice", "state=s&id_token=a&id_token=a", "s", false, duplicate},
		{"R111 token twice", "state=s&token=a&token=a", "s", false, duplicate},
		{"H02 code twice", "code=c&code=c&state=s", "s", false, duplicate},
		{"H02 error_description twice", "state=s&error=a&error_description=x&error_description=x", "s", false, duplicate},
		{"H02 error_uri twice", "state=s&error=a&error_uri=x&error_uri=x", "s", false, duplicate},
		{"R111 another name twice", "code=c&state=s&x=1&x=2", "s", false, "ok"},
		{"R111 duplicates come before a wrong state", "code=c&code=d&state=x", "s", false, duplicate},

		{"R112 response", "state=s&response=a.b.c", "s", false, jarm},
		{"R112 response before iss", "state=s&response=a.b.c&iss=x", "s", false, jarm},
		{"R112 empty response", "code=c&state=s&response=", "s", false, "ok"},

		{"R113 right iss", "code=c&state=s" + iss, "s", true, "ok"},
		{"R113 right iss, not advertised", "code=c&state=s" + iss, "s", false, "ok"},
		{"R113 no iss, advertised", "code=c&state=s", "s", true, wrongIss},
		{"R113 empty iss, advertised", "code=c&state=s&iss=", "s", true, wrongIss},
		{"R113 empty iss, not advertised", "code=c&state=s&iss=", "s", false, "ok"},
		{"R113 wrong iss", "code=c&state=s&iss=https%3A%2F%2Fevil.example", "s", true, wrongIss},
		{"R113 wrong iss, not advertised", "code=c&state=s&iss=https%3A%2F%2Fevil.example", "s", false, wrongIss},
		{"R113 slash at the end of iss", "code=c&state=s" + iss + "%2F", "s", true, wrongIss},
		{"R113 iss in upper case", "code=c&state=s&iss=HTTPS%3A%2F%2Fop.example.com", "s", true, wrongIss},
		{"R113 iss counts in an error response", "error=access_denied&state=s", "s", true, wrongIss},
		{"R113 wrong iss before the state", "code=c&state=x&iss=x", "s", false, wrongIss},

		{"R114 no state expected, none there", "code=c", "", false, "ok"},
		{"R114 no state expected, one there", "code=c&state=s", "", false, wrongState},
		{"R114 no state expected, an empty one there", "code=c&state=", "", false, wrongState},
		{"R114 state missing", "code=c", "s", false, wrongState},
		{"R114 state empty", "code=c&state=", "s", false, wrongState},
		{"R114 state wrong", "code=c&state=" + url.QueryEscape(unknownState), "s", false, wrongState},
		{"R114 state longer", "code=c&state=ss", "s", false, wrongState},
		{"R114 state in another case", "code=c&state=S", "s", false, wrongState},

		{"R115 error", "error=access_denied&state=s", "s", false, "refused access_denied"},
		{"R115 error wins over a code", "error=access_denied&code=c&state=s", "s", false, "refused access_denied"},
		{"R115 wrong state comes before the error", "error=access_denied&state=x", "s", false, wrongState},
		{"R115 missing state comes before the error", "error=access_denied", "s", false, wrongState},
		{"R115 empty error", "error=&code=c&state=s", "s", false, "ok"},
		{"R115 error comes before id_token", "error=access_denied&state=s&id_token=x", "s", false, "refused access_denied"},

		{"R116 id_token", "code=c&state=s&id_token=x", "s", false, implicit},
		{"R116 empty id_token", "code=c&state=s&id_token=", "s", false, implicit},
		{"R116 token", "code=c&state=s&token=x", "s", false, implicit},
		{"R116 access_token is not looked at", "code=c&state=s&access_token=x", "s", false, "ok"},

		{"T01 broken percent-encoding", "code=1&state=s&code=2%zz", "s", false, malformed},
		{"T01 semicolon", "code=1;code=2&state=s", "s", false, malformed},
		{"T01 not UTF-8", "code=%ff&state=s", "s", false, malformed},
		{"T01 name is not UTF-8", "code=c&state=s&%ff=1", "s", false, malformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			as, client := newServer(), newClient(nil)
			as.AuthorizationResponseIssParameterSupported = test.issSupported
			params, err := grant.ParseAuthResponse(test.query)
			if err == nil {
				_, err = grant.ValidateAuthResponse(as, client, params, test.state)
			}
			wantOutcome(t, err, test.want)
		})
	}
}

func TestValidateAuthResponseArguments(t *testing.T) {
	as, client, params := newServer(), newClient(nil), url.Values{"code": {"c"}}
	tests := []struct {
		name   string
		as     *grant.AuthorizationServer
		client *grant.Client
		params url.Values
	}{
		{"R001 no server", nil, client, params},
		{"R001 server without an issuer", &grant.AuthorizationServer{}, client, params},
		{"R002 no client", as, nil, params},
		{"R002 client without an ID", as, &grant.Client{}, params},
		{"R155 negative DefaultMaxAge", as, &grant.Client{ClientID: "c", DefaultMaxAge: new(-1)}, params},
		{"R110 no parameters", as, client, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := grant.ValidateAuthResponse(test.as, test.client, test.params, "")
			wantOutcome(t, err, "argument")
		})
	}
}

func TestAuthorizationErrorIsKept(t *testing.T) {
	params := url.Values{
		"error": {"access_denied"}, "error_description": {"no, the person said"},
		"error_uri": {"https://op.example.com/why"}, "state": {"s"},
	}
	_, err := grant.ValidateAuthResponse(newServer(), newClient(nil), params, "s")
	want := &grant.Error{Code: "access_denied", Description: "no, the person said",
		URI: "https://op.example.com/why", Endpoint: "authorization"}
	if got, _ := errors.AsType[*grant.Error](err); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if text := "authorization endpoint refused: access_denied (no, the person said)"; err.Error() != text {
		t.Errorf("text %q, want %q", err, text)
	}
}

// The text of an error goes to a terminal and into logs, so it must not move
// the cursor, reorder what is shown or fill the screen.
func TestServerTextIsTamed(t *testing.T) {
	params := url.Values{"error": {"a\x1b[2Jb"}, "error_description": {"x\r\n\u202ey\x00" + strings.Repeat("long ", 1000)}, "state": {"s"}}
	_, err := grant.ValidateAuthResponse(newServer(), newClient(nil), params, "s")
	if text := err.Error(); strings.ContainsAny(text, "\x1b\r\n\x00\u202e") || len(text) > 1000 {
		t.Errorf("the text is %d bytes: %.300q", len(text), text)
	}
	_, err = grant.ValidateAuthResponse(newServer(), newClient(nil),
		url.Values{"iss": {"\u009b" + strings.Repeat("long ", 1000)}, "state": {"s"}}, "s")
	if text := err.Error(); strings.Contains(text, "\u009b") || len(text) > 1000 {
		t.Errorf("the text is %d bytes: %.300q", len(text), text)
	}
}

func TestCallbackParametersAreBound(t *testing.T) {
	as, client := newServer(), newClient(newProvider(tokenBody("")))
	other := newServer()
	other.Issuer = "https://other.example"
	otherClient := newClient(client.HTTPClient.Transport)
	otherClient.ClientID = "other"
	callback := validated(t, as, client, "code=c&state=s")
	tests := []struct {
		name   string
		as     *grant.AuthorizationServer
		client *grant.Client
		params grant.CallbackParameters
		want   string
	}{
		{"R118 the same server and client", as, client, callback, "ok"},
		{"R118 again", as, client, callback, "ok"},
		{"R119 zero value", as, client, grant.CallbackParameters{}, "argument"},
		{"H01 another server", other, client, callback, "argument"},
		{"H01 another client", as, otherClient, callback, "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := grant.AuthorizationCodeGrantRequest(t.Context(), test.as, test.client, test.params, redirect, "verifier", nil)
			wantOutcome(t, err, test.want)
		})
	}
}

func TestCallbackParametersAreACopy(t *testing.T) {
	p := newProvider(tokenBody(""))
	as, client := newServer(), newClient(p)
	params := url.Values{"code": {"right"}, "state": {"s"}}
	callback, err := grant.ValidateAuthResponse(as, client, params, "s")
	if err != nil {
		t.Fatal(err)
	}
	params["code"][0] = "wrong"
	params.Set("code", "wrong")
	if _, err := grant.AuthorizationCodeGrantRequest(t.Context(), as, client, callback, redirect, "verifier", nil); err != nil {
		t.Fatal(err)
	}
	if code := p.one(t, "/token").form.Get("code"); code != "right" {
		t.Errorf("code %q was sent", code)
	}
}

func BenchmarkValidateAuthResponse(b *testing.B) {
	as, client := newServer(), newClient(nil)
	params := url.Values{"code": {"SplxlOBeZQQYbYS6WxSbIA"}, "state": {"af0ifjsldkj"}, "iss": {issuer}}
	for b.Loop() {
		if _, err := grant.ValidateAuthResponse(as, client, params, "af0ifjsldkj"); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzCallback: whatever the query, a code reaches the token endpoint only with
// the right state, and what is accepted means the same after encoding.
func FuzzCallback(f *testing.F) {
	for _, seed := range []string{
		"code=c&state=STATE", "code=c", "state=STATE", "code=c&state=STATE&state=STATE", "code=c&state=STATE%zz",
		"code=c;state=STATE", "error=access_denied&state=STATE", "iss=https%3A%2F%2Fop.example.com&code=%2B+&state=STATE",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		p := newProvider(tokenBody(""))
		client := newClient(p)
		client.Server = newServer()
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		state := stateOf(t, flow)
		params, err := grant.ParseAuthResponse(strings.ReplaceAll(query, "STATE", state))
		if err != nil {
			return
		}
		if again, err := grant.ParseAuthResponse(params.Encode()); err != nil || !reflect.DeepEqual(again, params) {
			t.Errorf("%q means something else after encoding: %v, %v", query, again, err)
		}
		_, err = flow.Exchange(t.Context(), params)
		ours := len(params["state"]) == 1 && params.Get("state") == state
		if errors.Is(err, grant.ErrNotOurs) == ours {
			t.Errorf("ours is %t, and Exchange says: %v", ours, err)
		}
		sent := p.requests("/token")
		if len(sent) > 0 && (!ours || params.Get("error") != "" || sent[0].form.Get("code") != params.Get("code")) {
			t.Errorf("%q reached the token endpoint: %v", query, sent[0].form)
		}
		if err == nil && len(sent) != 1 {
			t.Errorf("%d token requests for one code", len(sent))
		}
	})
}

// stateOf reads the state from the authorization URL, as a provider would.
func stateOf(t testing.TB, flow *grant.Flow) string {
	t.Helper()
	u, err := url.Parse(flow.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("state")
}
