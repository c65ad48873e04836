package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// An imitation is a provider with the ways of a real one, for its preset to be
// tried against. Whatever the real one refuses, it refuses.
type imitation struct {
	*preset
	ways
}

// ways are those of one provider. The zero value is a provider that does what the
// specifications say.
type ways struct {
	method         string   // how a client with a secret authenticates
	alg            string   // of ID tokens
	unknownScopes  []string // that it refuses
	refreshes      bool     // gives a refresh token although offline_access was not asked for
	withoutRefresh bool
	silentIss      bool // sends no iss, and does not say that it does
	sendsIss       bool // although it has no metadata that say so
	form           bool // answers token requests with forms
	errorsAre200   bool

	authorize func(q url.Values) (code, description string)    // refuses a request, "" for none
	token     func(r *http.Request) (code, description string) // so, at the token endpoint
	answer    func(body map[string]any)                        // edits a token response
	metadata  func(doc map[string]any)                         // edits the metadata
	redirect  func(params url.Values)                          // edits the redirect
}

const (
	imitatedClient = "client.example"
	imitatedSecret = "s3cret-of-a-client"
)

// imitate makes the options of an issuer that imitates the provider of a preset.
func imitate(p *preset) *issuer.Options {
	m := &imitation{p, imitations()[p.Name]}
	form, _ := url.Parse(cmp.Or(p.Issuer, p.IssuerForm))
	client := issuer.Client{ID: imitatedClient, RedirectURIs: p.redirectURIs()}
	if p.NeedsSecret {
		client.Secret, client.AuthMethod = imitatedSecret, cmp.Or(m.method, issuer.AuthPost)
	}
	opts := &issuer.Options{
		Path: form.Path, Clients: []issuer.Client{client}, ExactRedirectURIs: p.ExactRedirect, Alg: cmp.Or(m.alg, "ES256"),
		Metadata: m.editMetadata, Redirect: m.editRedirect, Token: m.editToken, Wrap: m.wrap,
	}
	opts.Device = onDevice(&issuer.Visitor{}, opts)
	return opts
}

func (m *imitation) editMetadata(doc map[string]any) {
	if m.silentIss {
		delete(doc, "authorization_response_iss_parameter_supported")
	}
	if m.metadata != nil {
		m.metadata(doc)
	}
}

func (m *imitation) editRedirect(params url.Values) {
	if m.silentIss || m.TokenPath != "" && !m.sendsIss {
		params.Del("iss")
	}
	if m.redirect != nil {
		m.redirect(params)
	}
}

func (m *imitation) editToken(r *http.Request, status int, body map[string]any) (int, map[string]any) {
	if m.token != nil {
		if code, description := m.token(r); code != "" {
			status, body = http.StatusBadRequest, map[string]any{"error": code, "error_description": description}
		}
	}
	if status != http.StatusOK {
		if m.errorsAre200 {
			status = http.StatusOK
		}
		return status, body
	}
	if m.withoutRefresh {
		delete(body, "refresh_token")
	}
	if m.answer != nil {
		m.answer(body)
	}
	return status, body
}

// wrap moves the endpoints to where the provider has them, and refuses what it
// would refuse.
func (m *imitation) wrap(next http.Handler) http.Handler {
	base := strings.TrimSuffix(m.path(), "/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.TokenPath != "" && strings.Contains(r.URL.Path, "/.well-known/") {
			http.NotFound(w, r)
			return
		}
		switch r.URL.Path {
		case cmp.Or(m.AuthorizationPath, base+"/oauth2/authorize"):
			if m.refuses(w, r) {
				return
			}
			r.URL.Path = base + "/oauth2/authorize"
		case cmp.Or(m.TokenPath, base+"/token"):
			r.URL.Path = base + "/token"
			m.forgoSecret(r)
			if m.form {
				asForm(w, r, next)
				return
			}
		case m.DevicePath:
			r.URL.Path = base + "/device-authorization"
			m.forgoSecret(r)
		}
		next.ServeHTTP(w, r)
	})
}

// forgoSecret lets a client sign in on a device without its secret, as GitHub does.
func (m *imitation) forgoSecret(r *http.Request) {
	onDevice := r.URL.Path != strings.TrimSuffix(m.path(), "/")+"/token" || r.PostFormValue("grant_type") == "urn:ietf:params:oauth:grant-type:device_code"
	if m.DevicePath != "" && onDevice && r.PostFormValue("client_secret") == "" {
		r.PostForm.Set("client_secret", imitatedSecret)
	}
}

func (m *imitation) path() string {
	form, _ := url.Parse(cmp.Or(m.Issuer, m.IssuerForm))
	return form.Path
}

// refuses answers an authorization request that the provider refuses. To the issuer
// underneath, others say what it understands.
func (m *imitation) refuses(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	code, description := "", ""
	for _, scope := range m.unknownScopes {
		if slices.Contains(strings.Fields(q.Get("scope")), scope) {
			code, description = "invalid_scope", "The requested scope is invalid, unknown, or malformed: "+scope
		}
	}
	if m.authorize != nil && code == "" {
		code, description = m.authorize(q)
	}
	scopes := strings.Fields(q.Get("scope"))
	if code != "" {
		answer := url.Values{"error": {code}, "error_description": {description}, "state": {q.Get("state")}}
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound)
		return true
	}
	if m.refreshes {
		scopes = append(scopes, "offline_access")
	}
	if len(scopes) > 0 {
		q.Set("scope", strings.Join(append(scopes, "profile"), " "))
	}
	r.URL.RawQuery = q.Encode()
	return false
}

// asForm turns a JSON answer into a form.
func asForm(w http.ResponseWriter, r *http.Request, next http.Handler) {
	recorder := httptest.NewRecorder()
	next.ServeHTTP(recorder, r)
	decoder := json.NewDecoder(bytes.NewReader(recorder.Body.Bytes()))
	decoder.UseNumber()
	body, form := map[string]any{}, url.Values{}
	if err := decoder.Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for name, value := range body {
		form.Set(name, fmt.Sprint(value))
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	w.WriteHeader(recorder.Code)
	fmt.Fprint(w, form.Encode())
}
