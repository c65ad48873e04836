package grant_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// The secrets of these tests, such as no other text holds.
const (
	secretOfClient = "CLIENT~secret+4711"
	secretCode     = "CODE-secret/4712"
	secretRefresh  = "REFRESH-secret=4713"
	secretAccess   = "ACCESS-secret-4714"
)

var fixedSecrets = []string{secretOfClient, secretCode, secretRefresh, secretAccess}

// shown returns everything that printing a value in any way shows.
func shown(v any) map[string]string {
	texts := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%t", "%T", "% x", "%10v", "%z"} {
		texts[verb] = fmt.Sprintf(verb, v)
		// Within an unexported field, where fmt calls no methods.
		if strings.HasSuffix(verb, "v") || !hasPlainFields(v) {
			texts[verb+" hidden"] = fmt.Sprintf(verb, struct{ hidden any }{v})
		}
		texts[verb+" shown"] = fmt.Sprintf(verb, struct{ Shown any }{v})
	}
	texts["print"] = fmt.Sprint(v)
	texts["extra"] = fmt.Sprintf(strings.Repeat("x", 1), v)
	var text, jsonLog bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&jsonLog, nil)).Info("m", "v", v)
	texts["slog text"], texts["slog JSON"] = text.String(), jsonLog.String()
	if data, err := json.Marshal(v); err == nil {
		texts["JSON"] = string(data)
	}
	if data, err := xml.Marshal(v); err == nil {
		texts["XML"] = string(data)
	}
	return texts
}

// hasPlainFields reports whether a type has exported fields with secrets. Given a
// verb that it does not know for pointers, such as %s, fmt follows one that it
// finds in an unexported field and prints the strings behind it as they are;
// nothing can be done about that while the fields are strings.
func hasPlainFields(v any) bool {
	switch v.(type) {
	case *grant.Client, *grant.Flow, *grant.Token, *grant.IDToken, *grant.DeviceAuthorization, *grant.Registration:
		return true
	}
	return false
}

// wantHidden fails for every secret that printing v shows.
func wantHidden(t *testing.T, what string, v any, secrets ...string) {
	t.Helper()
	for how, text := range shown(v) {
		wantNoSecrets(t, what+" "+how, text, secrets...)
	}
	if err, ok := v.(error); ok {
		for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(cause) {
			wantHidden(t, what+", its cause", cause, secrets...)
		}
	}
}

// Every exported type, filled with secrets.
func TestTypesHideSecrets(t *testing.T) {
	p, client := newOIDC()
	client.ClientSecret = secretOfClient
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	state, nonce := query(t, flow).Get("state"), query(t, flow).Get("nonce")
	idToken := mint("ES256", idClaims(members{"nonce": nonce, "email": "PERSON@4715"}))
	p.token = always(200, members{"access_token": secretAccess, "refresh_token": secretRefresh, "id_token": idToken}.json())
	callback := validated(t, client.Server, client, "code="+url.QueryEscape(secretCode)+"&state="+state)
	resp, err := grant.AuthorizationCodeGrantRequest(t.Context(), client.Server, client, callback, redirect, secretCode, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := flow.Exchange(t.Context(), url.Values{"code": {secretCode}, "state": {state}})
	if err != nil {
		t.Fatal(err)
	}
	forms := p.requests("/token")
	verifier := forms[len(forms)-1].form.Get("code_verifier")
	secrets := append([]string{state, nonce, verifier, idToken, strings.Split(idToken, ".")[2]}, fixedSecrets...)

	wantHidden(t, "Flow", flow, secrets...)
	wantHidden(t, "Client", client, secrets...)
	if text := fmt.Sprint(client, (*grant.Client)(nil), &grant.Client{ClientID: "c", Issuer: "i"}); text != `client "urn:example:client_id" of "https://op.example.com" <nil> client "c" of "i"` {
		t.Errorf("got %s", text)
	}
	wantHidden(t, "CallbackParameters", callback, secrets...)
	wantHidden(t, "*CallbackParameters", &callback, secrets...)
	wantHidden(t, "*Token", token, append(secrets, "PERSON@4715")...)
	wantHidden(t, "*IDToken", token.IDToken, append(secrets, "PERSON@4715")...)
	wantHidden(t, "http.Response", resp, secrets...)
	wantHidden(t, "AuthorizationServer", client.Server, secrets...)
	scalar := mustKey(keyES.Bytes())
	private := []string{new(big.Int).SetBytes(scalar).String(), string(scalar), b64(scalar)}
	wantHidden(t, "Client with a key", &grant.Client{Key: keyES}, private...)
	for name, auth := range map[string]grant.ClientAuth{
		"basic": grant.ClientSecretBasic(secretOfClient), "post": grant.ClientSecretPost(secretOfClient),
		"client_secret_jwt": grant.ClientSecretJWT(secretOfClient), "private_key_jwt": grant.PrivateKeyJWT(keyES, "key 1"),
	} {
		secrets := append(private, secrets...)
		wantHidden(t, name, auth, secrets...)
		wantHidden(t, name+" of a client", &grant.Client{Auth: auth}, secrets...)
		wantHidden(t, name+" of options", &grant.TokenEndpointRequestOptions{ClientAuth: auth}, secrets...)
	}
	// A value in an unexported field is out of fmt's reach only behind a pointer,
	// so these are printed without that.
	for name, v := range map[string]any{"Token": *token, "IDToken": *token.IDToken, "Secret": grant.Secret(secretAccess),
		"ProcessRefreshTokenOptions": grant.ProcessRefreshTokenOptions{PreviousIDToken: token.IDToken}} {
		for how, text := range shown(v) {
			if !strings.HasSuffix(how, " hidden") {
				wantNoSecrets(t, name+" "+how, text, secrets...)
			}
		}
	}
	for how, text := range shown(struct{ idToken grant.IDToken }{grant.IDToken{}}) {
		wantNoSecrets(t, how, text, "PERSON@4715")
	}
}

func TestSecretPlaceholder(t *testing.T) {
	for secret, want := range map[grant.Secret]string{"": "", "x": "[redacted]"} {
		if got := fmt.Sprintf("%v|%s|%d", secret, secret, secret); got != want+"|"+want+"|"+want {
			t.Errorf("got %q", got)
		}
		if data, err := json.Marshal([]grant.Secret{secret}); err != nil || string(data) != `["`+want+`"]` {
			t.Errorf("got %s, %v", data, err)
		}
	}
	if string(grant.Secret("x")) != "x" {
		t.Error("the secret is lost")
	}
}

// What is printed instead of a secret says what it is.
func TestPlaceholders(t *testing.T) {
	_, client := newOIDC()
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	d := newDPoP(t, keyES)
	for want, v := range map[string]any{
		"flow [redacted]": flow, "callback parameters [redacted]": grant.CallbackParameters{}, "token [redacted]": grant.Token{},
		"id_token [redacted]": grant.IDToken{}, "userinfo [redacted]": grant.Userinfo{}, "registration [redacted]": grant.Registration{},
		"device authorization [redacted]": grant.DeviceAuthorization{}, "device flow [redacted]": &grant.DeviceFlow{}, "dpop " + d.Thumbprint(): d,
	} {
		if got := fmt.Sprint(v); got != want {
			t.Errorf("%T is printed as %q, want %q", v, got, want)
		}
	}
}

// A server that repeats all it was told, in every place that it has.
func TestFailuresHideSecrets(t *testing.T) {
	idToken := mint("ES256", idClaims(nil))
	success := func(changes members) endpoint {
		return always(200, members{"access_token": secretAccess, "token_type": "bearer", "refresh_token": secretRefresh, "id_token": idToken}.with(changes).json())
	}
	sent := "echo STATE NONCE VERIFIER BASIC FORM"
	everything := sent + " " + secretAccess + " " + secretRefresh
	tests := map[string]endpoint{
		"error":            always(400, members{"error": sent, "error_description": sent, "error_uri": sent}.json()),
		"query-escaped":    always(400, members{"error": "x", "error_description": "QUERY"}.json()),
		"challenge":        always(401, "", "WWW-Authenticate", `X a="`+sent+`", error="`+sent+`"`),
		"token68":          always(401, "", "WWW-Authenticate", "X VERIFIER=="),
		"scheme":           always(401, "", "WWW-Authenticate", "VERIFIER"),
		"500":              always(500, everything),
		"redirect":         always(302, "", "Location", "https://elsewhere.example/"+url.PathEscape(everything)+"?"+url.QueryEscape(everything)),
		"broken redirect":  always(302, "", "Location", "https://[::1"+secretCode),
		"no JSON":          always(200, everything),
		"content type":     always(200, "", "Content-Type", everything),
		"content type 400": always(400, "", "Content-Type", everything),
		"broken JSON":      always(200, `{"access_token":"`+secretAccess+`"`),
		"no object":        always(200, `"`+secretAccess+`"`),
		"token_type":       success(members{"token_type": everything}),
		"expires_in":       success(members{"expires_in": everything}),
		"scope":            success(members{"scope": []string{everything}}),
		"refresh_token":    success(members{"refresh_token": []string{everything}}),
		"id_token":         success(members{"id_token": everything}),
		"no access token":  success(members{"access_token": nil, "token_type": everything}),
		"id_token.alg":     success(members{"id_token": mint(everything, idClaims(nil))}),
		"id_token.kid":     success(members{"id_token": mintHeader(members{"alg": "ES256", "kid": everything}, idClaims(members{"nonce": nil}))}),
		"id_token.iss":     success(members{"id_token": mint("ES256", idClaims(members{"iss": everything}))}),
		"id_token.aud":     success(members{"id_token": mint("ES256", idClaims(members{"aud": everything}))}),
		"id_token.azp":     success(members{"id_token": mint("ES256", idClaims(members{"aud": []string{clientID, everything}, "azp": everything}))}),
		"id_token.nonce":   success(members{"id_token": mint("ES256", idClaims(members{"nonce": everything}))}),
		"id_token.at_hash": success(members{"id_token": mint("ES256", idClaims(members{"nonce": "NONCE", "at_hash": everything}))}),
		"signature":        success(members{"id_token": idToken[:len(idToken)-40] + b64(make([]byte, 30))}),
		"network":          func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") },
	}
	for name, answer := range tests {
		for _, auth := range []grant.ClientAuth{nil, grant.ClientSecretPost(secretOfClient), grant.ClientSecretJWT(secretOfClient)} {
			t.Run(name, func(t *testing.T) {
				p, client := newOIDC()
				client.ClientSecret, client.Auth = secretOfClient, auth
				flow, err := client.Authorize(t.Context(), redirect)
				if err != nil {
					t.Fatal(err)
				}
				login := map[string]string{"STATE": query(t, flow).Get("state"), "NONCE": query(t, flow).Get("nonce")}
				p.token = func(req *http.Request) (*http.Response, error) {
					seen := slices.Concat(p.requests("/token"), p.requests("/revoke"))
					form := seen[len(seen)-1].form
					if verifier := form.Get("code_verifier"); verifier != "" {
						login["VERIFIER"] = verifier
					}
					if _, password, ok := req.BasicAuth(); ok {
						login["BASIC"] = password
					}
					login["FORM"] = strings.Join(slices.Concat(form["code"], form["refresh_token"], form["token"], form["client_secret"], form["client_assertion"]), " ")
					resp, err := answer(req)
					if err == nil {
						echo(resp, login)
					}
					return resp, err
				}
				_, err = flow.Exchange(t.Context(), url.Values{"code": {secretCode}, "state": {login["STATE"]}})
				if err == nil {
					t.Fatal("no error")
				}
				secrets := append(fixedSecrets, login["STATE"], login["NONCE"], login["VERIFIER"], idToken)
				if basic := login["BASIC"]; basic != "" {
					secrets = append(secrets, basic)
				}
				wantHidden(t, "exchange", err, secrets...)
				if _, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: secretRefresh}); err != nil { // a wrong nonce is none there
					wantHidden(t, "refresh", err, secretOfClient, secretRefresh, secretAccess, idToken)
				}
				p.revocation = p.token
				if err := client.Revoke(t.Context(), secretAccess, ""); err != nil {
					wantHidden(t, "revoke", err, secretOfClient, secretAccess)
				}
			})
		}
	}
}

// echo puts the values of one login where the answer has their names.
func echo(resp *http.Response, login map[string]string) {
	all := "STATE NONCE VERIFIER BASIC FORM"
	for name, value := range login {
		all = strings.ReplaceAll(all, name, value)
	}
	pairs := []string{"QUERY", url.QueryEscape(all)}
	for name, value := range login {
		pairs = append(pairs, name, value)
	}
	values := strings.NewReplacer(pairs...)
	body := new(bytes.Buffer)
	body.ReadFrom(resp.Body)
	resp.Body = response(0, values.Replace(body.String())).Body
	for _, list := range resp.Header {
		for i := range list {
			list[i] = values.Replace(list[i])
		}
	}
}

// The redirect itself may repeat what it holds.
func TestRedirectFailuresHideSecrets(t *testing.T) {
	_, client := newOIDC()
	for name, change := range map[string]func(params url.Values, all string){
		"error": func(params url.Values, all string) { params.Set("error", all) },
		"everywhere": func(params url.Values, all string) {
			params["error"], params["error_description"], params["error_uri"] = []string{all}, []string{all}, []string{all}
		},
		"iss":       func(params url.Values, all string) { params.Set("iss", all) },
		"response":  func(params url.Values, all string) { params.Set("response", all) },
		"id_token":  func(params url.Values, all string) { params.Set("id_token", all) },
		"two codes": func(params url.Values, all string) { params.Add("code", all) },
		"not ours":  func(params url.Values, all string) { params.Add("state", all) },
	} {
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		state, nonce := query(t, flow).Get("state"), query(t, flow).Get("nonce")
		params := url.Values{"code": {secretCode}, "state": {state}}
		change(params, strings.Join([]string{state, nonce, secretCode}, " "))
		_, err = flow.Exchange(t.Context(), params)
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		wantHidden(t, name, err, state, nonce, secretCode)
	}
	_, err := grant.ValidateAuthResponse(newServer(), newClient(nil), url.Values{"code": {secretCode}, "state": {secretAccess}}, secretRefresh)
	wantHidden(t, "wrong state", err, fixedSecrets...)
	_, err = grant.ValidateAuthResponse(newServer(), newClient(nil), url.Values{"code": {secretCode}, "state": {secretAccess},
		"error": {secretCode}, "error_description": {secretAccess}}, secretAccess)
	wantHidden(t, "error", err, fixedSecrets...)
	_, err = grant.ParseAuthResponse("code=" + secretCode + "&state=%zz" + secretAccess)
	wantHidden(t, "malformed", err, fixedSecrets...)
}

// A credential in a header or in an argument is not repeated either.
func TestArgumentFailuresHideSecrets(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("c:" + secretOfClient))
	client := newClient(newProvider(""))
	client.Server, client.Header = newServer(), http.Header{"Authorization": {"Basic " + basic}}
	_, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: secretRefresh})
	wantHidden(t, "header", err, basic, secretRefresh)
	client = newClient(newProvider(""))
	client.Server, client.ClientSecret, client.TokenEndpointAuthMethod = newServer(), secretOfClient, "none"
	_, err = client.Authorize(t.Context(), redirect)
	wantHidden(t, "method", err, secretOfClient)
	for _, stored := range []string{`{"access_token":"` + secretAccess, `{"access_token":"` + secretAccess + `","expiry":"` + secretRefresh + `"}`,
		`{"access_token":"` + secretAccess + `","id_token":"` + secretRefresh + `"}`} {
		wantHidden(t, "stored", new(grant.Token).UnmarshalBinary([]byte(stored)), fixedSecrets...)
	}
}

// Texts are redacted word by word; ordinary words stay, as does the code that
// programs branch on.
func TestRedactionLeavesTheRest(t *testing.T) {
	p, client := newOIDC()
	p.token = always(400, members{"error": "invalid_grant", "error_description": "the token " + secretRefresh + " has expired"}.json())
	_, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: secretRefresh})
	if want := "token endpoint refused with status 400: invalid_grant (the token [redacted] has expired)"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	p.token = always(400, members{"error": "invalid_grant", "error_description": "a token"}.json())
	_, err = client.Refresh(t.Context(), &grant.Token{RefreshToken: "a"})
	if want := "token endpoint refused with status 400: invalid_grant (a token)"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if !grant.LoginRequired(err) {
		t.Error("no login is required")
	}
	// One secret may begin like another.
	client.Auth = grant.ClientSecretBasic("REFRESH-")
	p.token = always(400, members{"error": "invalid_grant", "error_description": secretRefresh}.json())
	_, err = client.Refresh(t.Context(), &grant.Token{RefreshToken: secretRefresh})
	if want := "token endpoint refused with status 400: invalid_grant ([redacted])"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
