package e2e

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// login is the start of a command line that signs in at p.
func login(p *provider, args ...string) []string {
	return append([]string{"--issuer", p.Issuer, "--client-id", "native"}, args...)
}

// receiver returns the host and port to which the authorization URL leads back.
func receiver(t *testing.T, authorizationURL string) string {
	t.Helper()
	u, err := url.Parse(authorizationURL)
	if err != nil {
		t.Fatal(err)
	}
	redirect, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil || redirect.Host == "" {
		t.Fatalf("no redirect URI in the authorization URL (%v)", err)
	}
	return redirect.Host
}

// get sends a plain GET and returns the status.
func get(t *testing.T, address string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestLogin signs in with a real browser: the whole of what the command is for.
func TestLogin(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	k := startKeyring(t)
	c := newCommand(t, k)
	program, handed := newOpener(t)

	tests := []struct {
		name string
		env  []string
		args []string
		url  func(t *testing.T, running *process) string
	}{
		{"printed URL", nil, []string{"--no-browser"}, func(t *testing.T, running *process) string { return running.url(t) }},
		{"BROWSER", []string{"BROWSER=" + program}, nil, func(t *testing.T, _ *process) string { return receiveURL(t, handed) }},
		{"--browser", nil, []string{"--browser", program}, func(t *testing.T, _ *process) string { return receiveURL(t, handed) }},
	}
	b := startBrowser(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &command{path: c.path, env: append(c.env[:len(c.env):len(c.env)], tt.env...)}
			running := c.start(t, login(p, tt.args...)...)
			address := tt.url(t, running)
			v := b.visit(t, address, person{Login: "alice"})
			r := running.wait(t)

			r.expect(t, exitDone)
			if r.stdout != "" {
				t.Errorf("%d bytes on stdout, want none", len(r.stdout))
			}
			if !r.says("alice", "keychain", address) {
				t.Errorf("stderr does not say who signed in, where the tokens are, and at which URL:\n%s", r.stderr)
			}
			if r.says("noise") {
				t.Errorf("the browser's output reached stderr:\n%s", r.stderr)
			}
			if !saysSignedIn(v) {
				t.Errorf("last page does not say that the person is signed in: %q, %q", v.Title, v.Text)
			}
			checkTraces(t, v, receiver(t, address))
			if k.items(t) == 0 {
				t.Error("nothing is stored")
			}
		})
	}
}

func receiveURL(t *testing.T, handed <-chan string) string {
	t.Helper()
	select {
	case u := <-handed:
		return u
	case <-time.After(15 * time.Second):
		t.Fatal("browser was not opened within 15 s")
		return ""
	}
}

// saysSignedIn reports whether a person who reads the last page of v believes that they are signed in.
func saysSignedIn(v *visit) bool {
	text := strings.ToLower(v.Title + "\n" + v.Text)
	negated := strings.Contains(text, "not signed in") || strings.Contains(text, "not sign")
	return !negated && (strings.Contains(text, "signed in") || strings.Contains(text, "success"))
}

// checkTraces checks what the login leaves in the browser: an address without code and state, and pages that nothing may keep, frame,
// sniff or load anything from.
func checkTraces(t *testing.T, v *visit, host string) {
	t.Helper()
	for _, address := range append([]string{v.URL}, v.History...) {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if u.Host != host {
			continue // the provider's pages carry our state, which is theirs to keep
		}
		for _, secret := range []string{"code", "state"} {
			if strings.Contains(address, secret+"=") {
				t.Errorf("%s stays in the browser: it is at or has been at %s?...", secret, u.Path)
			}
		}
	}
	if u, err := url.Parse(v.URL); err != nil || u.Host != host {
		t.Errorf("last page is not one of the receiver at %s: %v", host, err)
	}

	responses := v.from(host)
	if len(responses) < 2 {
		t.Errorf("receiver sent %d responses, want the redirect away from the callback and a page", len(responses))
	}
	for _, r := range responses {
		checkHeaders(t, r)
	}
	// This is how the receiver knows that the browser has its page.
	if first, last := responses[0], responses[len(responses)-1]; first.Connection == 0 || first.Connection != last.Connection {
		t.Errorf("redirect came on connection %v and the page on %v", first.Connection, last.Connection)
	}
}

// checkHeaders checks the security headers that every answer of the receiver carries.
func checkHeaders(t *testing.T, r response) {
	t.Helper()
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Cache-Control":           "no-store",
		"Referrer-Policy":         "no-referrer",
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "default-src 'none'",
	} {
		if got := r.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%d %s: %s is %q, want %s", r.Status, u.Path, name, got, want)
		}
	}
	if policy := r.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("%d %s: the policy %q allows framing", r.Status, u.Path, policy)
	}
}

// TestLoginFails proves that a login that comes to nothing says so on the page, in words and in the exit code, and stores nothing.
func TestLoginFails(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	k := startKeyring(t)
	c := newCommand(t, k)
	b := startBrowser(t)

	tests := []struct {
		name   string
		answer cannedAnswer
		who    person
		says   string
	}{
		{"denied", cannedAnswer{}, person{Login: "alice", Denies: true}, "End-User aborted interaction"},
		{
			"exchange refused",
			cannedAnswer{Path: "/token", Times: 1, Status: http.StatusBadRequest, Body: object{
				"error": "invalid_grant", "error_description": "the code is not to our taste",
			}},
			person{Login: "alice"}, "the code is not to our taste",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.behave(t, behavior{Answers: []cannedAnswer{tt.answer}})
			running := c.start(t, login(p, "--no-browser")...)
			address := running.url(t)
			v := b.visit(t, address, tt.who)
			r := running.wait(t)

			r.expect(t, exitRefused)
			if !r.says(tt.says) {
				t.Errorf("stderr does not give the provider's reason %q:\n%s", tt.says, r.stderr)
			}
			if saysSignedIn(v) {
				t.Errorf("last page says that the person is signed in: %q, %q", v.Title, v.Text)
			}
			checkTraces(t, v, receiver(t, address))
			if n := k.items(t); n != 0 {
				t.Errorf("%d items are stored", n)
			}
		})
	}
}

// TestLoginAsksToStay proves that a login without further flags ends with a refresh token at a provider that goes by the book: one that
// offers offline_access, and grants it only together with prompt=consent (OpenID Connect Core 1.0, section 11).
func TestLoginAsksToStay(t *testing.T) {
	p := startProvider(t, providerConfig{})
	c := newCommand(t, startKeyring(t))
	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)
	if n := len(p.usable(t, "RefreshToken")); n != 1 {
		t.Errorf("provider has issued %d refresh tokens, want 1", n)
	}
}

// TestLoginWithSecret signs in as a client that has a secret, by both of the ways to send one.
func TestLoginWithSecret(t *testing.T) {
	const secret = "odd: s+cret/%41&=~" // bytes that RFC 6749, appendix A.2, allows and that have to be encoded
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			client := nativeClient()
			client["token_endpoint_auth_method"] = method
			client["client_secret"] = secret
			p := startProvider(t, providerConfig{Configuration: object{"clients": []object{client}}})
			c := newCommand(t, startKeyring(t))
			file := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			running := c.start(t, login(p, "--no-browser", "--client-secret-file", file, "--client-auth", method)...)
			get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
			running.wait(t).expect(t, exitDone)
		})
	}
}

// TestLoginInterrupted proves that Ctrl-C ends a login that waits, at once, and frees its port.
func TestLoginInterrupted(t *testing.T) {
	p := startProvider(t, providerConfig{})
	k := startKeyring(t)
	c := newCommand(t, k)

	running := c.start(t, login(p, "--no-browser")...)
	address := running.url(t)
	start := time.Now()
	if err := running.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	running.wait(t).expect(t, exitInterrupted)
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v to end", took)
	}
	if _, err := http.Get("http://" + receiver(t, address)); err == nil {
		t.Error("port is still open")
	}
	if n := k.items(t); n != 0 {
		t.Errorf("%d items are stored", n)
	}
}
