package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/grant"
)

// The forms of a token for other tools: the values of --format.
const (
	formatRaw            = "raw"
	formatHeader         = "header"
	formatCurl           = "curl"
	formatEnv            = "env"
	formatJSON           = "json"
	formatExecCredential = "exec-credential"
)

const tokenHelp = `Print a valid access token and a newline to standard output. A token that has
expired is refreshed first, and with --refresh any other one, too, for an API
that refuses it. No browser is opened, unless --interactive is given: when a
login is needed, the exit code is 3.

--format says how the token is printed, and wins over --output, which errors
follow:

  raw              the token
  header           Authorization: Bearer TOKEN
  curl             the same for 'curl --config -', as no argument may hold it
  env              export OAUTH_TOKEN='TOKEN', for eval in a shell; see --env
  json             one object, as with --output json
  exec-credential  for kubectl, in the version that KUBERNETES_EXEC_INFO names

  oauth-login token --format curl | curl --config - https://api.example/me
  eval "$(oauth-login token --format env)"

Kubernetes clusters that use OpenID Connect want the ID token. In a kubeconfig:

  users:
  - name: me
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        command: oauth-login
        args: [token, --format, exec-credential, --id-token,
               --issuer, URL, --client-id, ID]
        interactiveMode: IfAvailable`

func (o *options) formatFlags(f *pflag.FlagSet) {
	f.StringVar(&o.format, "format", "", "`FORMAT` of the token: raw, header, curl, env, json or exec-credential; default: raw, or json with --output json")
	o.variableFlag(f)
}

func (o *options) variableFlag(f *pflag.FlagSet) {
	f.StringVar(&o.variable, "env", "OAUTH_TOKEN", "`NAME` of the environment variable that holds the token")
}

// checkFormat finds out what is wrong with the flags before anything is done.
func (p *program) checkFormat(o *options) error {
	switch o.format {
	case "":
		o.format = formatRaw
		if o.output == outputJSON {
			o.format = formatJSON
		}
	case formatRaw, formatHeader, formatCurl, formatJSON:
	case formatEnv:
		return o.checkVariable()
	case formatExecCredential:
		return cmp.Or(o.checkLogin(), p.readExecInfo(o))
	default:
		return usageError("--format is raw, header, curl, env, json or exec-credential, not "+quoted(o.format), "")
	}
	return nil
}

func (o *options) checkVariable() error {
	// What every shell takes for the name of a variable.
	if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(o.variable) {
		return usageError("--env wants the name of an environment variable, not "+quoted(o.variable), "for example --env OAUTH_TOKEN")
	}
	return nil
}

// A credential is the token that the flags ask for.
type credential struct {
	token  grant.Secret
	expiry time.Time
	bound  bool // to a key, so that the token alone is of no use
	json   *tokenJSON
}

func (o *options) credential(token *grant.Token) (*credential, error) {
	if !o.idToken {
		return &credential{token.AccessToken, token.Expiry, isBound(token), newTokenJSON(token)}, nil
	}
	if token.IDToken == nil {
		return nil, &commandError{code: exitFailure, text: "the provider has given no ID token with this login",
			hint: "sign in again with --scope openid; the provider has to speak OpenID Connect"}
	}
	id := token.IDToken
	return &credential{id.Raw, id.Expiry, false, &tokenJSON{IDToken: string(id.Raw), ExpiresAt: expiresAt(id.Expiry)}}, nil
}

// printUnsaved prints a token that could not be saved. In JSON it is in the same
// object as the error.
func (p *program) printUnsaved(o *options, token *grant.Token, err error) error {
	if o.output != outputJSON {
		return errors.Join(p.printToken(o, token), err)
	}
	c, problem := o.credential(token)
	if problem != nil {
		return errors.Join(problem, err)
	}
	return &unsavedToken{c.json, err}
}

// printToken prints a token in the form that --format names.
func (p *program) printToken(o *options, token *grant.Token) error {
	c, err := o.credential(token)
	if err != nil {
		return err
	}
	switch o.format {
	case formatJSON:
		return p.printJSON(c.json)
	case formatExecCredential:
		return p.printExecCredential(o, c)
	case formatHeader, formatCurl:
		if c.bound {
			return needsProof()
		}
	default:
		p.warnOfProof(c)
	}
	_, err = fmt.Fprintln(p.out, o.text(c.token))
	return err
}

// text is the token, which is visible ASCII (RFC 6749, appendix A.12), as a line.
func (o *options) text(token grant.Secret) string {
	const header = "Authorization: Bearer " // RFC 6750, section 2.1
	switch o.format {
	case formatHeader:
		return header + string(token)
	case formatCurl:
		return `header = "` + header + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(token)) + `"`
	case formatEnv:
		return "export " + o.variable + "='" + strings.ReplaceAll(string(token), "'", `'\''`) + "'"
	}
	return string(token)
}

// needsProof is the error of a form that would be of no use (RFC 9449, section
// 7.1).
func needsProof() error {
	return &commandError{code: exitFailure, text: "the token is bound to a key (DPoP), and an API wants a proof of that with every request",
		hint: "programs that use package store send it, with Source.HTTPClient; for other tools, sign in without --dpop"}
}

func (p *program) warnOfProof(c *credential) {
	if c.bound {
		p.warning("the token is bound to a key (DPoP) and is of no use as a bearer token")
		p.hint("an API wants a proof of the key with every request; programs that use package store send it, with Source.HTTPClient")
	}
}

// isBound reports whether an access token is bound to a key (RFC 9449, section 5).
func isBound(token *grant.Token) bool { return token.TokenType == "dpop" }

// tokenJSON has the names of RFC 6749, section 5.1. It holds one of the tokens.
type tokenJSON struct {
	AccessToken string     `json:"access_token,omitempty"`
	TokenType   string     `json:"token_type,omitempty"`
	IDToken     string     `json:"id_token,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	Scopes      []string   `json:"scopes,omitempty"`
}

func newTokenJSON(token *grant.Token) *tokenJSON {
	return &tokenJSON{
		AccessToken: string(token.AccessToken), TokenType: token.TokenType,
		ExpiresAt: expiresAt(token.Expiry), Scopes: token.Scopes,
	}
}

// expiresAt is nil where the provider did not say.
func expiresAt(expiry time.Time) *time.Time {
	if expiry.IsZero() {
		return nil
	}
	return new(expiry.UTC().Truncate(time.Second))
}
