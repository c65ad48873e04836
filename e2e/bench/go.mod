module github.com/oauth-login/oauth-login/e2e/bench

go 1.26.0

require (
	github.com/coreos/go-oidc/v3 v3.21.0 // what verifying an ID token is compared with
	github.com/go-jose/go-jose/v4 v4.1.9 // signs the token
	github.com/oauth-login/oauth-login v0.0.0
)

require golang.org/x/oauth2 v0.38.0 // indirect

replace github.com/oauth-login/oauth-login => ../..
