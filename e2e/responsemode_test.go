package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestResponseModes signs in with a real browser for every way in which the answer can come back.
func TestResponseModes(t *testing.T) {
	p := startProvider(t, providerConfig{Configuration: object{"features": object{"jwtResponseModes": object{"enabled": true}}}})
	b := startBrowser(t)
	for _, mode := range []string{"query", "form_post", "jwt", "form_post.jwt"} {
		t.Run(mode, func(t *testing.T) {
			c := newCommand(t, startKeyring(t))
			running := c.start(t, login(p, "--response-mode", mode, "--no-browser")...)
			address := running.url(t)
			v := b.visit(t, address, person{Login: "alice"})
			running.wait(t).expect(t, exitDone)

			host := receiver(t, address)
			if v.URL != "http://"+host+"/callback/done" || !strings.Contains(v.Text, "Signed in") {
				t.Errorf("last page is %s: %s", v.URL, v.Text)
			}
			for _, entry := range v.History {
				if strings.Contains(entry, "code=") || strings.Contains(entry, "response=") {
					t.Error("the browser remembers an address with an answer in it")
				}
			}
			first := v.from(host)[0]
			posted := strings.HasPrefix(mode, "form_post")
			signed := strings.HasSuffix(mode, "jwt")
			if inAddress := strings.Contains(first.URL, "?"); first.Status != http.StatusSeeOther || inAddress == posted {
				t.Errorf("first answer is %d, with parameters in the address: %t", first.Status, inAddress)
			}
			if !posted && strings.Contains(first.URL, "response=") != signed {
				t.Error("the answer has not the form that was asked for")
			}
			checkHeaders(t, first)
		})
	}
}

// TestResponseModeRefused proves that a person's "no" comes back in every way too.
func TestResponseModeRefused(t *testing.T) {
	p := startProvider(t, providerConfig{Configuration: object{"features": object{"jwtResponseModes": object{"enabled": true}}}})
	b := startBrowser(t)
	for _, mode := range []string{"form_post", "form_post.jwt"} {
		t.Run(mode, func(t *testing.T) {
			running := newCommand(t, startKeyring(t)).start(t, login(p, "--response-mode", mode, "--no-browser")...)
			v := b.visit(t, running.url(t), person{Login: "alice", Denies: true})
			r := running.wait(t)
			r.expect(t, exitRefused)
			if !r.says("access_denied") || !strings.Contains(v.Text, "refused") {
				t.Errorf("last page says %q; stderr:\n%s", v.Text, r.stderr)
			}
		})
	}
}
