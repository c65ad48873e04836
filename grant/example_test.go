package grant_test

import (
	"context"
	"log/slog"
	"os"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/issuertest"
	"github.com/oauth-login/oauth-login/loopback"
)

// A program that logs hears of every token, and at the level Debug of every request.
// What is secret redacts itself, also in lines of its own.
func ExampleClient_logger() {
	iss, err := issuertest.Start(nil)
	if err != nil {
		panic(err)
	}
	defer iss.Close()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: onlyWhatStays}))
	client := &grant.Client{
		Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid"}, AllowInsecureRequests: true,
		Logger: logger,
	}
	token, err := loopback.Login(context.Background(), client, &loopback.Options{Open: iss.Open})
	if err != nil {
		logger.Error("no login", "error", err)
		return
	}
	logger.Info("my own line", "access_token", token.AccessToken, "id_token", token.IDToken)
	// Output:
	// level=INFO msg="token received" client.client_id=test-client grant_type=authorization_code token.type=bearer token.scopes=[openid] token.refreshable=false
	// level=INFO msg="my own line" access_token=[redacted] id_token="id_token [redacted]"
}

// onlyWhatStays leaves out what is different in every run.
func onlyWhatStays(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, "issuer", "expiry":
		return slog.Attr{}
	}
	return a
}
