package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// With --verbose, each step is one line, which says what was done, where, how and how
// long it took. Such a line holds no secret: of a URL, it has no query.

// metadataCache is the cache of all commands, which says when it has something.
func (p *program) metadataCache(o *options) grant.MetadataCache {
	if !o.verbose {
		return &p.metadata
	}
	return &toldCache{&p.metadata, p, o}
}

type toldCache struct {
	grant.MetadataCache
	program *program
	options *options
}

// LoadMetadata is that of the cache. What is too old is asked for all the same, which
// is a line of its own.
func (c *toldCache) LoadMetadata(ctx context.Context, issuer string) ([]byte, error) {
	entry, err := c.MetadataCache.LoadMetadata(ctx, issuer)
	if err == nil && entry != nil {
		c.program.detail(c.options, "metadata of %s is in the cache", issuer)
	}
	return entry, err
}

// othersWereSlow tells of waits for other processes, which are short as a rule.
func (p *program) othersWereSlow(o *options) func(login bool, took time.Duration) {
	return func(login bool, took time.Duration) {
		switch {
		case took < 100*time.Millisecond: // that is the lock itself, on a slow machine
		case login:
			p.detail(o, "waited %s for another oauth-login that signs in", milliseconds(took))
		default:
			p.detail(o, "waited %s for another oauth-login that changes the login", milliseconds(took))
		}
	}
}

// what says in a few words what a request is for.
func (w *watchedRequest) what() string {
	req := w.req
	where := (&url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path}).String()
	if req.Method == http.MethodGet {
		switch {
		case strings.Contains(req.URL.Path, "/.well-known/"):
			return "metadata from " + where
		case strings.Contains(req.Header.Get("Accept"), "jwk-set"):
			return "keys from " + where
		}
		return "GET " + where
	}
	form := formOf(req)
	what := req.Method + " " + where
	switch form.Get("grant_type") {
	case "authorization_code":
		what = "code exchanged at " + where
	case "refresh_token":
		what = "refreshed at " + where
	case "urn:ietf:params:oauth:grant-type:device_code": // RFC 8628, section 3.4
		what = "asked for the tokens of the other device at " + where
	}
	if form == nil {
		return what
	}
	return what + " (" + w.clientAuth(form) + ")"
}

// formOf returns a copy of the form that is posted, nil for none.
func formOf(req *http.Request) url.Values {
	if req.GetBody == nil || !strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxTracedBody))
	if err != nil {
		return nil
	}
	form, err := url.ParseQuery(string(data))
	if err != nil {
		return nil
	}
	return form
}

// clientAuth names the method by which the client has authenticated (OpenID Connect
// Core 1.0, section 9; RFC 8705, section 2), as the request shows it.
func (w *watchedRequest) clientAuth(form url.Values) string {
	switch {
	case strings.HasPrefix(w.req.Header.Get("Authorization"), "Basic "):
		return "client_secret_basic"
	case form.Has("client_secret"):
		return "client_secret_post"
	case form.Has("client_assertion") && strings.HasPrefix(algOf(form.Get("client_assertion")), "HS"):
		return "client_secret_jwt"
	case form.Has("client_assertion"):
		return "private_key_jwt"
	case w.certificate:
		return "certificate"
	}
	return "public client"
}

// algOf is the algorithm that a JWT of ours is signed with.
func algOf(jwt string) string {
	encoded, _, _ := strings.Cut(jwt, ".")
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	var header struct {
		Alg string `json:"alg"`
	}
	_ = json.Unmarshal(data, &header) // what cannot be read has none
	return header.Alg
}
