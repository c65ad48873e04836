package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDoctor examines a provider and a keychain that are real: it finds nothing, and leaves nothing behind.
func TestDoctor(t *testing.T) {
	p := startProvider(t, providerConfig{})
	k := startKeyring(t)
	c := newCommand(t, k)
	items := k.items(t)
	r := c.run(t, "doctor", "--issuer", p.Issuer)
	if r.code != exitDone || strings.Contains(r.stdout, "problem ") || !strings.Contains(r.stdout, "the keychain (Secret Service): written in ") {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if left := k.items(t); left != items {
		t.Errorf("%d items in the keychain, there were %d", left, items)
	}
	if len(p.requests(t)) == 0 {
		t.Error("the provider was not asked")
	}
}

// TestDoctorEnds within seconds, also where the keychain does not answer or is locked, and says so.
func TestDoctorEnds(t *testing.T) {
	for _, trouble := range []struct {
		name  string
		cause func(t *testing.T, k *keyring)
		says  string
	}{
		{"locked", func(t *testing.T, k *keyring) { k.lock(t) }, "problem  keychain  Secret Service is locked"},
		{"stopped daemon", func(t *testing.T, k *keyring) { k.suspend(t) }, "problem  keychain  Secret Service does not answer"},
		{"no service", func(t *testing.T, k *keyring) { k.stop() }, "problem  keychain  Secret Service is not there"},
	} {
		t.Run(trouble.name, func(t *testing.T) {
			k := startKeyring(t)
			c := newCommand(t, k)
			trouble.cause(t, k)
			start := time.Now()
			r := c.run(t, "doctor")
			if took := time.Since(start); took > 8*time.Second {
				t.Errorf("it took %v", took)
			}
			if r.code != 1 || !strings.Contains(r.stdout, trouble.says) || !strings.Contains(r.stdout, " fix: ") {
				t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
			}
		})
	}
}

// TestTrace signs in with everything that FAPI 2.0 has, at a provider that others have written, and finds nothing of what the provider
// was sent in the trace but what is harmless.
func TestTrace(t *testing.T) {
	ca := newAuthority(t)
	key, keys := newKey(t)
	p := fapiProvider(t, ca, keys)
	c := newCommand(t, startKeyring(t))
	trace := filepath.Join(t.TempDir(), "trace")
	running := c.start(t, login(p, "--fapi2", "--jar", "--response-mode", "jwt", "--client-key", writeFile(t, "key.pem", privatePEM(t, key)),
		"--ca-cert", ca.file(t), "--no-browser", "--trace", trace)...)
	get(t, signInWith(t, ca.transport(t), running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	harmless := []string{"client_id", "client_assertion_type", "grant_type", "redirect_uri", "scope", "response_type", "response_mode", "code_challenge_method", "prompt"}
	secrets := 0
	for _, r := range p.requests(t) {
		values := []string{r.Headers["dpop"], r.Headers["authorization"]}
		for name, value := range r.Parameters {
			if !slices.Contains(harmless, name) {
				values = append(values, fmt.Sprint(value))
			}
		}
		for _, value := range values {
			if len(value) < 12 {
				continue
			}
			if secrets++; strings.Contains(string(data), value) {
				t.Errorf("the trace has a value of a request to %s", r.Path)
			}
		}
	}
	if secrets < 6 || !strings.Contains(string(data), "the redirect that arrived: ?response=sha256:") {
		t.Errorf("only %d values were looked for in\n%s", secrets, data)
	}
}
