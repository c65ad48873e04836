package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// settings are the fields of a grant.Client that a later process needs.
type settings struct {
	Server      json.RawMessage `json:"server,omitzero"` // metadata, where nothing is to be discovered
	Secret      string          `json:"client_secret,omitzero"`
	AuthMethod  string          `json:"token_endpoint_auth_method,omitzero"`
	AuthAlg     string          `json:"token_endpoint_auth_signing_alg,omitzero"`
	KeyID       string          `json:"kid,omitzero"` // of the key, which is not stored
	Scopes      []string        `json:"scopes,omitzero"`
	Prompt      string          `json:"prompt,omitzero"`
	LoginHint   string          `json:"login_hint,omitzero"`
	ACRValues   string          `json:"acr_values,omitzero"`
	UILocales   string          `json:"ui_locales,omitzero"`
	Claims      string          `json:"claims,omitzero"` // JSON, kept as it was written
	MaxAge      *int            `json:"max_age,omitzero"`
	Audience    string          `json:"audience,omitzero"`
	Resources   []string        `json:"resources,omitzero"`
	Details     string          `json:"authorization_details,omitzero"` // JSON, kept as it was written
	AuthParams  url.Values      `json:"authorization_parameters,omitzero"`
	TokenParams url.Values      `json:"token_parameters,omitzero"`

	Registration    string        `json:"registration,omitzero"` // JSON, as grant encodes it
	RequirePAR      bool          `json:"require_pushed_authorization_requests,omitzero"`
	FAPI2           bool          `json:"fapi2,omitzero"`
	RequireJAR      bool          `json:"require_signed_request_object,omitzero"`
	JARAlg          string        `json:"request_object_signing_alg,omitzero"`
	ResponseMode    string        `json:"response_mode,omitzero"`
	JARMAlg         string        `json:"authorization_signed_response_alg,omitzero"`
	IDTokenAlg      string        `json:"id_token_signed_response_alg,omitzero"`
	UserinfoAlg     string        `json:"userinfo_signed_response_alg,omitzero"`
	RequireAuthTime bool          `json:"require_auth_time,omitzero"`
	DefaultMaxAge   *int          `json:"default_max_age,omitzero"`
	ClockSkew       time.Duration `json:"clock_skew,omitzero"`      // nanoseconds
	ClockTolerance  time.Duration `json:"clock_tolerance,omitzero"` // nanoseconds
	DPoP            bool          `json:"dpop_bound_access_tokens,omitzero"`
	MTLSAliases     bool          `json:"use_mtls_endpoint_aliases,omitzero"`
	Insecure        bool          `json:"allow_insecure_requests,omitzero"`
}

// settingsOf copies what is to be stored of a client.
func settingsOf(c *grant.Client) (*settings, error) {
	s := &settings{
		Secret: string(c.ClientSecret), AuthMethod: c.TokenEndpointAuthMethod, AuthAlg: c.TokenEndpointAuthSigningAlg,
		KeyID: c.KeyID, Scopes: c.Scopes, Prompt: c.Prompt,
		LoginHint: c.LoginHint, ACRValues: c.ACRValues, MaxAge: c.MaxAge, Audience: c.Audience, Resources: c.Resources,
		UILocales: c.UILocales, Claims: string(c.Claims), Details: string(c.AuthorizationDetails),
		AuthParams: c.AuthorizationParameters, TokenParams: c.TokenParameters,
		FAPI2: c.FAPI2, RequireJAR: c.RequireSignedRequestObject, JARAlg: c.RequestObjectSigningAlg,
		RequirePAR: c.RequirePushedAuthorizationRequests, ResponseMode: c.ResponseMode, JARMAlg: c.AuthorizationSignedResponseAlg,
		DPoP:       c.DPoPBoundAccessTokens,
		IDTokenAlg: c.IDTokenSignedResponseAlg, UserinfoAlg: c.UserinfoSignedResponseAlg,
		RequireAuthTime: c.RequireAuthTime, DefaultMaxAge: c.DefaultMaxAge, ClockSkew: c.ClockSkew,
		ClockTolerance: c.ClockTolerance, MTLSAliases: c.UseMTLSEndpointAliases, Insecure: c.AllowInsecureRequests,
	}
	if c.Key != nil && s.AuthMethod == "" {
		s.AuthMethod = "private_key_jwt" // so that a process without the key does not choose another
	}
	if c.Auth != nil {
		s.Secret, s.AuthMethod = "", c.Auth.Method() // Auth replaces both
	}
	if c.Server != nil {
		server, err := json.Marshal(c.Server)
		if err != nil {
			return nil, err
		}
		s.Server = server
	}
	if c.Registration != nil {
		registration, err := c.Registration.MarshalBinary()
		if err != nil {
			return nil, err
		}
		s.Registration = string(registration)
	}
	return s.copy()
}

// copy shares no slice or map with s. It also proves that s survives being
// stored: encoding/json would silently replace what is not UTF-8.
func (s *settings) copy() (*settings, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var c settings
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(s, &c) {
		return nil, fmt.Errorf("%w: a setting of the client is not valid UTF-8", grant.ErrArgument)
	}
	return &c, nil
}

// equal reports whether a login with o would ask for the same.
func (s *settings) equal(o *settings) bool {
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(o)
	// Metadata is kept as JSON, which may be escaped or not.
	return errA == nil && errB == nil && bytes.Equal(escape(a), escape(b))
}

// apply gives the settings to a client.
func (s *settings) apply(c *grant.Client) {
	c.ClientSecret, c.TokenEndpointAuthMethod, c.Scopes, c.Prompt = grant.Secret(s.Secret), s.AuthMethod, s.Scopes, s.Prompt
	c.TokenEndpointAuthSigningAlg, c.KeyID = s.AuthAlg, s.KeyID
	c.LoginHint, c.ACRValues, c.MaxAge, c.Audience, c.Resources = s.LoginHint, s.ACRValues, s.MaxAge, s.Audience, s.Resources
	c.UILocales, c.Claims, c.AuthorizationDetails = s.UILocales, rawJSON(s.Claims), rawJSON(s.Details)
	c.AuthorizationParameters, c.TokenParameters = s.AuthParams, s.TokenParams
	c.RequirePushedAuthorizationRequests = s.RequirePAR
	c.DPoPBoundAccessTokens = s.DPoP
	c.FAPI2 = s.FAPI2
	c.RequireSignedRequestObject, c.RequestObjectSigningAlg = s.RequireJAR, s.JARAlg
	c.ResponseMode, c.AuthorizationSignedResponseAlg = s.ResponseMode, s.JARMAlg
	c.IDTokenSignedResponseAlg, c.UserinfoSignedResponseAlg = s.IDTokenAlg, s.UserinfoAlg
	c.RequireAuthTime, c.DefaultMaxAge = s.RequireAuthTime, s.DefaultMaxAge
	c.ClockSkew, c.ClockTolerance, c.UseMTLSEndpointAliases = s.ClockSkew, s.ClockTolerance, s.MTLSAliases
	c.AllowInsecureRequests = s.Insecure
	if s.Server != nil {
		c.Server = &grant.AuthorizationServer{}
		// It was encoded by the same type, and the checksum was right. What
		// cannot be decoded stays empty, and an empty endpoint is refused.
		_ = json.Unmarshal(s.Server, c.Server)
	}
	if s.Registration != "" {
		c.Registration = &grant.Registration{}
		_ = c.Registration.UnmarshalBinary([]byte(s.Registration)) // as above
	}
}

// rawJSON is nil for an empty text, which is no JSON.
func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}
