package grant_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// A vector is one case of testdata/vectors, in the format of the README there.
type vector struct {
	About  string                     `json:"about"`
	Source string                     `json:"source"`
	Clock  int64                      `json:"clock"`
	Do     string                     `json:"do"`
	Server *grant.AuthorizationServer `json:"server"`
	Client vectorClient               `json:"client"`
	With   vectorInput                `json:"with"`
	HTTP   []exchange                 `json:"http"`
	Want   vectorWant                 `json:"want"`
	Signed []signedToken              `json:"signed"`

	keys map[string]any // those of the vectors, by kid
}

// A vectorClient is the client's own metadata and settings.
type vectorClient struct {
	ClientID                           string               `json:"client_id"`
	ClientSecret                       string               `json:"client_secret"`
	Key                                string               `json:"key"` // the kid of a key in keys
	KeyID                              string               `json:"key_id"`
	TokenEndpointAuthMethod            string               `json:"token_endpoint_auth_method"`
	TokenEndpointAuthSigningAlg        string               `json:"token_endpoint_auth_signing_alg"`
	IDTokenSignedResponseAlg           string               `json:"id_token_signed_response_alg"`
	UserinfoSignedResponseAlg          string               `json:"userinfo_signed_response_alg"`
	FAPI2                              bool                 `json:"fapi2"`
	RequireSignedRequestObject         bool                 `json:"require_signed_request_object"`
	RequestObjectSigningAlg            string               `json:"request_object_signing_alg"`
	ResponseMode                       string               `json:"response_mode"`
	AuthorizationSignedResponseAlg     string               `json:"authorization_signed_response_alg"`
	RequirePushedAuthorizationRequests bool                 `json:"require_pushed_authorization_requests"`
	DPoPBoundAccessTokens              bool                 `json:"dpop_bound_access_tokens"`
	RequireAuthTime                    bool                 `json:"require_auth_time"`
	DefaultMaxAge                      *int                 `json:"default_max_age"`
	UseMTLSEndpointAliases             bool                 `json:"use_mtls_endpoint_aliases"`
	ClockTolerance                     *int                 `json:"clock_tolerance"`
	AllowHTTP                          bool                 `json:"allow_http"`
	Headers                            map[string]oneOrMore `json:"headers"`

	Scope                   string               `json:"scope"`
	Prompt                  string               `json:"prompt"`
	LoginHint               string               `json:"login_hint"`
	ACRValues               string               `json:"acr_values"`
	UILocales               string               `json:"ui_locales"`
	Claims                  string               `json:"claims"` // JSON, in the spelling that is sent
	AuthorizationDetails    string               `json:"authorization_details"`
	MaxAge                  *int                 `json:"max_age"`
	Audience                string               `json:"audience"`
	Resource                oneOrMore            `json:"resource"`
	AuthorizationParameters map[string]oneOrMore `json:"authorization_parameters"`
	TokenParameters         map[string]oneOrMore `json:"token_parameters"`
}

// A vectorInput is what the operation is called with.
type vectorInput struct {
	Issuer               string                `json:"issuer"`
	Query                string                `json:"query"`
	State                string                `json:"state"`
	Nonce                string                `json:"nonce"`
	RedirectURI          string                `json:"redirect_uri"`
	CodeVerifier         string                `json:"code_verifier"`
	MaxAge               *int                  `json:"max_age"`
	RequireIDToken       bool                  `json:"require_id_token"`
	TokenTypes           []string              `json:"token_types"`
	AccessToken          grant.Secret          `json:"access_token"`
	TokenType            string                `json:"token_type"`
	RefreshToken         grant.Secret          `json:"refresh_token"`
	Scope                string                `json:"scope"`
	DPoP                 string                `json:"dpop"` // the kid of the key that the tokens are bound to
	PreviousIDToken      string                `json:"previous_id_token"`
	Token                grant.Secret          `json:"token"`
	TokenTypeHint        string                `json:"token_type_hint"`
	AdditionalParameters map[string]oneOrMore  `json:"additional_parameters"`
	Headers              oneOrMore             `json:"headers"`
	Metadata             *grant.ClientMetadata `json:"metadata"`
	InitialAccessToken   grant.Secret          `json:"initial_access_token"`
	Resource             string                `json:"resource"`
	ResourceMetadata     string                `json:"resource_metadata"`
	Method               string                `json:"method"`
	URL                  string                `json:"url"`
}

// A vectorWant is how it ends. Outcome is "accepted", "refused" by a check of
// ours, an "error" of the server, or "argument", a mistake of the caller.
type vectorWant struct {
	Outcome string         `json:"outcome"`
	Result  map[string]any `json:"result"` // a selection of what was accepted
	Check   string         `json:"check"`
	Code    string         `json:"code"`
	Error   map[string]any `json:"error"` // a selection of what the server said
}

// outcome is the wanted outcome as the tables of this package name it.
func (w vectorWant) outcome() string {
	switch w.Outcome {
	case "accepted":
		return "ok"
	case "refused":
		return w.Code + " " + w.Check
	case "error":
		code, _ := w.Error["error"].(string)
		return "refused " + code
	}
	return w.Outcome
}

// oneOrMore is a string or an array of strings.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		return json.Unmarshal(data, (*[]string)(o))
	}
	*o = make([]string, 1)
	return json.Unmarshal(data, &(*o)[0])
}

func listOf(values map[string]oneOrMore) map[string][]string {
	if values == nil {
		return nil
	}
	lists := map[string][]string{}
	for name, list := range values {
		lists[name] = list
	}
	return lists
}

// vectors returns all of them by name.
func vectors(t testing.TB) map[string]*vector {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*vector{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := new(vector)
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = v
	}
	return all
}

// TestVectors runs every vector through the public API.
func TestVectors(t *testing.T) {
	keys := vectorKeys(t)
	for name, v := range vectors(t) {
		t.Run(name, inBubble(func(t *testing.T) { v.run(t, keys) }))
	}
}

// run must be called in a bubble: there the clock stands still, so that
// ClockSkew can set it to that of the vector.
func (v *vector) run(t *testing.T, keys map[string]any) {
	do, known := operations[v.Do]
	if !known || v.About == "" || v.Source == "" {
		t.Fatalf("the operation %q is unknown, or about or source is missing", v.Do)
	}
	v.keys = keys
	script := &script{t: t, keys: keys, left: v.HTTP}
	client := v.Client.client(script, v.Clock)
	client.Key, _ = keys[v.Client.Key].(crypto.Signer)
	result, err := do(t.Context(), v, client)
	wantOutcome(t, err, v.Want.outcome())
	if n := len(script.left); n != 0 {
		t.Errorf("%d requests were not made, the first to %s", n, script.left[0].Request.URL)
	}
	if check, ok := errors.AsType[*grant.CheckError](err); ok && check.Reason == "" {
		t.Errorf("%v gives no reason", err)
	}
	if refusal, ok := errors.AsType[*grant.Error](err); ok {
		wantSelection(t, keys, "error", v.Want.Error, errorResult(refusal))
	}
	if err == nil {
		wantSelection(t, keys, "result", v.Want.Result, result)
	}
}

func (c vectorClient) client(transport http.RoundTripper, clock int64) *grant.Client {
	client := &grant.Client{
		ClientID: c.ClientID, ClientSecret: grant.Secret(c.ClientSecret), TokenEndpointAuthMethod: c.TokenEndpointAuthMethod,
		KeyID: c.KeyID, TokenEndpointAuthSigningAlg: c.TokenEndpointAuthSigningAlg, RequirePushedAuthorizationRequests: c.RequirePushedAuthorizationRequests,
		FAPI2: c.FAPI2, RequireSignedRequestObject: c.RequireSignedRequestObject, RequestObjectSigningAlg: c.RequestObjectSigningAlg,
		DPoPBoundAccessTokens: c.DPoPBoundAccessTokens, ResponseMode: c.ResponseMode, AuthorizationSignedResponseAlg: c.AuthorizationSignedResponseAlg,
		IDTokenSignedResponseAlg: c.IDTokenSignedResponseAlg, UserinfoSignedResponseAlg: c.UserinfoSignedResponseAlg, RequireAuthTime: c.RequireAuthTime, DefaultMaxAge: c.DefaultMaxAge,
		UseMTLSEndpointAliases: c.UseMTLSEndpointAliases, AllowInsecureRequests: c.AllowHTTP, Header: listOf(c.Headers),
		Scopes: strings.Fields(c.Scope), Prompt: c.Prompt, LoginHint: c.LoginHint, ACRValues: c.ACRValues, UILocales: c.UILocales,
		Claims: append(json.RawMessage(nil), c.Claims...), AuthorizationDetails: append(json.RawMessage(nil), c.AuthorizationDetails...), MaxAge: c.MaxAge,
		Audience: c.Audience, Resources: c.Resource,
		AuthorizationParameters: listOf(c.AuthorizationParameters), TokenParameters: listOf(c.TokenParameters),
		HTTPClient: &http.Client{Transport: transport}, ClockSkew: time.Until(time.Unix(clock, 0)),
	}
	if c.ClockTolerance != nil {
		client.ClockTolerance = time.Duration(*c.ClockTolerance) * time.Second
		if *c.ClockTolerance == 0 {
			client.ClockTolerance = -1 // none, where 0 means the default
		}
	}
	return client
}

// An operation makes the calls that a vector is about.
type operation func(ctx context.Context, v *vector, client *grant.Client) (map[string]any, error)
