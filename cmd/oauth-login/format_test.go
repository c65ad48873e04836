package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

// awkward are tokens that RFC 6749, appendix A.12, allows, with all that shells and
// curl give a meaning to.
var awkward = []grant.Secret{
	"plain", `it's "quoted"`, `'`, `''$(touch x)'`, "`touch x`", `$HOME ${HOME} \n \\ \' \"`, `! # % & * ; < > ? | ~ [a] {b,c}`, `back\`, ` a  b `, `#`,
}

// TestEnvIsSafeInAShell has a real shell read what --format env prints.
func TestEnvIsSafeInAShell(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh")
	}
	for _, token := range awkward {
		line := (&options{format: formatEnv, variable: "OAUTH_TOKEN"}).text(token)
		script := `eval "$1"; sh -c 'printf %s "$OAUTH_TOKEN"'; ls -A`
		cmd := exec.Command("sh", "-c", script, "sh", line)
		cmd.Dir = t.TempDir()
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != string(token) {
			t.Errorf("%s: %q, %v", line, out, err)
		}
	}
}

// TestCurlReadsItsConfig has a real curl read what --format curl prints, where
// there is one.
func TestCurlReadsItsConfig(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	var got string
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	defer api.Close()
	for _, token := range awkward {
		got = ""
		cmd := exec.Command(curl, "-q", "--noproxy", "*", "--silent", "--show-error", "--config", "-", api.URL)
		cmd.Stdin = strings.NewReader((&options{format: formatCurl}).text(token) + "\n")
		if out, err := cmd.CombinedOutput(); err != nil || got != strings.TrimSpace("Bearer "+string(token)) {
			t.Errorf("%q: sent %q, %v %s", string(token), got, err, out)
		}
	}
}

// TestExecInfo: what a client of Kubernetes says of itself, and what it is told.
func TestExecInfo(t *testing.T) {
	const v1, beta = execV1, execV1Beta1
	for _, tt := range []struct {
		info, version           string
		interactive, unattended bool
	}{
		{"", beta, true, false},
		{`{"kind":"ExecCredential","apiVersion":"` + v1 + `","spec":{"interactive":true}}`, v1, true, false},
		{`{"kind":"ExecCredential","apiVersion":"` + v1 + `","spec":{"interactive":false,"cluster":{"server":"https://x"}}}`, v1, false, true},
		{`{"kind":"ExecCredential","apiVersion":"` + beta + `","spec":{}}`, beta, true, false},
		{`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1alpha1"}`, "", true, false},
		{`{"kind":"Pod","apiVersion":"` + v1 + `"}`, "", true, false},
		{`null`, "", true, false},
		{`{`, "", true, false},
	} {
		p := &program{getenv: func(string) string { return tt.info }}
		o := &options{format: formatExecCredential, interactive: true, given: func(flag string) bool { return flag == "issuer" }}
		if err := p.checkFormat(o); (err != nil) != (tt.version == "") {
			t.Errorf("%s: %v", tt.info, err)
		} else if err == nil && (o.apiVersion != tt.version || o.interactive != tt.interactive || p.unattended != tt.unattended) {
			t.Errorf("%s: %s, interactive %t, unattended %t", tt.info, o.apiVersion, o.interactive, p.unattended)
		}
	}
}

// TestExecCredentialHasNoOtherMember: clients decode it strictly.
func TestExecCredentialHasNoOtherMember(t *testing.T) {
	var out bytes.Buffer
	p := &program{out: &out}
	if err := p.printExecCredential(&options{apiVersion: execV1}, &credential{token: "t"}); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"apiVersion": execV1, "kind": "ExecCredential", "spec": map[string]any{}, "status": map[string]any{"token": "t"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it prints %v", got)
	}
}
