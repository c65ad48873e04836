package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

const gitHelp = `Answer git when it asks for a password: the access token, for the hosts that
--for-host names and for no other, and over https alone. In a configuration of
git:

  [credential "https://git.example"]
      helper =
      helper = "!oauth-login git-credential --for-host git.example \
                --issuer URL --client-id ID"

'get' prints a token that is valid, refreshing it first where it has to. No
browser is opened, unless --interactive is given. 'erase', with which git says
that the token was refused, replaces the token and keeps the login. 'store' does
nothing. A git that knows more than passwords (2.46) gets a bearer token for a
server that wants one and no password.`

func (p *program) gitCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "git-credential get|store|erase",
		Short: "Answer git when it asks for a password",
		Long:  gitHelp,
		Args:  oneOperation,
		RunE: func(c *cobra.Command, args []string) error {
			p.ownWords = true
			return p.gitCredential(c.Context(), o, args[0])
		},
	}
	o.helperFlags(command.Flags())
	return command
}

// gitCredential does one operation of a credential helper, as gitcredentials(7)
// has them. Others are left alone.
func (p *program) gitCredential(ctx context.Context, o *options, operation string) error {
	if operation != "get" && operation != "erase" {
		return nil
	}
	if err := o.checkHosts(); err != nil {
		return err
	}
	p.unattended = slices.Contains([]string{"0", "false", "no", "off"}, strings.ToLower(p.getenv("GIT_TERMINAL_PROMPT")))
	request, err := p.readGitRequest(ctx)
	if err != nil {
		return err
	}
	switch meant := o.meantFor(request.host); {
	case !meant:
		p.detail(o, "the token is not for %s", request.host)
		return nil // another helper may know
	case request.protocol != "https":
		p.warning("git gets no token for %s over %s, as everybody on the way could read it", request.host, request.protocol)
		return nil
	case operation == "erase":
		return p.replaceRefused(ctx, o, request.secret)
	}
	return p.answerGit(ctx, o, request)
}

// A gitRequest is what git says of the credential that it wants, or does not want
// any more, in attributes of git-credential(1).
type gitRequest struct {
	protocol, host, username string
	secret                   string // the password or credential that git has
	authtype                 bool   // git knows more than passwords
	challenges               []string
}

// readGitRequest reads lines until one is empty.
func (p *program) readGitRequest(ctx context.Context) (*gitRequest, error) {
	data, err := interruptible(ctx, func() ([]byte, error) { return readAttributes(p.in) })
	if err != nil {
		return nil, err
	}
	request := new(gitRequest)
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok {
			return nil, usageError("standard input has a line that is no attribute of a credential", "git asks for credentials; 'oauth-login token' prints the token")
		}
		request.set(name, value)
	}
	return request, nil
}

func readAttributes(in io.Reader) (data []byte, err error) {
	lines := bufio.NewScanner(io.LimitReader(in, maxInput))
	lines.Buffer(nil, maxInput)
	for lines.Scan() && lines.Text() != "" {
		data = append(append(data, lines.Bytes()...), '\n')
	}
	return data, lines.Err()
}

// set takes in one attribute. Those that are not known are to be left alone. An
// empty value of a list empties it.
func (r *gitRequest) set(name, value string) {
	switch name {
	case "protocol":
		r.protocol = value
	case "host":
		r.host = value
	case "username":
		r.username = value
	case "password", "credential":
		r.secret = value
	case "capability[]":
		r.authtype = value != "" && (r.authtype || value == "authtype")
	case "wwwauth[]":
		if value == "" {
			r.challenges = nil
		} else {
			r.challenges = append(r.challenges, value)
		}
	}
}

// The schemes of a challenge (RFC 9110, section 11.6.1), which may stand behind
// another one.
func basicChallenge() *regexp.Regexp  { return regexp.MustCompile(`(?i)(^|, *)Basic( |$)`) }
func bearerChallenge() *regexp.Regexp { return regexp.MustCompile(`(?i)(^|, *)Bearer( |,|$)`) }

// wantsBearer reports whether the token is to go as what it is (RFC 6750, section
// 2.1). Most servers take it as a password, and some of them take it no other way.
func (r *gitRequest) wantsBearer() bool {
	return r.authtype && slices.ContainsFunc(r.challenges, bearerChallenge().MatchString) &&
		!slices.ContainsFunc(r.challenges, basicChallenge().MatchString)
}

func (p *program) answerGit(ctx context.Context, o *options, request *gitRequest) error {
	c, unsaved, err := p.passwordFor(ctx, o)
	if err != nil {
		return err
	}
	var answer strings.Builder
	if request.wantsBearer() {
		fmt.Fprintf(&answer, "capability[]=authtype\nauthtype=Bearer\ncredential=%s\nephemeral=1\n", string(c.token))
	} else {
		username := request.username
		if username == "" {
			username = o.username
		}
		fmt.Fprintf(&answer, "username=%s\npassword=%s\n", username, string(c.token))
	}
	if !c.expiry.IsZero() {
		fmt.Fprintf(&answer, "password_expiry_utc=%d\n", c.expiry.Unix())
	}
	if _, err := io.WriteString(p.out, answer.String()); err != nil {
		return err
	}
	return unsaved
}
