package main

import (
	"cmp"
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// TestEveryPreset signs in to an imitation of each provider with nothing but what
// 'oauth-login providers NAME' says, and then uses the login without any flag
// about the provider.
func TestEveryPreset(t *testing.T) {
	known := imitations()
	for _, preset := range presets() {
		if _, ok := known[preset.Name]; ok == (preset.Unsupported != "") {
			t.Errorf("%s: there is an imitation: %v", preset.Name, ok)
		}
		if refuses := slices.Contains(known[preset.Name].unknownScopes, "offline_access"); refuses != preset.NoOfflineAccess {
			t.Errorf("%s: the imitation refuses offline_access: %v", preset.Name, refuses)
		}
		delete(known, preset.Name)
		if preset.Unsupported != "" {
			continue
		}
		t.Run(preset.Name, func(t *testing.T) { tryPreset(t, &preset) })
	}
	for name := range known {
		t.Errorf("there is an imitation, but no preset, of %s", name)
	}
}

func tryPreset(t *testing.T, preset *preset) {
	opts, spare := imitate(preset), freePort(t)
	opts.Clients[0].RedirectURIs = append(opts.Clients[0].RedirectURIs, (&options{
		redirectHost: cmp.Or(preset.RedirectHost, defaultRedirectHost), callbackPath: cmp.Or(preset.CallbackPath, defaultCallbackPath),
	}).redirectsTo(spare)...)
	provider, err := issuer.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer provider.Close()
	p := newTestProgram(t)
	login := []string{"login", "--provider", preset.Name, "--issuer", provider.URL(), "--client-id", imitatedClient, "--no-browser"}
	if preset.NeedsSecret {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(imitatedSecret), 0o600); err != nil {
			t.Fatal(err)
		}
		login = append(login, "--client-secret-file", file)
	}
	said := p.signIn(t, spare, login...)
	if strings.Contains(said, "warning") || strings.Contains(said, "--audience") != preset.WantsAudience {
		t.Errorf("login:\n%s", said)
	}
	if code := p.run(t.Context(), []string{"token"}); code != exitDone {
		t.Errorf("token: exit code %d\n%s", code, p.stderr)
	}
	refreshed := p.refresh(t)
	if never := imitations()[preset.Name].withoutRefresh; refreshed == never {
		t.Errorf("the token can be refreshed: %v", refreshed)
	}
	p.signIn(t, spare, "login", "--no-browser") // with what is remembered
	if preset.ExactRedirect {
		if code := p.run(t.Context(), []string{"login", "--no-browser", "--port", "0"}); code != exitUsage {
			t.Errorf("login again with any port: exit code %d\n%s", code, p.stderr)
		}
	}
	if code := p.run(t.Context(), []string{"logout"}); code != exitDone {
		t.Errorf("logout: exit code %d\n%s", code, p.stderr)
	}
}

// freePort is one that was free just now.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// signIn runs a login that has to succeed, and returns what it says. Where another
// program of this machine has the ports of the preset, it takes a spare one.
func (p *testProgram) signIn(t *testing.T, spare string, args ...string) string {
	t.Helper()
	for _, more := range [][]string{nil, {"--port", spare}} {
		p.stderr = new(lockedBuffer)
		p.program.err = p.stderr
		code := p.runAndVisit(t.Context(), append(args, more...))
		said := p.stderr.String()
		if code == exitDone {
			return said
		}
		if !strings.Contains(said, "no address to listen on") {
			t.Fatalf("login: exit code %d\n%s", code, said)
		}
	}
	t.Fatal("neither the ports of the preset nor the spare one are free")
	return ""
}

// refresh refreshes the only login, if it has a refresh token.
func (p *testProgram) refresh(t *testing.T) bool {
	t.Helper()
	profiles, err := p.profiles.List()
	if err != nil || len(profiles) != 1 {
		t.Fatal(profiles, err)
	}
	record, err := p.load(t.Context(), profiles[0])
	if err != nil {
		t.Fatal(err)
	}
	if record.Token.RefreshToken == "" {
		return false
	}
	o := &options{
		httpTimeout: time.Minute, ports: anyPort, redirectHost: defaultRedirectHost, callbackPath: defaultCallbackPath,
		given: func(string) bool { return false },
	}
	source, err := p.storedSource(t.Context(), o, profiles[0], record)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return true
}

// TestPresetFor: whoever gives the issuer alone of a provider that has a preset is
// told of that, before anything is sent.
func TestPresetFor(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://github.com":                                    "github",
		"https://Accounts.Google.com/":                          "google",
		"https://login.microsoftonline.com/common/v2.0":         "microsoft",
		"https://dev-1.okta.com":                                "okta",
		"https://dev-1.us.auth0.com/":                           "auth0",
		"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1": "cognito",
		"https://company.my.salesforce.com":                     "salesforce",
		"https://okta.com":                                      "",
		"https://a.b.okta.com":                                  "",
		"https://.okta.com":                                     "",
		"https://github.com.example":                            "",
		"https://sso.company.example/realms/a":                  "",
		"https://company":                                       "",
		"http://127.0.0.1:8080":                                 "",
		"":                                                      "",
		"%":                                                     "",
	} {
		got := ""
		if found := presetFor(issuer); found != nil {
			got = found.Name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", issuer, got, want)
		}
	}
	for _, preset := range presets() {
		if preset.Issuer != "" && presetFor(preset.Issuer).Name != preset.Name {
			t.Errorf("the issuer of %s is taken for one of %s", preset.Name, presetFor(preset.Issuer).Name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for args, told := range map[string]bool{"": true, "--provider gitlab": false} {
		p := newTestProgram(t)
		p.run(ctx, append(strings.Fields(args), "--issuer", "https://gitlab.com", "--client-id", "ID"))
		if said := p.stderr.String(); strings.Contains(said, "hint: --provider gitlab knows the ways of GitLab\n") != told {
			t.Errorf("%q: it says\n%s", args, said)
		}
	}
}
