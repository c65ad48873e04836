// Command barelogin signs in with as little as there is to it: metadata, unless they are given, the redirect, the token request, and with
// SAVE=1 one write to the keychain. It checks nothing. It is the limit for what oauth-login takes beside the person.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/zalando/go-keyring"
)

type metadata struct {
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
}

func main() {
	if err := login(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func login(issuer, clientID string, endpoints []string) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var as metadata
	if len(endpoints) == 2 {
		as = metadata{endpoints[0], endpoints[1]}
	} else if err := fetch(issuer+"/.well-known/openid-configuration", &as); err != nil {
		return err
	}
	verifier, redirectURI := rand.Text()+rand.Text(), "http://"+listener.Addr().String()+"/callback"
	challenge := sha256.Sum256([]byte(verifier))
	fmt.Fprintln(os.Stderr, as.AuthorizationEndpoint+"?"+url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirectURI}, "scope": {"openid"}, "state": {rand.Text()},
		"nonce": {rand.Text()}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	done := make(chan error, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done <- redeem(as.TokenEndpoint, url.Values{
			"grant_type": {"authorization_code"}, "code": {r.FormValue("code")}, "redirect_uri": {redirectURI}, "client_id": {clientID},
			"code_verifier": {verifier},
		})
		fmt.Fprintln(w, "signed in")
	})}
	go server.Serve(listener)
	err = <-done
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(ctx))
}

func fetch(address string, into any) error {
	resp, err := http.Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

func redeem(endpoint string, form url.Values) error {
	resp, err := http.PostForm(endpoint, form)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %v", resp.StatusCode, err)
	}
	if os.Getenv("SAVE") == "" {
		return nil
	}
	return keyring.Set("barelogin", endpoint, string(body))
}
