package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A spy stands between the providers of a script and everybody who asks them. It notes
// every value that goes by, in either direction, unless its name is one of harmless.
// None of them may be in a trace.
type spy struct {
	mu     sync.Mutex
	values map[string]bool
}

// harmless names have values that everybody may know. What a provider publishes about
// itself is not looked at.
var harmless = strings.Fields(`
	application_type audience client_assertion_type client_id client_name code_challenge_method decision error error_description grant_type
	grant_types iss issuer prompt redirect_uri redirect_uris registration_client_uri resource response_mode response_type response_types
	scope software_id software_version token_endpoint_auth_method token_type token_type_hint verification_uri`)

func (s *spy) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/.well-known/") || strings.HasSuffix(r.URL.Path, "/jwks") {
			next.ServeHTTP(w, r)
			return
		}
		s.noteQuery(r.URL.RawQuery)
		s.noteHeader(r.Header)
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.noteBody(r.Header, body)
		answer := &copyWriter{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		s.noteHeader(w.Header())
		s.noteBody(w.Header(), answer.body.Bytes())
	})
}

// A copyWriter keeps a copy of an answer.
type copyWriter struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (w *copyWriter) Write(p []byte) (int, error) {
	w.body.Write(p)
	return w.ResponseWriter.Write(p)
}

func (s *spy) noteHeader(header http.Header) {
	for name, values := range header {
		for _, value := range values {
			switch name {
			case "Authorization":
				_, value, _ = strings.Cut(value, " ")
				s.note("", value)
			case "Dpop", "Dpop-Nonce":
				s.note("", value)
			case "Set-Cookie":
				_, value, _ = strings.Cut(value, "=")
				value, _, _ = strings.Cut(value, ";")
				s.note("", value)
			case "Location":
				if u, err := url.Parse(value); err == nil {
					s.noteQuery(u.RawQuery)
				}
			}
		}
	}
}

func (s *spy) noteQuery(raw string) {
	form, _ := url.ParseQuery(raw)
	for name, values := range form {
		for _, value := range values {
			s.note(name, value)
			s.note(name, url.QueryEscape(value))
		}
	}
}

func (s *spy) noteBody(header http.Header, body []byte) {
	var value any
	switch kind := header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		s.noteQuery(string(body))
	case strings.HasPrefix(kind, "application/jwt"):
		s.note("", string(body))
	case json.Unmarshal(body, &value) == nil:
		s.noteJSON("", value)
	}
}

func (s *spy) noteJSON(name string, value any) {
	switch value := value.(type) {
	case string:
		s.note(name, value)
	case []any:
		for _, inner := range value {
			s.noteJSON(name, inner)
		}
	case map[string]any:
		for name, inner := range value {
			s.noteJSON(name, inner)
		}
	}
}

func (s *spy) note(name, value string) {
	const tooShort = 5 // it may be there by chance
	if len(value) <= tooShort || slices.Contains(harmless, name) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = map[string]bool{}
	}
	s.values[value] = true
}

// foundIn reports whether a text has one of the values.
func (s *spy) foundIn(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value := range s.values {
		if strings.Contains(text, value) {
			return true
		}
	}
	return false
}
