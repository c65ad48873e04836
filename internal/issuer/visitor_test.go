package issuer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

func TestVisitorDenies(t *testing.T) {
	iss := start(t, nil)
	got := answer(t, iss, &issuer.Visitor{Deny: true}, request(receiver(t)))
	if got.Get("error") != "access_denied" || got.Get("state") != "the state" || got.Get("iss") != iss.URL() || got.Has("code") {
		t.Errorf("authorization response: %v", got)
	}
	if len(iss.Secrets()) != 0 {
		t.Error("a code was handed out")
	}
}

func TestVisitorTrail(t *testing.T) {
	iss := start(t, nil)
	uri := receiver(t)
	page, err := new(issuer.Visitor).Visit(t.Context(), iss.URL()+"/oauth2/authorize?"+request(uri).Encode())
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, visited := range page.Trail {
		u, err := url.Parse(visited)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, u.Path)
	}
	want := []string{
		"/oauth2/authorize",
		"/oauth2/sign-in", "/oauth2/sign-in", // page and form
		"/oauth2/consent", "/oauth2/consent",
		"/callback",
	}
	if !slices.Equal(paths, want) || page.URL != page.Trail[len(want)-1] {
		t.Errorf("trail %q, want %q", paths, want)
	}
	if page.Status != http.StatusOK || string(page.Body) != "received" || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("page: %d %v %q", page.Status, page.Header, page.Body)
	}
}

// The visitor must look like a browser to a redirect URI that looks closely.
func TestVisitorHeaders(t *testing.T) {
	iss := start(t, nil)
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	t.Cleanup(server.Close)
	for name, test := range map[string]struct {
		uri, site string
		header    http.Header
	}{
		"same host":  {server.URL + "/callback", "same-site", nil},
		"other host": {strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/callback", "cross-site", nil},
		"own header": {server.URL + "/callback", "same-site", http.Header{"X-Own": {"1"}}},
	} {
		got = nil
		v := &issuer.Visitor{Header: test.header}
		if _, err := v.Visit(t.Context(), iss.URL()+"/oauth2/authorize?"+request(test.uri).Encode()); err != nil {
			t.Fatal(err)
		}
		for header, want := range map[string]string{
			"Sec-Fetch-Mode": "navigate",
			"Sec-Fetch-Dest": "document",
			"Sec-Fetch-Site": test.site,
			"X-Own":          test.header.Get("X-Own"),
			"Origin":         "",
			"Cookie":         "",
			"Referer":        "",
		} {
			if got.Get(header) != want {
				t.Errorf("%s: %s %q, want %q", name, header, got.Get(header), want)
			}
		}
		if !strings.HasPrefix(got.Get("Accept"), "text/html,") {
			t.Errorf("%s: Accept %q", name, got.Get("Accept"))
		}
	}
}

func TestVisitorStops(t *testing.T) {
	form := `<form method="post" action="%s"><input name="username"></form>`
	mux := http.NewServeMux()
	page := func(path, mediaType, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			_, _ = io.WriteString(w, body)
		})
	}
	page("/plain", "text/html", "<p>nothing to do & nothing < to fill in")
	page("/text", "text/plain", fmt.Sprintf(form, "/plain"))
	page("/away", "text/html", fmt.Sprintf(form, "http://127.0.0.1:1/"))
	page("/again", "text/html; charset=utf-8", fmt.Sprintf(form, "/again"))
	page("/big", "text/html", strings.Repeat("x", 2<<20))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/app", http.RedirectHandler("com.example.app:/cb?code=x", http.StatusFound))
	mux.Handle("/bad", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://%zz?code=secret")
		w.WriteHeader(http.StatusFound)
	}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.Handle("/foreign", http.RedirectHandler(strings.Replace(server.URL, "127.0.0.1", "localhost", 1)+"/again", http.StatusFound))
	for path, want := range map[string]struct {
		err    string
		status int
		length int
		trail  int
	}{
		"/plain":   {"", 200, 39, 1},
		"/text":    {"", 200, 66, 1},
		"/big":     {"", 200, 1 << 20, 1},
		"/app":     {"", 302, 49, 1},
		"/none":    {"", 404, 19, 1},
		"/foreign": {"", 200, 66, 2},
		"/away":    {"visitor: the form goes to another server", 0, 0, 0},
		"/again":   {"visitor: no end after 30 requests", 0, 0, 0},
		"/loop":    {"visitor: no end after 30 requests", 0, 0, 0},
		"/bad":     {"visitor: the page redirects to something that is not a URL", 0, 0, 0},
	} {
		got, err := new(issuer.Visitor).Visit(t.Context(), server.URL+path)
		if want.err != "" {
			if err == nil || err.Error() != want.err || got != nil {
				t.Errorf("%s: error %v, want %s", path, err, want.err)
			}
			continue
		}
		if err != nil || got.Status != want.status || len(got.Body) != want.length || len(got.Trail) != want.trail {
			t.Errorf("%s: %v, %+v", path, err, got)
		}
	}
	for _, target := range []string{"", "/path", "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http://%zz"} {
		if _, err := new(issuer.Visitor).Visit(t.Context(), target); err == nil {
			t.Errorf("%q was visited", target)
		}
	}
}

func TestVisitorErrors(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	iss := start(t, &issuer.Options{Delay: time.Minute})
	_, err := new(issuer.Visitor).Visit(ctx, iss.URL()+"/?code=secret")
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error: %v", err)
	}
	_, err = new(issuer.Visitor).Visit(t.Context(), "http://127.0.0.1:1/?code=secret")
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error: %v", err)
	}
}
