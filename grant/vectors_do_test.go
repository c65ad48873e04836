package grant_test

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/oauth-login/oauth-login/grant"
)

var operations = map[string]operation{
	"discover":    doDiscover,
	"authorize":   doAuthorize,
	"callback":    doCallback,
	"code":        doCode,
	"refresh":     doRefresh,
	"renew":       doRenew,
	"device":      doDevice,
	"userinfo":    doUserinfo,
	"revoke":      doRevoke,
	"challenges":  doChallenges,
	"register":    doRegister,
	"resource":    doResource,
	"request":     doRequest,
	"end_session": doEndSession,
}

func (v *vector) options(client *grant.Client, previous *grant.Token) *grant.TokenEndpointRequestOptions {
	return &grant.TokenEndpointRequestOptions{
		AdditionalParameters: listOf(v.With.AdditionalParameters), AllowInsecureRequests: client.AllowInsecureRequests, DPoP: previous.DPoP,
	}
}

// previous is the token of an earlier login, as it comes from a store.
func (v *vector) previous(client *grant.Client) (*grant.Token, error) {
	stored := members{
		"access_token": string(v.With.AccessToken), "token_type": cmp.Or(v.With.TokenType, "bearer"),
		"refresh_token": string(v.With.RefreshToken), "id_token": v.With.PreviousIDToken, "scopes": strings.Fields(v.With.Scope),
	}
	if key := v.keys[v.With.DPoP]; key != nil {
		stored["dpop"] = members{"jwk": jose.JSONWebKey{Key: key}, "clock_skew": client.ClockSkew}
	}
	token := new(grant.Token)
	return token, token.UnmarshalBinary([]byte(stored.json()))
}

func doDiscover(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	as, err := grant.Discover(ctx, v.With.Issuer, &grant.DiscoverOptions{
		HTTPClient: client.HTTPClient, Header: client.Header, AllowInsecureRequests: client.AllowInsecureRequests,
	})
	if err != nil {
		return nil, err
	}
	return result(as)
}

func doAuthorize(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	client.Server = v.Server
	flow, err := client.Authorize(ctx, v.With.RedirectURI)
	if err != nil {
		return nil, err
	}
	r, err := urlResult(flow.URL)
	if !flow.URLExpiry.IsZero() {
		r["expires_in"] = time.Until(flow.URLExpiry).Seconds()
	}
	return r, err
}

func doEndSession(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	previous, err := v.previous(client)
	if err != nil {
		return nil, err
	}
	client.Server = v.Server
	u, err := client.EndSessionURL(ctx, previous, v.With.RedirectURI, v.With.State)
	if err != nil {
		return nil, err
	}
	return urlResult(string(u))
}

// urlResult has the URL apart from its query.
func urlResult(text string) (map[string]any, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(u.RawQuery)
	u.RawQuery = ""
	return map[string]any{"endpoint": u.String(), "query": form(query)}, err
}

func callback(ctx context.Context, v *vector, client *grant.Client) (callback grant.CallbackParameters, err error) {
	params, err := grant.ParseAuthResponse(v.With.Query)
	if err != nil {
		return callback, err
	}
	if strings.HasSuffix(client.ResponseMode, "jwt") {
		return grant.ValidateJWTAuthResponse(ctx, v.Server, client, params, v.With.State, nil)
	}
	return grant.ValidateAuthResponse(v.Server, client, params, v.With.State)
}

func doCallback(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	_, err := callback(ctx, v, client)
	return nil, err
}

func doCode(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	params, err := callback(ctx, v, client)
	if err != nil {
		return nil, err
	}
	previous, err := v.previous(client)
	if err != nil {
		return nil, err
	}
	opts := v.options(client, previous)
	resp, err := grant.AuthorizationCodeGrantRequest(ctx, v.Server, client, params, v.With.RedirectURI, v.With.CodeVerifier, opts)
	if err != nil {
		return nil, err
	}
	token, err := grant.ProcessAuthorizationCodeResponse(ctx, v.Server, client, resp, &grant.ProcessAuthorizationCodeOptions{
		ExpectedNonce: v.With.Nonce, MaxAge: v.With.MaxAge, RequireIDToken: v.With.RequireIDToken,
		RecognizedTokenTypes: v.With.TokenTypes, AllowInsecureRequests: client.AllowInsecureRequests, DPoP: opts.DPoP,
	})
	if err != nil {
		return nil, err
	}
	return tokenResult(token)
}

func doRefresh(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	previous, err := v.previous(client)
	if err != nil {
		return nil, err
	}
	resp, err := grant.RefreshTokenGrantRequest(ctx, v.Server, client, v.With.RefreshToken, v.options(client, previous))
	if err != nil {
		return nil, err
	}
	token, err := grant.ProcessRefreshTokenResponse(ctx, v.Server, client, resp, &grant.ProcessRefreshTokenOptions{
		PreviousIDToken: previous.IDToken, RecognizedTokenTypes: v.With.TokenTypes, AllowInsecureRequests: client.AllowInsecureRequests, DPoP: previous.DPoP,
	})
	if err != nil {
		return nil, err
	}
	return tokenResult(token)
}

func doRevoke(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	resp, err := grant.RevocationRequest(ctx, v.Server, client, v.With.Token, v.With.TokenTypeHint, v.options(client, &grant.Token{}))
	if err != nil {
		return nil, err
	}
	return nil, grant.ProcessRevocationResponse(v.Server, client, resp)
}

func doRenew(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	previous, err := v.previous(client)
	if err != nil {
		return nil, err
	}
	client.Server = v.Server
	token, err := client.Refresh(ctx, previous)
	if err != nil {
		return nil, err
	}
	return tokenResult(token)
}

// doDevice reports how long it took beside the token. Time passes here only while
// the client waits.
func doDevice(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	client.Server = v.Server
	start := time.Now()
	flow, err := client.AuthorizeDevice(ctx)
	if err != nil {
		return nil, err
	}
	life := time.Until(flow.Expiry).Seconds()
	token, err := flow.Wait(ctx)
	if err != nil {
		return nil, err
	}
	r, err := tokenResult(token)
	if err != nil {
		return nil, err
	}
	return result(members(r).with(members{
		"user_code": flow.UserCode, "verification_uri": flow.VerificationURI, "verification_uri_complete": flow.VerificationURIComplete,
		"codes_expire_in": life, "waited": time.Since(start).Seconds(),
	}))
}

func doRegister(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error) {
	client.Server = v.Server
	registration, err := client.Register(ctx, v.With.Metadata, &grant.RegistrationRequestOptions{InitialAccessToken: v.With.InitialAccessToken})
	if err != nil {
		return nil, err
	}
	stored, err := registration.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return result(json.RawMessage(stored))
}

// tokenResult has the members of a token response, after the checks, with the
// claims of the ID token.
func tokenResult(token *grant.Token) (map[string]any, error) {
	r := map[string]any{"access_token": string(token.AccessToken), "token_type": token.TokenType}
	if token.RefreshToken != "" {
		r["refresh_token"] = string(token.RefreshToken)
	}
	if token.Scopes != nil {
		r["scope"] = token.Scopes
	}
	if !token.Expiry.IsZero() {
		r["expires_in"] = time.Until(token.Expiry).Seconds()
	}
	if token.IDToken != nil {
		claims := map[string]any{}
		if err := token.IDToken.Claims(&claims); err != nil {
			return nil, err
		}
		r["id_token"] = claims
	}
	if token.DPoP != nil {
		r["dpop_jkt"] = token.DPoP.Thumbprint()
	}
	return result(r)
}

func errorResult(e *grant.Error) map[string]any {
	r := map[string]any{"error": e.Code, "endpoint": e.Endpoint}
	for name, text := range map[string]string{"error_description": e.Description, "error_uri": e.URI} {
		if text != "" {
			r[name] = text
		}
	}
	if e.Status != 0 {
		r["status"] = float64(e.Status)
	}
	if e.Challenges != nil {
		r["challenges"] = challengesResult(e.Challenges)
	}
	return r
}

func challengesResult(challenges []grant.Challenge) []any {
	list := []any{}
	for _, c := range challenges {
		parameters := map[string]any{}
		for name, value := range c.Parameters {
			parameters[name] = value
		}
		item := map[string]any{"scheme": c.Scheme, "parameters": parameters}
		if c.Token68 != "" {
			item["token68"] = c.Token68
		}
		list = append(list, item)
	}
	return list
}

// result is v as JSON decodes it.
func result(v any) (r map[string]any, err error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return r, json.Unmarshal(data, &r)
}

// form has a string for a single value and an array for several.
func form(values url.Values) map[string]any {
	form := map[string]any{}
	for name, list := range values {
		if len(list) == 1 {
			form[name] = list[0]
			continue
		}
		items := make([]any, len(list))
		for i := range list {
			items[i] = list[i]
		}
		form[name] = items
	}
	return form
}

// headers are those that a vector names, nil for one that is absent.
func headers(header http.Header, names map[string]any) map[string]any {
	found := map[string]any{}
	for name := range names {
		if values := header.Values(name); len(values) > 0 {
			maps.Copy(found, form(url.Values{name: values}))
		}
	}
	return found
}
