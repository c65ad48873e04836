package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker-credential-helpers/client"
	docker "github.com/docker/docker-credential-helpers/credentials"
)

// TestDocker has the client of docker itself ask a helper that is the script of the command's help.
func TestDocker(t *testing.T) {
	p := startProvider(t, providerConfig{AlwaysRefresh: true})
	c := newCommand(t, startKeyring(t))
	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)
	env := map[string]string{}
	for _, variable := range c.env {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	script := "#!/bin/sh\nexec '" + c.path + "' docker-credential --for-host registry.example --issuer '" + p.Issuer + "' --client-id native \"$@\"\n"
	name := filepath.Join(t.TempDir(), "docker-credential-e2e")
	if err := os.WriteFile(name, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	helper := client.NewShellProgramFuncWithEnv(name, &env)

	found, err := client.Get(helper, "registry.example")
	if err != nil || found.Secret != strings.TrimSpace(c.run(t, "token").stdout) || found.Username != "oauth2" {
		t.Errorf("the client has not got the token: %v", err)
	}
	if _, err := client.Get(helper, "other.example"); !docker.IsErrCredentialsNotFound(err) {
		t.Errorf("another registry: %v", err)
	}
	if names, err := client.List(helper); err != nil || len(names) != 1 || names["registry.example"] != "oauth2" {
		t.Errorf("list: %v, %v", names, err)
	}
	if err := client.Store(helper, &docker.Credentials{ServerURL: "registry.example", Username: "me", Secret: "hunter2"}); err == nil {
		t.Error("docker was told that it has stored a password")
	}
	if err := client.Erase(helper, "registry.example"); err != nil {
		t.Errorf("erase: %v", err)
	}
	c.run(t, "logout").expect(t, exitDone)
	if _, err := client.Get(helper, "registry.example"); !docker.IsErrCredentialsNotFound(err) {
		t.Errorf("without a login: %v", err)
	}
}
