package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestKubectl has the real kubectl get its credential from the command, in both versions of the exchange, and show it to a cluster.
func TestKubectl(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	c := newCommand(t, startKeyring(t))
	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)
	access, id := c.run(t, "token"), c.run(t, "token", "--id-token")
	for _, version := range execVersions(t) {
		for flag, want := range map[string]string{"--id-token": id.stdout, "--id-token=false": access.stdout} {
			t.Run(version+flag, func(t *testing.T) {
				cluster := startCluster(t)
				stdout, stderr, err := cluster.kubectl(t, c, version, "token", "--format", "exec-credential", "--issuer", p.Issuer, flag)
				if err != nil || !strings.Contains(stdout, cluster.version()) {
					t.Fatalf("%v\n%s%s", err, stdout, stderr)
				}
				if shown := cluster.credentials(); len(shown) == 0 || shown[len(shown)-1] != "Bearer "+strings.TrimSpace(want) {
					t.Errorf("the cluster was shown %d credentials, the last of which is not the token", len(shown))
				}
				if strings.Contains(stdout+stderr, strings.TrimSpace(want)) {
					t.Error("kubectl shows the token")
				}
			})
		}
	}
	c.run(t, "logout").expect(t, exitDone)
	cluster := startCluster(t)
	_, stderr, err := cluster.kubectl(t, c, "v1beta1", "token", "--format", "exec-credential", "--interactive", "--issuer", p.Issuer, "--client-id", "native")
	if err == nil || !strings.Contains(stderr, "login required") || len(cluster.credentials()) != 0 {
		t.Errorf("without a login: %v, %s", err, stderr)
	}
}

// execVersions are the versions of the exchange that the kubectl here knows. The second came with 1.22.
func execVersions(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("kubectl", "version", "--client", "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		ClientVersion struct{ Minor string }
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	minor, err := strconv.Atoi(strings.TrimRight(answer.ClientVersion.Minor, "+"))
	if err != nil {
		t.Fatal(err)
	}
	if minor < 22 {
		t.Logf("kubectl 1.%d knows v1beta1 alone", minor)
		return []string{"v1beta1"}
	}
	return []string{"v1beta1", "v1"}
}

// A cluster is an API server that knows its version, and nothing else.
type cluster struct {
	url string
	ca  []byte

	mu    sync.Mutex
	shown []string // the credentials
}

// credentials are those that the cluster was shown.
func (c *cluster) credentials() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	a := newAuthority(t)
	certificate, err := tls.X509KeyPair(a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{ca: a.cert}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.shown = append(c.shown, r.Header.Get("Authorization"))
		c.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"major":"1","minor":"32","gitVersion":%q}`, c.version())
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *cluster) version() string { return "v1.32.0-e2e" }

// kubectl asks the cluster for its version with a kubeconfig that names the command as its plugin.
func (c *cluster) kubectl(t *testing.T, plugin *command, version string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	execution := object{"apiVersion": "client.authentication.k8s.io/" + version, "command": plugin.path, "args": args, "interactiveMode": "Never"}
	config, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "e2e",
		"clusters": []object{{"name": "e2e", "cluster": object{"server": c.url, "certificate-authority-data": base64.StdEncoding.EncodeToString(c.ca)}}},
		"contexts": []object{{"name": "e2e", "context": object{"cluster": "e2e", "user": "e2e"}}},
		"users":    []object{{"name": "e2e", "user": object{"exec": execution}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "kubectl", "--kubeconfig", file, "get", "--raw", "/version")
	cmd.Env = append(plugin.env, "NO_PROXY=*")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
