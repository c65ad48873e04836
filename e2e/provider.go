package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// object is a piece of JSON in oidc-provider's own words: client metadata, a feature, the whole configuration.
type object = map[string]any

// nativeClient is the metadata of a public client as RFC 8252 describes it: its redirect URIs have no port, so any port will do.
func nativeClient() object {
	return object{
		"client_id":                  "native",
		"application_type":           "native",
		"token_endpoint_auth_method": "none",
		"grant_types":                []string{"authorization_code", "refresh_token"},
		"redirect_uris": []string{
			"http://127.0.0.1/callback",
			"http://localhost/callback",
			"http://[::1]/callback",
		},
	}
}

// providerConfig configures a provider before it starts.
type providerConfig struct {
	// Configuration is merged over the configuration in provider.mjs, by oidc-provider's names. Its default is nativeClient alone.
	Configuration object
	Behavior      behavior

	// AlwaysRefresh issues a refresh token with every grant, as many providers do. Otherwise it takes the scope offline_access together
	// with prompt=consent (OpenID Connect Core 1.0, section 11).
	AlwaysRefresh bool
	// Resources are the resource indicators that may be asked for.
	Resources []string
	// TLS makes it an https issuer, and MutualTLS adds endpoints for clients with a certificate, which may come from the same authority.
	TLS       *authority
	MutualTLS bool
	// DPoPNonces refuses DPoP proofs without a nonce of the provider.
	DPoPNonces bool
}

// behavior is how a provider answers. Fields that are zero leave what was there before.
type behavior struct {
	Delay          int            `json:"delay,omitempty"`          // milliseconds before every request is looked at
	Hold           int            `json:"hold,omitempty"`           // milliseconds from the effect of a token request to its answer
	AccessTokenTTL int            `json:"accessTokenTTL,omitempty"` // seconds, for tokens that are issued from now on
	Answers        []cannedAnswer `json:"answers,omitempty"`
}

// A cannedAnswer stands in for the provider's own answer to the next Times requests for Path.
type cannedAnswer struct {
	Path    string            `json:"path"`
	Times   int               `json:"times"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body"`
}

// provider is a running oidc-provider.
type provider struct {
	Issuer  string
	control string
}

// startProvider starts an oidc-provider and stops it when the test ends.
func startProvider(t *testing.T, config providerConfig) *provider {
	t.Helper()
	if config.Configuration == nil {
		config.Configuration = object{}
	}
	if config.Configuration["clients"] == nil {
		config.Configuration = maps.Clone(config.Configuration)
		config.Configuration["clients"] = []object{nativeClient()}
	}
	settings, err := json.Marshal(object{
		"configuration": config.Configuration, "behavior": config.Behavior, "alwaysRefresh": config.AlwaysRefresh,
		"resources": config.Resources, "tls": config.TLS.server(t),
		"mutualTLS": config.MutualTLS, "dpopNonces": config.DPoPNonces,
	})
	if err != nil {
		t.Fatal(err)
	}

	var stderr bytes.Buffer
	cmd := exec.Command("node", "provider.mjs")
	cmd.Dir = "provider"
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the provider (setup.sh installs what it needs): %v", err)
	}
	t.Cleanup(func() { stop(t, cmd, stdin) })

	if _, err := stdin.Write(append(settings, '\n')); err != nil {
		t.Fatalf("configuring the provider: %v", err)
	}
	p, err := announced(stdout)
	if err != nil {
		t.Fatalf("provider did not start: %v\n%s", err, &stderr)
	}
	return p
}

// announced reads the line that says where the provider is. oidc-provider prints warnings of its own before it.
func announced(stdout io.Reader) (*provider, error) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "{") {
			continue
		}
		var line struct{ Issuer, Control string }
		err := json.Unmarshal(lines.Bytes(), &line)
		return &provider{Issuer: line.Issuer, control: line.Control}, err
	}
	return nil, io.ErrUnexpectedEOF
}

// stop closes the standard input of a process, which is its sign to end, and kills it if it does not.
func stop(t *testing.T, cmd *exec.Cmd, stdin io.Closer) {
	t.Helper()
	stdin.Close()
	timer := time.AfterFunc(5*time.Second, func() {
		t.Errorf("%s did not end by itself", cmd.Path)
		cmd.Process.Kill()
	})
	cmd.Wait()
	timer.Stop()
}

// A request is one that the provider has received. Status is 0 until it has had its effect.
type request struct {
	Method     string
	Path       string
	Status     int
	Headers    map[string]string
	Parameters map[string]any // of the query and the body
}

// requests returns what the provider has been asked since it started, in order of arrival.
func (p *provider) requests(t *testing.T) []request {
	t.Helper()
	var all []request
	p.ask(t, http.MethodGet, "/requests", nil, &all)
	return all
}

// count returns how many requests the provider has received for path.
func (p *provider) count(t *testing.T, path string) int {
	t.Helper()
	n := 0
	for _, r := range p.requests(t) {
		if r.Path == path {
			n++
		}
	}
	return n
}

// grants returns the grant types of the token requests so far, in order.
func (p *provider) grants(t *testing.T) []string {
	t.Helper()
	var types []string
	for _, r := range p.requests(t) {
		if r.Path == "/token" {
			types = append(types, fmt.Sprint(r.Parameters["grant_type"]))
		}
	}
	return types
}

// A token is a code or token that the provider has issued and that it still knows.
type token struct {
	Kind      string // AuthorizationCode, AccessToken, RefreshToken, DeviceCode
	ClientID  string
	AccountID string
	Scope     string
	Consumed  bool // used up: a code after its exchange, a refresh token after its rotation
}

// usable returns the tokens of a kind that the provider would accept.
func (p *provider) usable(t *testing.T, kind string) []token {
	t.Helper()
	var all []token
	p.ask(t, http.MethodGet, "/tokens", nil, &all)
	return slices.DeleteFunc(all, func(k token) bool { return k.Kind != kind || k.Consumed })
}

// behave changes how the provider answers from now on.
func (p *provider) behave(t *testing.T, b behavior) {
	t.Helper()
	p.ask(t, http.MethodPut, "/behavior", b, new(object))
}

// userinfo asks for the claims of the token's user and returns the status and the subject.
func (p *provider) userinfo(t *testing.T, accessToken string) (status int, subject string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Issuer+"/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var claims struct{ Sub string }
	if err := json.NewDecoder(resp.Body).Decode(&claims); err != nil {
		t.Fatalf("userinfo answered %s: %v", resp.Status, err)
	}
	return resp.StatusCode, claims.Sub
}

func (p *provider) ask(t *testing.T, method, path string, body, answer any) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, p.control+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}
