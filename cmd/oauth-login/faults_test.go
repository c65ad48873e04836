package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// The faults and other peculiarities of a provider that a script can ask for.
var faults = map[string]func(*issuer.Options){
	"other-redirects": func(o *issuer.Options) {
		o.Clients = append(o.Clients, issuer.Client{ID: "other", RedirectURIs: []string{"http://localhost/back", "http://127.0.0.1/a/b"}})
	},
	"no-metadata": func(o *issuer.Options) {
		o.Alg = "RS256" // what is signed with when nothing is said (OpenID Connect Core 1.0, section 2)
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/.well-known/") {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	},
	"short-lived": func(o *issuer.Options) { o.AccessTokenTTL = time.Second },
	"verified": func(o *issuer.Options) {
		o.IDToken = func(_, claims map[string]any) { claims["email_verified"] = true }
	},
	"fewer-scopes": func(o *issuer.Options) {
		o.Token = func(_ *http.Request, status int, body map[string]any) (int, map[string]any) {
			body["scope"] = "openid email"
			return status, body
		}
	},
	"no-revocation": func(o *issuer.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/revoke") {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	},
	"short-id-tokens": func(o *issuer.Options) {
		o.IDToken = func(_, claims map[string]any) { claims["exp"] = time.Now().Add(2 * time.Second).Unix() }
	},
	"one-id-token": func(o *issuer.Options) {
		o.Token = func(r *http.Request, status int, body map[string]any) (int, map[string]any) {
			if r.Form.Get("grant_type") == "refresh_token" {
				delete(body, "id_token")
			}
			return status, body
		}
	},
	"open-later": func(o *issuer.Options) {
		o.OpenRegistration = true
		asked := new(atomic.Int32)
		o.Metadata = func(doc map[string]any) {
			if asked.Add(1) == 1 {
				delete(doc, "registration_endpoint")
			}
		}
	},
	"late-discovery": func(o *issuer.Options) { o.Wrap = lateDiscovery },
	"par":            func(o *issuer.Options) { o.RequirePAR = true },
	"tells-all": func(o *issuer.Options) { // what it was sent, in the description of an error
		o.Token = func(r *http.Request, status int, body map[string]any) (int, map[string]any) {
			return 400, map[string]any{"error": "invalid_grant", "error_description": "no: " + r.Form.Get("code") + " " + r.Form.Get("client_secret"),
				"hint": "the verifier is " + r.Form.Get("code_verifier"), "number": 12345678}
		}
	},
	"confidential": func(o *issuer.Options) { // in the words of Entra
		o.Token = func(*http.Request, int, map[string]any) (int, map[string]any) {
			return 401, map[string]any{"error": "invalid_client", "error_description": "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'. Trace ID: 1 Correlation ID: 2 Timestamp: 2026-11-25 10:00:00Z",
				"error_codes": []int{7000218}}
		}
	},
	"refresh-500": func(o *issuer.Options) {
		o.Token = func(r *http.Request, status int, body map[string]any) (int, map[string]any) {
			if r.Form.Get("grant_type") == "refresh_token" {
				return 500, map[string]any{"error": "server_error"}
			}
			return status, body
		}
	},
	"no-refresh": func(o *issuer.Options) { o.Token = edited(o.Token, without("refresh_token")) },
	"tenantid": func(o *issuer.Options) { // the address that all tenants share
		before := o.Metadata
		o.Metadata = func(doc map[string]any) {
			before(doc)
			doc["issuer"] = strings.Replace(doc["issuer"].(string), "/TENANT/", "/{tenantid}/", 1)
		}
	},
	"other-tenant": func(o *issuer.Options) {
		o.IDToken = func(_, claims map[string]any) {
			claims["iss"] = strings.Replace(claims["iss"].(string), "/TENANT/", "/{tenantid}/", 1)
		}
	},
	"domain": func(o *issuer.Options) { // the issuer has the ID of the tenant, where the address has its domain
		before := o.Metadata
		o.Metadata = func(doc map[string]any) {
			before(doc)
			doc["issuer"] = strings.Replace(doc["issuer"].(string), "/TENANT/", "/11111111-2222-3333-4444-555555555555/", 1)
		}
	},
	"nothing": func(o *issuer.Options) {
		o.Wrap = func(http.Handler) http.Handler { return http.HandlerFunc(http.NotFound) }
	},
	"company": asCompany,
	"company-short": func(o *issuer.Options) {
		asCompany(o)
		o.AccessTokenTTL = time.Second
	},
	"no-pkce":            func(o *issuer.Options) { o.Metadata = without("code_challenge_methods_supported") },
	"no-iss":             func(o *issuer.Options) { o.Metadata = without("authorization_response_iss_parameter_supported") },
	"keys-elsewhere":     func(o *issuer.Options) { o.Metadata = set("jwks_uri", "http://127.0.0.1:1/jwks") },
	"keys-with-password": func(o *issuer.Options) { o.Metadata = set("jwks_uri", "https://ada:pa55word@127.0.0.1:1/jwks") },
	"keys-nowhere":       func(o *issuer.Options) { o.Metadata = set("jwks_uri", "https://127.0.0.1:1/\x1b[31m") },
	"no-keys": func(o *issuer.Options) {
		o.Metadata = func(doc map[string]any) { doc["jwks_uri"] = doc["issuer"].(string) + "/no-keys" }
	},
	"clock-10m":  clock(10*time.Minute, 0),
	"clock-1m":   clock(-time.Minute, 0),
	"from-cache": clock(-time.Hour, time.Hour), // the answer is an hour old and says so
	"nonces":     func(o *issuer.Options) { o.DPoPNonce = true },
	"no-dpop": func(o *issuer.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("DPoP")
				query := r.URL.Query()
				query.Del("dpop_jkt")
				r.URL.RawQuery = query.Encode()
				next.ServeHTTP(w, r)
			})
		}
	},
	"unknown-dpop": func(o *issuer.Options) { o.Metadata = set("dpop_signing_alg_values_supported", []string{"ES256K"}) },
	"html": func(o *issuer.Options) {
		o.Wrap = func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<!doctype html><title>Welcome</title>")
			})
		}
	},
	"other-issuer": func(o *issuer.Options) { o.Metadata = set("issuer", "https://evil.example") },
	"slash": func(o *issuer.Options) {
		o.Metadata = func(doc map[string]any) { doc["issuer"] = doc["issuer"].(string) + "/" }
	},
	"device":         func(o *issuer.Options) { o.Device = onDevice(&issuer.Visitor{}, o) },
	"device-refused": func(o *issuer.Options) { o.Device = onDevice(&issuer.Visitor{Deny: true}, o) },
	"device-nobody":  func(o *issuer.Options) { o.Device = onDevice(nil, o) },
	"device-expired": func(o *issuer.Options) {
		o.Device = func(body map[string]any) { body["interval"], body["expires_in"] = 0.05, 0.2 }
	},
	"device-evil": func(o *issuer.Options) {
		o.Device = func(body map[string]any) { body["verification_uri_complete"] = "javascript:alert(1)" }
	},
	"open":       func(o *issuer.Options) { o.OpenRegistration = true },
	"open-exact": func(o *issuer.Options) { o.OpenRegistration, o.ExactRedirectURIs = true, true },
	"open-short": func(o *issuer.Options) { o.OpenRegistration, o.AccessTokenTTL = true, time.Second },
	"open-secret": func(o *issuer.Options) {
		o.OpenRegistration = true
		o.Metadata = set("token_endpoint_auth_methods_supported", []string{issuer.AuthPost})
	},
	"open-expiring": func(o *issuer.Options) {
		o.OpenRegistration = true
		o.Metadata = set("token_endpoint_auth_methods_supported", []string{issuer.AuthBasic})
		o.Registration = func(body map[string]any) { body["client_secret_expires_at"] = time.Now().Add(30 * time.Second).Unix() }
	},
	"open-unmanaged": func(o *issuer.Options) { // nothing to ask about the registration later
		o.OpenRegistration = true
		o.Device = onDevice(&issuer.Visitor{}, o)
		o.Registration = func(body map[string]any) { delete(body, "registration_client_uri") }
	},
	"open-refused": func(o *issuer.Options) {
		o.OpenRegistration = true
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/register" {
					w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	},
	"api-dpop": func(o *issuer.Options) {
		o.OpenRegistration, o.Resource = true, set("dpop_bound_access_tokens_required", true)
	},
	"api-of-nobody": func(o *issuer.Options) { o.Resource = without("authorization_servers") },
	"api-of-two": func(o *issuer.Options) {
		o.OpenRegistration = true
		o.Resource = func(doc map[string]any) {
			doc["authorization_servers"] = append(doc["authorization_servers"].([]string), "http://127.0.0.1:1/another")
		}
	},
	"other-api": func(o *issuer.Options) { o.Resource = set("resource", "https://evil.example/api") },
	"wants-hint": func(o *issuer.Options) { // and signs nobody out without knowing who asks
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/oauth2/sign-out" && r.URL.Query().Get("id_token_hint") == "" {
					http.Error(w, "who are you?", http.StatusBadRequest)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	},
	"no-end-session": func(o *issuer.Options) { o.Metadata = without("end_session_endpoint") },
	"no-device":      func(o *issuer.Options) { o.Metadata = without("device_authorization_endpoint") },
	"no-userinfo":    func(o *issuer.Options) { o.Metadata = without("userinfo_endpoint") },
	"other-userinfo": func(o *issuer.Options) { o.Userinfo = func(claims map[string]any) { claims["sub"] = "somebody else" } },
	"odd-userinfo": func(o *issuer.Options) {
		o.Userinfo = func(claims map[string]any) {
			claims["address"], claims["nothing"], claims["na\x1bme"] = map[string]any{"country": "GB"}, nil, "a\x1b[31m\nb"
		}
	},
	"no-token-endpoint": func(o *issuer.Options) { o.Metadata = without("token_endpoint") },
	"plain-pkce":        func(o *issuer.Options) { o.Metadata = set("code_challenge_methods_supported", []string{"plain"}) },
	"expired-id-token":  func(o *issuer.Options) { o.IDToken = claim("exp", time.Now().Add(-time.Hour).Unix()) },
	"other-nonce":       func(o *issuer.Options) { o.IDToken = claim("nonce", "another") },
	"other-audience":    func(o *issuer.Options) { o.IDToken = claim("aud", "another") },
	"other-iss": func(o *issuer.Options) {
		o.Redirect = func(params url.Values) { params.Set("iss", "https://evil.example") }
	},
	"errors-without-state": func(o *issuer.Options) {
		o.Redirect = func(params url.Values) {
			clear(params)
			params.Set("error", "invalid_scope")
			params.Set("error_description", "The requested scope is unknown\r\nhint: run this")
		}
	},
	"stray": func(o *issuer.Options) {
		o.Redirect = func(params url.Values) { params.Set("state", "another") }
	},
	"forged": func(o *issuer.Options) {
		o.Token = func(_ *http.Request, status int, body map[string]any) (int, map[string]any) {
			if token, ok := body["id_token"].(string); ok {
				i := strings.LastIndexByte(token, '.') + 1
				flipped := map[bool]string{true: "B", false: "A"}[token[i] == 'A']
				body["id_token"] = token[:i] + flipped + token[i+1:]
			}
			return status, body
		}
	},
	"token-500": func(o *issuer.Options) {
		o.Token = func(*http.Request, int, map[string]any) (int, map[string]any) { return 500, nil }
	},
	"invalid-grant": func(o *issuer.Options) {
		o.Token = func(*http.Request, int, map[string]any) (int, map[string]any) {
			return 400, map[string]any{"error": "invalid_grant", "error_description": "no \x1b[31mred\x1b[0m here"}
		}
	},
}

// clock has answers say that they are of another time, and how old they are.
func clock(off, age time.Duration) func(o *issuer.Options) {
	return func(o *issuer.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
				if age > 0 {
					w.Header().Set("Age", fmt.Sprint(int(age.Seconds())))
				}
				next.ServeHTTP(w, r)
			})
		}
	}
}

// onDevice is a person with another device, who signs in before the first one asks;
// nobody for nil.
func onDevice(person *issuer.Visitor, o *issuer.Options) func(body map[string]any) {
	o.DeviceInterval = 50 * time.Millisecond
	return func(body map[string]any) {
		if person == nil {
			return
		}
		if _, err := person.Visit(context.Background(), body["verification_uri_complete"].(string)); err != nil {
			panic(err) // the issuer's server closes the connection then
		}
	}
}

// edited is a hook of the token endpoint that also edits what comes of another one.
func edited(before func(*http.Request, int, map[string]any) (int, map[string]any), edit func(map[string]any)) func(*http.Request, int, map[string]any) (int, map[string]any) {
	return func(r *http.Request, status int, body map[string]any) (int, map[string]any) {
		if before != nil {
			status, body = before(r, status, body)
		}
		edit(body)
		return status, body
	}
}

func without(name string) func(map[string]any) {
	return func(doc map[string]any) { delete(doc, name) }
}

func set(name string, value any) func(map[string]any) {
	return func(doc map[string]any) { doc[name] = value }
}

func claim(name string, value any) func(header, claims map[string]any) {
	return func(_, claims map[string]any) { claims[name] = value }
}

// lateDiscovery answers the first request for the metadata at once, and each later
// one when a browser has come for that login too.
func lateDiscovery(next http.Handler) http.Handler {
	var asked, came atomic.Int32
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/authorize") {
			came.Add(1)
		}
		if strings.Contains(r.URL.Path, "/.well-known/") {
			login := asked.Add(1)
			for login > 1 && came.Load() < login {
				select {
				case <-r.Context().Done():
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}
