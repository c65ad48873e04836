package issuertest_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
)

// TestMain is the test, or the program that it runs.
func TestMain(m *testing.M) {
	if issuer := os.Getenv("ISSUERTEST_PROGRAM"); issuer != "" {
		os.Exit(program(issuer, os.Args[1]))
	}
	os.Exit(m.Run())
}

// program shows a URL to sign in at, and then who has signed in.
func program(issuer, clientID string) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := &grant.Client{Issuer: issuer, ClientID: clientID, Scopes: []string{"openid", "email"}, AllowInsecureRequests: true}
	token, err := loopback.Login(ctx, client, &loopback.Options{NoBrowser: true, Notify: func(e loopback.Event) {
		if e.Kind == loopback.AuthorizationURL {
			fmt.Println("open", e.URL)
		}
	}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var claims struct{ Email string }
	if err := token.IDToken.Claims(&claims); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("signed in:", claims.Email)
	return 0
}

// TestProcess: a program that runs by itself shows the URL, and the test is the
// person who opens it.
func TestProcess(t *testing.T) {
	iss := issuertest.NewWith(t, &issuertest.Options{User: "grace", ClientID: "my-cli"})
	cmd := exec.CommandContext(t.Context(), os.Args[0], iss.ClientID)
	cmd.Env = append(cmd.Environ(), "ISSUERTEST_PROGRAM="+iss.URL)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		last = lines.Text()
		if url, ok := strings.CutPrefix(last, "open "); ok {
			if err := iss.Open(t.Context(), url); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || last != "signed in: grace@example.com" {
		t.Errorf("%v, and the last line is %q", err, last)
	}
}
