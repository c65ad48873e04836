package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/grant"
)

func (o *options) userFlag(f *pflag.FlagSet) {
	f.StringVar(&o.expectUser, "expect-user", "", "`WHO` has to be signed in: the exact email address, user name or subject; anybody else is refused")
}

// An accountClaims names an account (OpenID Connect Core 1.0, section 5.1).
type accountClaims struct {
	Email    string `json:"email"`
	Username string `json:"preferred_username"`
	Name     string `json:"name"`
}

func claimsOf(token *grant.Token) (claims accountClaims) {
	if token.IDToken == nil || token.IDToken.Claims(&claims) != nil {
		return accountClaims{}
	}
	return claims
}

// account is the name by which the person knows the account, "" when nothing
// but the subject is known.
func account(token *grant.Token) string {
	claims := claimsOf(token)
	for _, name := range []string{claims.Email, claims.Username, claims.Name} {
		if name != "" {
			return name
		}
	}
	return ""
}

func who(token *grant.Token) string {
	switch name := account(token); {
	case token.IDToken == nil:
		return ""
	case name == "":
		return " as " + token.IDToken.Subject
	default:
		return " as " + name + " (" + token.IDToken.Subject + ")"
	}
}

// errOtherUser is in the errors of checkUser.
var errOtherUser = errors.New("not the user that --expect-user names")

// checkUser refuses another account than --expect-user names, whether it was chosen
// by mistake or is stored. The subject alone is sure to stay the same person's
// (section 5.7).
func (o *options) checkUser(token *grant.Token) error {
	if o.expectUser == "" {
		return nil
	}
	if token.IDToken == nil {
		return &commandError{code: exitRefused, err: errOtherUser, text: "the provider does not say who is signed in, which --expect-user wants to know",
			hint: "sign in with --scope openid, or leave --expect-user out"}
	}
	claims := claimsOf(token)
	if slices.Contains([]string{token.IDToken.Subject, claims.Email, claims.Username}, o.expectUser) {
		return nil
	}
	return &commandError{code: exitRefused, err: errOtherUser, text: "signed in" + who(token) + ", and not as " + o.expectUser,
		hint: "sign in with the right account: --prompt select_account has the provider ask for it"}
}

// forget ends tokens that nobody will use. That is a courtesy: they are lost, and
// the page in the browser waits for it.
func forget(ctx context.Context, client *grant.Client, token *grant.Token) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_ = revoke(ctx, client, token)
}
