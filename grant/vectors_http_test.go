package grant_test

import (
	"cmp"
	"crypto"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// An exchange is one request that has to be made and what it is answered with.
type exchange struct {
	Request struct {
		Method  string         `json:"method"`
		URL     string         `json:"url"`
		Headers map[string]any `json:"headers"` // a selection; null for one that must not be there
		Form    map[string]any `json:"form"`    // all of it
		JSON    map[string]any `json:"json"`    // all of it
	} `json:"request"`
	Response struct {
		Status  int                  `json:"status"`
		Headers map[string]oneOrMore `json:"headers"`
		JSON    json.RawMessage      `json:"json"`
		Body    string               `json:"body"`
		Times   int                  `json:"times"` // how often Body is repeated; 0 is once
		Base64  []byte               `json:"base64"`
	} `json:"response"`
}

// A script is a server that expects requests in a fixed order.
type script struct {
	t    testing.TB
	keys map[string]any
	left []exchange
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	s.t.Helper()
	if len(s.left) == 0 {
		s.t.Errorf("an unexpected request: %s %s", req.Method, req.URL)
		return nil, errors.New("the script is over")
	}
	next := s.left[0]
	s.left = s.left[1:]
	next.check(s.t, s.keys, req)
	return next.answer(), nil
}

func (e *exchange) check(t testing.TB, keys map[string]any, req *http.Request) {
	t.Helper()
	if req.Method != e.Request.Method || req.URL.String() != e.Request.URL {
		t.Errorf("%s %s was requested, want %s %s", req.Method, req.URL, e.Request.Method, e.Request.URL)
	}
	wantSelection(t, keys, "header", e.Request.Headers, headers(req.Header, e.Request.Headers))
	if e.Request.Form == nil && e.Request.JSON == nil {
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	want := e.Request.JSON
	if e.Request.Form != nil {
		values, err := url.ParseQuery(string(body))
		if err != nil {
			t.Error(err)
		}
		want, got = e.Request.Form, form(values)
	} else if err := json.Unmarshal(body, &got); err != nil {
		t.Error(err)
	}
	wantSelection(t, keys, "body", want, got)
	for name := range got {
		if _, wanted := want[name]; !wanted {
			t.Errorf("the body has %s", name)
		}
	}
}

func (e *exchange) answer() *http.Response {
	r := e.Response
	body := strings.Repeat(r.Body, cmp.Or(r.Times, 1)) + string(r.Base64) + string(r.JSON)
	resp := &http.Response{StatusCode: r.Status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	for name, values := range r.Headers {
		resp.Header[http.CanonicalHeaderKey(name)] = values
	}
	return resp
}

// randomValue is what cannot be guessed: 128 bits or more in base64url.
var randomValue = regexp.MustCompile(`^[A-Za-z0-9_-]{22,}$`)

// wantSelection compares JSON values. Of an object only the members that are
// wanted count, null for one that must not be there. The text "<random>" stands
// for one that nobody can guess, and {"jwt": {...}} for a JWT with such a header
// and such a payload that is signed with a key.
func wantSelection(t testing.TB, keys map[string]any, path string, want, got any) {
	t.Helper()
	object, isObject := want.(map[string]any)
	token, isToken := object["jwt"].(map[string]any)
	switch {
	case want == "<random>":
		if text, ok := got.(string); !ok || !randomValue.MatchString(text) {
			t.Errorf("%s is %v, want a random value", path, got)
		}
	case isToken:
		text, _ := got.(string)
		wantSelection(t, keys, path, token, openedJWT(t, keys, token["key"], text))
	case isObject:
		members, _ := got.(map[string]any)
		for name, value := range object {
			wantSelection(t, keys, path+"."+name, value, members[name])
		}
	default:
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
}

// openedJWT verifies a token with a key of the vectors.
func openedJWT(t testing.TB, keys map[string]any, kid any, text string) map[string]any {
	t.Helper()
	name, _ := kid.(string)
	var public any
	switch key := keys[name].(type) {
	case crypto.Signer:
		public = key.Public()
	case []byte:
		public = string(key)
	}
	header, payload := openJWS(t, text, public)
	opened, err := result(map[string]any{"key": kid, "header": header, "payload": payload})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}
