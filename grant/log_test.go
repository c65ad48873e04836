package grant_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
)

func debugLogger(w *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// TestLogValuers: whatever holds a secret says itself what may be logged of it.
func TestLogValuers(t *testing.T) {
	for _, v := range []any{
		grant.Secret("x"), new(grant.Client), new(grant.Token), grant.Token{}, new(grant.IDToken), new(grant.Userinfo), new(grant.DPoP), new(grant.Flow),
		new(grant.DeviceFlow), new(grant.DeviceAuthorization), new(grant.Registration), new(grant.CallbackParameters), grant.CallbackParameters{},
	} {
		if _, ok := v.(slog.LogValuer); !ok {
			t.Errorf("%T is no slog.LogValuer", v)
		}
	}
}

// TestLogOfDeviceAndRegistration: what happens without a browser of ours is logged
// too, and the codes and secrets of it are not.
func TestLogOfDeviceAndRegistration(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	iss := issuertest.NewWith(t, &issuertest.Options{OpenRegistration: true})
	var log bytes.Buffer
	client := &grant.Client{Issuer: iss.URL, AllowInsecureRequests: true, Scopes: []string{"openid"}, Logger: debugLogger(&log)}
	t.Cleanup(client.CloseIdleConnections)
	registration, err := client.Register(ctx, &grant.ClientMetadata{RedirectURIs: []string{"http://127.0.0.1/callback"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	registration.Apply(client)
	flow, err := client.AuthorizeDevice(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := iss.Open(ctx, flow.VerificationURIComplete); err != nil {
		t.Fatal(err)
	}
	if _, err := flow.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	client.Logger.Info("mine", "flow", flow, "registration", registration)
	text := log.String()
	for _, want := range []string{
		"level=DEBUG msg=request method=POST url=" + iss.URL + "/register took=",
		"level=DEBUG msg=request method=POST url=" + iss.URL + "/device-authorization took=",
		"level=INFO msg=\"token received\" client.issuer=" + iss.URL + " client.client_id=" + registration.ClientID + " grant_type=device_code",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %s:\n%s", want, text)
		}
	}
	secrets := append(iss.Secrets(), string(registration.RegistrationAccessToken), flow.UserCode)
	wantNoSecrets(t, "the log", text, secrets...)
}

// TestLogOfFailures: a request without an answer has a line, and so has a refusal;
// the steps by themselves take a logger with their options.
func TestLogOfFailures(t *testing.T) {
	iss := issuertest.New(t)
	var log bytes.Buffer
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, AllowInsecureRequests: true, Logger: debugLogger(&log)}
	t.Cleanup(client.CloseIdleConnections)
	if _, err := client.Userinfo(t.Context(), &grant.Token{AccessToken: secretAccess}); err == nil {
		t.Error("the token is good")
	}
	unregistered := &grant.Client{Issuer: iss.URL, ClientID: "nobody", AllowInsecureRequests: true, Logger: client.Logger}
	t.Cleanup(unregistered.CloseIdleConnections)
	if err := unregistered.Revoke(t.Context(), secretAccess, ""); err == nil {
		t.Error("the client is registered")
	}
	if err := iss.Close(); err != nil {
		t.Fatal(err)
	}
	opts := &grant.DiscoverOptions{AllowInsecureRequests: true, Logger: client.Logger}
	if _, err := grant.Discover(t.Context(), iss.URL, opts); err == nil {
		t.Error("the issuer is still there")
	}
	text := log.String()
	for _, want := range []string{
		"url=" + iss.URL + "/userinfo took=", " status=401\n", "level=WARN msg=refused", "step=userinfo error=\"userinfo endpoint refused", "step=revocation error=\"revocation endpoint refused with status 400: invalid_client",
		"url=" + iss.URL + "/.well-known/openid-configuration took=", " error=\"GET \\\"" + iss.URL,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %s:\n%s", want, text)
		}
	}
	wantNoSecrets(t, "the log", text, secretAccess)
}
