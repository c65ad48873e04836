package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/grant"
)

func (o *options) userFlag(f *pflag.FlagSet) {
	f.StringVar(&o.expectUser, "expect-user", "", "`WHO` has to be signed in: the exact subject, user name or verified email address; anybody else is refused")
}

// An accountClaims names an account (OpenID Connect Core 1.0, section 5.1).
type accountClaims struct {
	Email    string `json:"email"`
	Verified any    `json:"email_verified"` // true, and "true" at some providers
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
// (section 5.7). At many providers people can call themselves what they like: so an
// address counts only if the provider says that it has verified it (section 5.1).
func (o *options) checkUser(token *grant.Token) error {
	if o.expectUser == "" {
		return nil
	}
	if token.IDToken == nil {
		return &commandError{code: exitRefused, err: errOtherUser, text: "the provider does not say who is signed in, which --expect-user wants to know",
			hint: "sign in with --scope openid, or leave --expect-user out"}
	}
	claims := claimsOf(token)
	if o.expectUser == token.IDToken.Subject || claims.proves(o.expectUser) {
		return nil
	}
	if o.expectUser == claims.Email || o.expectUser == claims.Username {
		return &commandError{code: exitRefused, err: errOtherUser,
			text: "signed in" + who(token) + ", but the provider does not say that it has verified this address",
			hint: "if that is the right account, name its subject: --expect-user " + shellWord(token.IDToken.Subject)}
	}
	return &commandError{code: exitRefused, err: errOtherUser, text: "signed in" + who(token) + ", and not as " + o.expectUser,
		hint: "sign in with the right account; 'oauth-login login --prompt select_account' has the provider ask for it"}
}

// proves reports whether the claims are those of the account with a name.
func (c accountClaims) proves(name string) bool {
	if strings.Contains(name, "@") {
		return name == c.Email && (c.Verified == true || c.Verified == "true")
	}
	return name == c.Username
}

// forget ends tokens that nobody will use. That is a courtesy: they are lost, and
// the page in the browser waits for it.
func forget(ctx context.Context, client *grant.Client, token *grant.Token) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_ = revoke(ctx, client, token)
}
