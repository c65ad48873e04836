package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
)

// TestSignedInURL has a real browser sent on after the login, also from a provider whose content security policy says where its forms
// may lead, which Chromium applies to every redirect.
func TestSignedInURL(t *testing.T) {
	b := startBrowser(t)
	strict := issuertest.New(t)
	p := startProvider(t, providerConfig{})
	for name, client := range map[string]*grant.Client{
		"oidc-provider": {Issuer: p.Issuer, ClientID: "native"},
		"issuertest":    {Issuer: strict.URL, ClientID: strict.ClientID},
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(chan *http.Request, 10)
			welcome := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/welcome" {
					seen <- r
				}
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, "<!DOCTYPE html><title>Welcome</title>")
			}))
			defer welcome.Close()
			client.AllowInsecureRequests, client.Scopes = true, []string{"openid"}
			defer client.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			window := b.window(t)
			_, err := loopback.Login(ctx, client, &loopback.Options{SignedInURL: welcome.URL + "/welcome", Open: func(_ context.Context, address string) error {
				return window.pass(address, person{Login: "alice"})
			}})
			if err != nil {
				t.Fatal(err)
			}
			select {
			case r := <-seen:
				if r.Header.Get("Referer") != "" || r.URL.RawQuery != "" {
					t.Errorf("the browser brings %q and comes from %q", r.URL.RawQuery, r.Header.Get("Referer"))
				}
			case <-time.After(20 * time.Second):
				t.Error("the browser does not go on")
			}
		})
	}
}

// pass is visit without a look at where it ends: the page may be gone by then.
func (w *window) pass(address string, p person) error {
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	if _, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: address}); err != nil {
		return err
	}
	_, err := answerPages(ctx, p)
	return err
}
