package e2e

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// errLeaves stops a client at a redirect that leads away from the provider.
var errLeaves = errors.New("redirect leads away from the provider")

// signInByHand does what a browser does on the provider's pages, with plain requests, and returns the redirect to the client without
// following it. It is for tests that send the redirect themselves, or more than once.
func signInByHand(t *testing.T, address string, p person) (callback string) {
	t.Helper()
	return signInWith(t, nil, address, p)
}

// signInWith is signInByHand with a transport of its own, for a provider whose certificate nobody else knows; nil for the usual one.
func signInWith(t *testing.T, transport http.RoundTripper, address string, p person) (callback string) {
	t.Helper()
	start, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if req.URL.Host != start.Host {
			callback = req.URL.String()
			return errLeaves
		}
		return nil
	}}
	send := func(method, address string, form url.Values) (page, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := client.Do(req)
		if errors.Is(err, errLeaves) {
			return "", ""
		}
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Request.URL.String(), string(b)
	}

	page, body := send(http.MethodGet, address, nil)
	for range 5 { // sign-in and consent, with something to spare
		if callback != "" {
			return callback
		}
		form := url.Values{"prompt": {"login"}, "login": {p.Login}, "password": {"any"}}
		if !strings.Contains(body, `name="login"`) {
			form = url.Values{"prompt": {"consent"}}
			if p.Denies {
				page, body = send(http.MethodGet, page+"/abort", nil)
				continue
			}
		}
		action, err := formAction(body)
		if err != nil {
			t.Fatalf("provider is at a loss: %v", err)
		}
		page, body = send(http.MethodPost, action, form)
	}
	t.Fatal("provider does not lead back to the client")
	return ""
}

var (
	action = regexp.MustCompile(`<form [^>]*action="([^"]+)"`)
	tag    = regexp.MustCompile(`<[^>]*>`)
)

// formAction returns where the form of a page is sent. Its error gives the text of a page that has none: oidc-provider's account of what
// is wrong.
func formAction(body string) (string, error) {
	match := action.FindStringSubmatch(body)
	if match == nil {
		_, text, _ := strings.Cut(body, "<body>")
		return "", fmt.Errorf("no form in %.300q", strings.Join(strings.Fields(tag.ReplaceAllString(text, " ")), " "))
	}
	return html.UnescapeString(match[1]), nil
}
