package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/oauth-login/oauth-login/store"
)

const dockerHelp = `Answer docker, and whatever else uses its credential helpers, when it asks for
the password of a registry: the access token, for the hosts that --for-host
names and for no other. docker runs its helpers without flags, so give it a
program of such a name on PATH:

  #!/bin/sh
  # docker-credential-example
  exec oauth-login docker-credential --for-host registry.example \
    --issuer URL --client-id ID "$@"

and name it in ~/.docker/config.json:

  {"credHelpers": {"registry.example": "example"}}

'get' prints a token that is valid, refreshing it first where it has to, and
'list' the hosts. No browser is opened, unless --interactive is given. 'store',
which is 'docker login', is refused, as the login is here; 'erase', which is
'docker logout', leaves it to 'oauth-login logout'.`

func (p *program) dockerCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "docker-credential get|store|erase|list",
		Short: "Answer docker when it asks for the password of a registry",
		Long:  dockerHelp,
		Args:  oneOperation,
		RunE: func(c *cobra.Command, args []string) error {
			p.ownWords = true
			err := p.dockerCredential(c.Context(), o, args[0])
			if err != nil {
				fmt.Fprintln(p.out, dockerWords(err)) // docker shows this, and knows the one
			}
			return err
		},
	}
	o.helperFlags(command.Flags())
	return command
}

// errNoCredentials is what docker takes for "there are none" and not for a failure.
var errNoCredentials = errors.New("credentials not found in native keychain")

func dockerWords(err error) string {
	if errors.Is(err, store.ErrLoginRequired) {
		err = errNoCredentials
	}
	return printable(err.Error())
}

// dockerCredential does one operation of the protocol of docker-credential-helpers.
func (p *program) dockerCredential(ctx context.Context, o *options, operation string) error {
	if err := o.checkHosts(); err != nil {
		return err
	}
	switch operation {
	case "get":
		return p.answerDocker(ctx, o)
	case "list":
		return p.listForDocker(ctx, o)
	case "store":
		return &commandError{code: exitUsage, text: "oauth-login keeps the login of this registry itself", hint: "sign in with 'oauth-login'; 'docker login' is not needed"}
	case "erase":
		p.say("The login stays; 'oauth-login logout' revokes and deletes it")
		return nil
	}
	return usageError("docker-credential has no operation "+quoted(operation), "")
}

// A dockerCredentials is what a helper answers.
type dockerCredentials struct {
	ServerURL string
	Username  string
	Secret    string
}

func (p *program) answerDocker(ctx context.Context, o *options) error {
	data, err := p.readInput(ctx, "-")
	if err != nil {
		return err
	}
	server := strings.TrimSpace(string(data))
	if !o.meantFor(registryHost(server)) {
		return &commandError{code: exitRefused, err: errNoCredentials, text: errNoCredentials.Error(),
			hint: "the token is not meant for " + quoted(server) + "; --for-host names the hosts"}
	}
	c, unsaved, err := p.passwordFor(ctx, o)
	if err != nil {
		return err
	}
	if unsaved != nil {
		p.warning("the new token could not be saved: %v", unsaved)
	}
	return p.printJSON(dockerCredentials{server, o.username, string(c.token)})
}

// registryHost is the host of what docker calls the URL of a server and may be a
// host alone, "" for one that is not reached over https.
func registryHost(server string) string {
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return ""
	}
	return u.Host
}

// listForDocker names the hosts, if somebody is signed in.
func (p *program) listForDocker(ctx context.Context, o *options) error {
	names := map[string]string{}
	_, _, err := p.signedIn(ctx, o)
	if err != nil && !errors.Is(err, store.ErrLoginRequired) {
		return err
	}
	for _, host := range o.hosts {
		if err == nil {
			names[host] = o.username
		}
	}
	return p.printJSON(names)
}
