package grant_test

import (
	"cmp"
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
	notConform = "OAUTH_RESPONSE_IS_NOT_CONFORM token_response.status"
	notJSON    = "OAUTH_RESPONSE_IS_NOT_JSON token_response.body"
	notJSON4xx = "OAUTH_RESPONSE_IS_NOT_JSON token_response.status"
	parseError = "OAUTH_PARSE_ERROR token_response.body"
	notObject  = "OAUTH_INVALID_RESPONSE token_response.body"
	badToken   = "OAUTH_INVALID_RESPONSE token_response."
	badType    = "OAUTH_UNSUPPORTED_OPERATION token_response.token_type"
)

// What a token endpoint answers without an ID token. The rows hold for the code
// grant, for refresh and for the device grant.
var tokenResponses = []struct {
	name   string
	status int
	body   string
	header []string
	want   string
}{
	{name: "AC-13 RT-12 DEV-33 404", status: 404, want: notConform},
	{name: "AC-14 RT-13 DEV-34 half an object", body: `{"`, want: parseError},
	{name: "AC-15 RT-14 DEV-35 null", body: `null`, want: notObject},
	{name: "AC-16 RT-15 DEV-36 array", body: `[]`, want: notObject},
	{name: "R108 string", body: `"x"`, want: notObject},
	{name: "R108 number", body: `1`, want: notObject},
	{name: "R108 trailing text", body: `{"access_token":"token","token_type":"Bearer"} x`, want: parseError},
	{name: "T04 two objects", body: `{"access_token":"token","token_type":"Bearer"}{}`, want: parseError},
	{name: "T04 byte order mark", body: "\ufeff" + `{"access_token":"token","token_type":"Bearer"}`, want: "ok"},
	{name: "T01 not UTF-8", body: "{\"access_token\":\"tok\xff\",\"token_type\":\"Bearer\"}", want: parseError},
	{name: "R108 the last member wins", body: `{"access_token":5,"access_token":"token","token_type":"Bearer"}`, want: "ok"},
	{name: "R106 nested too deep", body: strings.Repeat("[", 20000), want: parseError},
	{name: "empty body", body: "", want: parseError},

	{name: "R107 wrong type, good JSON", body: `{"access_token":"token","token_type":"Bearer"}`, header: []string{"Content-Type", "text/html"}, want: "ok"},
	{name: "R107 HTML", body: `<html>`, header: []string{"Content-Type", "text/html; charset=utf-8"}, want: notJSON},
	{name: "R107 type with a parameter", body: `<html>`, header: []string{"Content-Type", "application/json; charset=utf-8"}, want: parseError},
	{name: "R107 type in upper case", body: `<html>`, header: []string{"Content-Type", "APPLICATION/JSON"}, want: notJSON},
	{name: "R107 blank before the semicolon", body: `<html>`, header: []string{"Content-Type", "application/json ;x"}, want: notJSON},
	{name: "R107 no type", body: `<html>`, header: []string{"Content-Type", ""}, want: notJSON},
	{name: "R107 key sets are no tokens", body: `<html>`, header: []string{"Content-Type", "application/jwk-set+json"}, want: notJSON},

	{name: "AC-17 RT-16 DEV-37 no access_token", body: `{"token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "R127 access_token null", body: `{"access_token":null,"token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "R127 access_token empty", body: `{"access_token":"","token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "R127 access_token number", body: `{"access_token":1,"token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "T02 Access_Token", body: `{"Access_Token":"token","token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "A.12 access_token with a line break", body: `{"access_token":"tok\nen","token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "A.12 access_token with a line break at its end", body: `{"access_token":"token\r\n","token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "A.12 access_token with a tab", body: `{"access_token":"tok\ten","token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "A.12 access_token with an escape", body: `{"access_token":"tok\u001b[31men","token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "A.12 access_token with DEL", body: `{"access_token":"tok\u007fen","token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "A.12 access_token beyond ASCII", body: `{"access_token":"tok\u00e9n","token_type":"Bearer"}`, want: badToken + "access_token"},
	{name: "A.12 access_token with all that it may have", body: `{"access_token":" !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_` + "`" + `az{|}~","token_type":"Bearer"}`, want: "ok"},
	{name: "AC-18 RT-17 DEV-38 no token_type", body: `{"access_token":"token"}`, want: badToken + "token_type"},
	{name: "R128 token_type null", body: `{"access_token":"token","token_type":null}`, want: badToken + "token_type"},
	{name: "R128 token_type empty", body: `{"access_token":"token","token_type":""}`, want: badToken + "token_type"},
	{name: "AC-20 unknown token_type", body: `{"access_token":"token","token_type":"unrecognized"}`, want: badType},
	{name: "R128 blank after the type", body: `{"access_token":"token","token_type":"Bearer "}`, want: badType},
	{name: "T11 no Kelvin sign", body: `{"access_token":"token","token_type":"to\u212aen"}`, want: badType},
	{name: "A.13 token_type with a line break", body: `{"access_token":"token","token_type":"Bearer\n"}`, want: badType},
	{name: "R128 BEARER", body: `{"access_token":"token","token_type":"BEARER"}`, want: "ok"},

	{name: "AC-19 RT-18 DEV-39 expires_in date", body: `{"access_token":"token","token_type":"Bearer","expires_in":"Sun, 06 Nov 1994 08:49:37 GMT"}`, want: badToken + "expires_in"},
	{name: "R129 expires_in null", body: `{"access_token":"token","token_type":"Bearer","expires_in":null}`, want: badToken + "expires_in"},
	{name: "R130 expires_in negative", body: `{"access_token":"token","token_type":"Bearer","expires_in":-1}`, want: badToken + "expires_in"},
	{name: "R130 expires_in beyond every number", body: `{"access_token":"token","token_type":"Bearer","expires_in":1e999}`, want: badToken + "expires_in"},
	{name: "R130 expires_in empty", body: `{"access_token":"token","token_type":"Bearer","expires_in":""}`, want: badToken + "expires_in"},
	{name: "R130 expires_in true", body: `{"access_token":"token","token_type":"Bearer","expires_in":true}`, want: badToken + "expires_in"},
	{name: "R130 expires_in object", body: `{"access_token":"token","token_type":"Bearer","expires_in":{}}`, want: badToken + "expires_in"},
	{name: "H11 expires_in array", body: `{"access_token":"token","token_type":"Bearer","expires_in":[60]}`, want: badToken + "expires_in"},
	{name: "H11 expires_in 60abc", body: `{"access_token":"token","token_type":"Bearer","expires_in":"60abc"}`, want: badToken + "expires_in"},
	{name: "H11 expires_in blank", body: `{"access_token":"token","token_type":"Bearer","expires_in":" 60"}`, want: badToken + "expires_in"},
	{name: "H11 expires_in signed text", body: `{"access_token":"token","token_type":"Bearer","expires_in":"-60"}`, want: badToken + "expires_in"},
	{name: "H11 expires_in hexadecimal", body: `{"access_token":"token","token_type":"Bearer","expires_in":"0x10"}`, want: badToken + "expires_in"},

	{name: "AC-21 RT-19 DEV-40 scope null", body: `{"access_token":"token","token_type":"Bearer","scope":null}`, want: badToken + "scope"},
	{name: "R132 scope array", body: `{"access_token":"token","token_type":"Bearer","scope":["a"]}`, want: badToken + "scope"},
	{name: "R132 scope empty", body: `{"access_token":"token","token_type":"Bearer","scope":""}`, want: "ok"},
	{name: "A.4 scope with an escape", body: `{"access_token":"token","token_type":"Bearer","scope":"a \u001b[31m"}`, want: badToken + "scope"},
	{name: "A.4 scope with NUL", body: `{"access_token":"token","token_type":"Bearer","scope":"a\u0000"}`, want: badToken + "scope"},
	{name: "A.4 scope with line breaks and commas", body: `{"access_token":"token","token_type":"Bearer","scope":"a,b\nc\td"}`, want: "ok"},
	{name: "A.4 scope beyond the syntax", body: `{"access_token":"token","token_type":"Bearer","scope":"l\u00f6schen \"a\" b\\c"}`, want: "ok"},
	{name: "AC-22 RT-20 DEV-41 refresh_token null", body: `{"access_token":"token","token_type":"Bearer","refresh_token":null}`, want: badToken + "refresh_token"},
	{name: "R131 refresh_token empty", body: `{"access_token":"token","token_type":"Bearer","refresh_token":""}`, want: badToken + "refresh_token"},
	{name: "A.17 refresh_token with a line break", body: `{"access_token":"token","token_type":"Bearer","refresh_token":"tok\nen"}`, want: badToken + "refresh_token"},
	{name: "A.17 refresh_token beyond ASCII", body: `{"access_token":"token","token_type":"Bearer","refresh_token":"tok\u00e9n"}`, want: badToken + "refresh_token"},
	{name: "A.17 refresh_token with a blank", body: `{"access_token":"token","token_type":"Bearer","refresh_token":"tok en"}`, want: "ok"},
	{name: "RT-21 DEV-42 id_token null", body: `{"access_token":"token","token_type":"Bearer","id_token":null}`, want: badToken + "id_token"},
	{name: "R133 id_token empty", body: `{"access_token":"token","token_type":"Bearer","id_token":""}`, want: badToken + "id_token"},
	{name: "R135 token_type is looked at last", body: `{"access_token":"token","token_type":"unrecognized","id_token":"a.b"}`, want: "OAUTH_INVALID_RESPONSE id_token.form"},
	{name: "RT-25 DEV-45 minimal", body: `{"access_token":"token","token_type":"Bearer"}`, want: "ok"},
	{name: "R134 other members", body: `{"access_token":"token","token_type":"Bearer","x":null,"authorization_details":5}`, want: "ok"},

	{name: "AC-25 RT-24 DEV-44 400 invalid_grant", status: 400, body: `{"error":"invalid_grant"}`, want: "refused invalid_grant"},
	{name: "R103 403", status: 403, body: `{"error":"access_denied"}`, want: "refused access_denied"},
	{name: "R103 description of a wrong type", status: 400, body: `{"error":"invalid_grant","error_description":5}`, want: "refused invalid_grant"},
	{name: "R102 404 HTML", status: 404, body: `<html>`, header: []string{"Content-Type", "text/html"}, want: notJSON4xx},
	{name: "H14 400 OAuth error as text", status: 400, body: `{"error":"invalid_grant"}`, header: []string{"Content-Type", "text/plain"}, want: notJSON4xx},
	{name: "R104 400 malformed", status: 400, body: `{"error":`, want: notConform},
	{name: "R104 400 empty error", status: 400, body: `{"error":""}`, want: notConform},
	{name: "R104 400 error of a wrong type", status: 400, body: `{"error":{"code":1}}`, want: notConform},
	{name: "T02 400 Error", status: 400, body: `{"Error":"invalid_grant"}`, want: notConform},
	{name: "R104 400 array", status: 400, body: `[{"error":"invalid_grant"}]`, want: notConform},
	{name: "R104 500 with an error", status: 500, body: `{"error":"server_error"}`, want: notConform},
	{name: "R104 503 HTML", status: 503, body: `<html>`, header: []string{"Content-Type", "text/html"}, want: notConform},
	{name: "R104 201", status: 201, body: `{"access_token":"token","token_type":"Bearer"}`, want: notConform},
	{name: "R104 204", status: 204, want: notConform},
	{name: "R021 302", status: 302, header: []string{"Location", "https://elsewhere.example/x?y"}, want: notConform},
	{name: "R105 200 with an error", body: `{"error":"bad_verification_code"}`, want: badToken + "access_token"},
	{name: "R105 200 with an error beside the token", body: `{"access_token":"token","token_type":"Bearer","error":"x"}`, want: "ok"},

	{name: "R100 challenge on 200", body: `{"access_token":"token","token_type":"Bearer"}`, header: []string{"WWW-Authenticate", "Key"}, want: "ok"},
	{name: "R101 challenge", status: 401, header: []string{"WWW-Authenticate", `Bearer error="invalid_token"`}, want: "refused invalid_token"},
	{name: "R101 challenge on 302", status: 302, header: []string{"WWW-Authenticate", `Basic realm="x"`}, want: "refused "},
	{name: "R101 challenge on 500", status: 500, body: `{"error":"server_error"}`, header: []string{"WWW-Authenticate", "Basic"}, want: "refused "},
	{name: "R206 malformed challenge does not hide the body", status: 401, body: `{"error":"invalid_client"}`, header: []string{"WWW-Authenticate", `Basic realm="`}, want: "refused invalid_client"},
	{name: "challenge and body", status: 401, body: `{"error":"invalid_client"}`, header: []string{"WWW-Authenticate", "Basic"}, want: "refused invalid_client"},
	{name: "larger than 1 MiB", body: `{"access_token":"` + strings.Repeat("x", 1<<20) + `"}`, want: "OAUTH_INVALID_RESPONSE response.size"},
	{name: "larger than 1 MiB, refused", status: 400, body: `{"error":"` + strings.Repeat("x", 1<<20) + `"}`, want: "OAUTH_INVALID_RESPONSE response.size"},
}

func TestTokenResponse(t *testing.T) {
	for _, processor := range processors {
		for _, test := range tokenResponses {
			t.Run(processor.name+" "+test.name, func(t *testing.T) {
				p := newProvider("")
				resp := response(cmp.Or(test.status, 200), test.body, test.header...)
				body := &closeCounter{Reader: resp.Body}
				resp.Body = body
				token, err := processor.process(t, newServer(), newClient(p), resp)
				wantOutcome(t, err, test.want)
				if (token == nil) != (err != nil) {
					t.Errorf("token %v beside error %v", token, err)
				}
				if body.closed == 0 {
					t.Error("T17: the body was not closed")
				}
				if len(p.seen) != 0 {
					t.Errorf("%d requests", len(p.seen))
				}
				if check, ok := errors.AsType[*grant.CheckError](err); ok && test.status >= 300 && check.Status != test.status {
					t.Errorf("H14: status %d, want %d", check.Status, test.status)
				}
				if refusal, ok := errors.AsType[*grant.Error](err); ok && (refusal.Status != test.status || refusal.Endpoint != "token") {
					t.Errorf("got %+v", refusal)
				}
			})
		}
	}
}

func TestNilArguments(t *testing.T) {
	for _, test := range []struct {
		name   string
		as     *grant.AuthorizationServer
		client *grant.Client
		resp   *http.Response
	}{
		{"AC-12 RT-11 DEV-32 no response", newServer(), newClient(nil), nil},
		{"R001 no server", nil, newClient(nil), response(200, "")},
		{"R002 no client", newServer(), nil, response(200, "")},
		{"R005 no body", newServer(), newClient(nil), &http.Response{StatusCode: 200}},
	} {
		for _, processor := range processors {
			t.Run(processor.name+" "+test.name, func(t *testing.T) {
				_, err := processor.process(t, test.as, test.client, test.resp)
				wantOutcome(t, err, "argument")
			})
		}
	}
	_, err := grant.ProcessAuthorizationCodeResponse(t.Context(), newServer(), newClient(nil),
		response(200, tokenBody("")), &grant.ProcessAuthorizationCodeOptions{MaxAge: new(-1)})
	wantOutcome(t, err, "argument") // R163
}

func TestFullToken(t *testing.T) {
	const body = `{"access_token":"token","token_type":"Bearer","expires_in":60,"scope":"api:read","refresh_token":"refresh"}`
	for _, processor := range processors {
		t.Run(processor.name+" AC-24 RT-22 RT-23 DEV-43", inBubble(func(t *testing.T) {
			token, err := processor.process(t, newServer(), newClient(nil), response(200, body))
			if err != nil {
				t.Fatal(err)
			}
			want := &grant.Token{AccessToken: "token", TokenType: "bearer", RefreshToken: "refresh",
				Scopes: []string{"api:read"}, Expiry: time.Now().Add(time.Minute).UTC().Round(0)}
			if !reflect.DeepEqual(token, want) {
				t.Errorf("got %#v, want %#v", *token, *want)
			}
			wantOutcome(t, token.IDToken.Claims(&members{}), "argument")
		}))
	}
}

func TestExpiresIn(t *testing.T) {
	const century = 100 * 365 * 24 * time.Hour
	for text, want := range map[string]time.Duration{
		`0`: 0, `3599`: 3599 * time.Second, `1.5`: 1500 * time.Millisecond, `1e3`: 1000 * time.Second, `0.05`: 50 * time.Millisecond,
		`"60"`: time.Minute, `"0"`: 0, `6e11`: century, `1e300`: century, `"18446744073709551615"`: century, `9223372037`: century,
	} {
		t.Run(text, inBubble(func(t *testing.T) {
			body := `{"access_token":"token","token_type":"Bearer","expires_in": ` + text + ` }`
			token, err := processors[0].process(t, newServer(), newClient(nil), response(200, body))
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Until(token.Expiry); got != want {
				t.Errorf("%v, want %v", got, want)
			}
			if token.Valid(0) != (want > 0) || token.Valid(want) {
				t.Error("a token is valid until its expiry, and not then")
			}
		}))
	}
}

// The lifetime counts from when the server issued the token, and that was
// after the request was sent, however slow the answer or the caller was.
func TestExpiryIsConservative(t *testing.T) {
	inBubble(func(t *testing.T) {
		p := newProvider("")
		p.token = func(*http.Request) (*http.Response, error) {
			time.Sleep(20 * time.Second)
			return response(200, `{"access_token":"token","token_type":"Bearer","expires_in":60}`), nil
		}
		client, start := newClient(p), time.Now()
		resp, err := senders[1].send(t.Context(), t, newServer(), client, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		token, err := processors[1].process(t, newServer(), client, resp)
		if err != nil {
			t.Fatal(err)
		}
		if got := token.Expiry.Sub(start); got != time.Minute {
			t.Errorf("the token ends %v after the request, want 1m", got)
		}
	})(t)
}

func TestRecognizedTokenTypes(t *testing.T) {
	for tokenType, want := range map[string]string{"MAC": "ok", "N_A": badType, "Bearer": "ok"} {
		resp := response(200, members{"access_token": "token", "token_type": tokenType}.json())
		token, err := grant.ProcessAuthorizationCodeResponse(t.Context(), newServer(), newClient(nil), resp,
			&grant.ProcessAuthorizationCodeOptions{RecognizedTokenTypes: []string{"mac"}})
		wantOutcome(t, err, want)
		if err == nil && token.TokenType != strings.ToLower(tokenType) {
			t.Errorf("type %q", token.TokenType)
		}
	}
}

// R006: a response is processed once.
func TestResponseIsProcessedOnce(t *testing.T) {
	p := newProvider(tokenBody(""))
	as, client := newServer(), newClient(p)
	fetch := func() *http.Response {
		resp, err := senders[1].send(t.Context(), t, as, client, nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	uses := map[string]func(resp *http.Response){
		"processed": func(resp *http.Response) { processors[0].process(t, as, client, resp) },
		"closed":    func(resp *http.Response) { resp.Body.Close() },
		"read":      func(resp *http.Response) { io.Copy(io.Discard, resp.Body) },
		"half read": func(resp *http.Response) { resp.Body.Read(make([]byte, 5)) },
	}
	for name, use := range uses {
		resp := fetch()
		use(resp)
		if _, err := processors[0].process(t, as, client, resp); !errors.Is(err, grant.ErrArgument) {
			t.Errorf("%s before: %v", name, err)
		}
	}
	wantOutcome(t, func() error { _, err := processors[0].process(t, as, client, fetch()); return err }(), "ok")
}

// T17: what came with a challenge can still be read.
func TestChallengeLeavesTheBody(t *testing.T) {
	resp := response(401, "why", "WWW-Authenticate", "Basic", "Content-Type", "text/plain")
	_, err := processors[0].process(t, newServer(), newClient(nil), resp)
	if body, readErr := io.ReadAll(resp.Body); readErr != nil || string(body) != "why" {
		t.Errorf("%v, then %q, %v", err, body, readErr)
	}
}

// A body that breaks off is an error of the network.
func TestBodyThatBreaksOff(t *testing.T) {
	broken := errors.New("the cable is cut")
	for _, status := range []int{200, 400} {
		resp := response(status, "")
		resp.Body = brokenBody{broken}
		if _, err := processors[0].process(t, newServer(), newClient(nil), resp); !errors.Is(err, broken) {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

func TestTokenValid(t *testing.T) {
	inBubble(func(t *testing.T) {
		in := func(d time.Duration) *grant.Token { return &grant.Token{AccessToken: "t", Expiry: time.Now().Add(d)} }
		tests := []struct {
			name  string
			token *grant.Token
			min   time.Duration
			want  bool
		}{
			{"nil", nil, 0, false},
			{"no access token", &grant.Token{}, 0, false},
			{"no expiry", &grant.Token{AccessToken: "t"}, time.Hour, true},
			{"long enough", in(time.Minute), 59 * time.Second, true},
			{"not long enough", in(time.Minute), time.Minute, false},
			{"over", in(-1), 0, false},
		}
		for _, test := range tests {
			if got := test.token.Valid(test.min); got != test.want {
				t.Errorf("%s: %t", test.name, got)
			}
		}
	})(t)
}

func TestOAuth2(t *testing.T) {
	p := newProvider("")
	as, client := newServer(), newClient(p)
	raw := mint("ES256", idClaims(nil))
	token, err := processors[0].process(t, as, client, response(200, members{
		"access_token": "token", "token_type": "Bearer", "refresh_token": "r", "expires_in": 60, "scope": "a b", "id_token": raw}.json()))
	if err != nil {
		t.Fatal(err)
	}
	// A monotonic clock stands still while the machine sleeps; tokens do not.
	if token.Expiry != token.Expiry.Round(0) {
		t.Error("the expiry has a monotonic reading")
	}
	o := token.OAuth2()
	if o.AccessToken != "token" || o.Type() != "Bearer" || o.RefreshToken != "r" || !o.Expiry.Equal(token.Expiry) || !o.Valid() {
		t.Errorf("got %v", o)
	}
	if o.Extra("scope") != "a b" || o.Extra("id_token") != raw {
		t.Errorf("extras %v, %v", o.Extra("scope"), o.Extra("id_token"))
	}
}

// FuzzTokenResponse: no answer makes the package panic, what it accepts can be
// stored, and what it refuses is not repeated in the error.
func FuzzTokenResponse(f *testing.F) {
	for _, test := range tokenResponses {
		if len(test.body) < 1000 {
			f.Add(max(test.status, 200), test.body, "application/json", strings.Join(test.header, " "))
		}
	}
	f.Add(200, `{"access_token":"SECRET","token_type":"SECRET","refresh_token":"SECRET","expires_in":"SECRET"}`, "SECRET", "")
	f.Add(400, `{"error":"SECRET","error_description":"SECRET","error_uri":"SECRET"}`, "application/json", `SECRET error="SECRET"`)
	f.Add(200, `{"access_token":"SECRET","token_type":"Bearer","id_token":"`+mint("ES256", idClaims(members{"aud": "SECRET"}))+`"}`, "", "")
	f.Fuzz(func(t *testing.T, status int, body, contentType, challenge string) {
		const secret = "recognisable-secret-value"
		seeded := strings.NewReplacer("SECRET", secret)
		for _, processor := range processors {
			resp := response(status, seeded.Replace(body), "Content-Type", contentType, "WWW-Authenticate", challenge)
			token, err := processor.process(t, newServer(), newClient(newProvider("")), resp)
			if (token == nil) != (err != nil) {
				t.Fatalf("token %v beside error %v", token, err)
			}
			if err != nil && strings.Contains(err.Error(), secret) && strings.Contains(body, `"access_token":"SECRET"`) {
				t.Errorf("the error shows what came: %v", err)
			}
			if token != nil {
				wantRoundTrip(t, token)
			}
		}
	})
}
