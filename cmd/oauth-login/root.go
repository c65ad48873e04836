package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const longHelp = `Sign in to an OAuth 2.0 or OpenID Connect provider with the browser. The tokens
go into the keychain of the operating system, or where --store says.

The three commands that most people need:

  oauth-login --issuer https://issuer.example --client-id my-cli
  oauth-login token
  oauth-login logout

No account yet? 'oauth-login demo' signs in to a provider of its own.`

// commandFor builds the tree of verbs, as far as the arguments need it: verbs that
// programs call all day are quicker without the others.
func (p *program) commandFor(args []string, o *options) *cobra.Command {
	if verb := p.quickVerb(args, o); verb != nil {
		root := p.bareCommand(o)
		root.AddCommand(verb)
		return root
	}
	root := p.rootCommand(o)
	if isCompletion(args) {
		p.offerValues(root, o)
	}
	return root
}

// quickVerb builds the verb that comes first, if it is one of those.
func (p *program) quickVerb(args []string, o *options) *cobra.Command {
	if len(args) == 0 {
		return nil
	}
	switch args[0] {
	case "version":
		return p.versionVerb(o)
	case "token":
		return p.tokenVerb(o)
	case "exec":
		return p.execCommand(o)
	case "git-credential":
		return p.gitCommand(o)
	case "docker-credential":
		return p.dockerCommand(o)
	}
	return nil
}

// rootCommand builds the tree of verbs. Without a verb, the command signs in.
func (p *program) rootCommand(o *options) *cobra.Command {
	root := p.bareCommand(o)
	o.loginFlags(root.Flags())
	root.AddCommand(p.verbs(o, root.RunE)...)
	refuseNonsense(root)
	return root
}

// bareCommand is the root with what all verbs share.
func (p *program) bareCommand(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:               "oauth-login",
		Short:             "Sign in from a terminal",
		Long:              longHelp,
		Args:              noArguments,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // completionCommand is ours
		RunE:              func(c *cobra.Command, _ []string) error { return p.login(c.Context(), o) },
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetFlagErrorFunc(wrongFlag)
	p.setHelp(root)
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		o.given = c.Flags().Changed
		if err := p.applyEnvironment(c.Flags(), o); err != nil {
			return err
		}
		if err := o.resolve(); err != nil {
			return err
		}
		return p.traceTo(o, c.CommandPath())
	}
	root.PersistentFlags().StringVar(&o.output, "output", outputText, "`format` of what goes to standard output: text or json")
	root.PersistentFlags().StringVar(&o.events, "events", "", "`FORMAT` of events on standard error, in place of text: json")
	root.PersistentFlags().StringVar(&o.lockDir, "lock-dir", "", "`DIR` of the locks that keep processes apart; default: one of this user's")
	root.PersistentFlags().BoolVarP(&o.verbose, "verbose", "v", false, "say more about each step")
	root.PersistentFlags().StringVar(&o.trace, "trace", "", "`FILE` for a record of every request, without secrets; - is standard error")
	return root
}

// refuseNonsense makes a mistake of a help page for a verb that there is not, where
// cobra would print a text and succeed.
func refuseNonsense(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help := verbOf(root, "help")
	help.Short, help.Long = "Show the help of a command", ""
	help.Args = func(_ *cobra.Command, args []string) error {
		if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
			return wrongVerb(root, strings.Join(args, " "))
		}
		return nil
	}
}

func (p *program) verbs(o *options, signIn func(*cobra.Command, []string) error) []*cobra.Command {
	login := &cobra.Command{
		Use:   "login",
		Short: "Sign in with the browser and save the tokens",
		Long: `Sign in with the browser and save the tokens. This is also what happens without
a verb.

Where nobody would see a browser (over SSH, in a container, without a display)
none is opened, unless --browser or BROWSER names one: the URL is shown, over
SSH with the command that forwards the port. The address that a browser
elsewhere ends up at may be pasted into the terminal.

` + eventsHelp,
		Args: noArguments,
		RunE: signIn,
	}
	o.loginFlags(login.Flags())
	status := &cobra.Command{
		Use:   "status",
		Short: "Show who is signed in where, until when, stored where",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return p.status(c.Context(), o) },
	}
	o.selectFlags(status.Flags())
	userinfo := &cobra.Command{
		Use:   "userinfo",
		Short: "Show what the provider says about who is signed in",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return p.userinfo(c.Context(), o) },
	}
	o.selectFlags(userinfo.Flags())
	logout := &cobra.Command{
		Use:   "logout",
		Short: "Revoke the tokens at the provider and delete them",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return p.logout(c.Context(), o) },
	}
	o.selectFlags(logout.Flags())
	o.logoutFlags(logout.Flags())
	demo := &cobra.Command{
		Use:   "demo",
		Short: "Sign in to a built-in provider: no account needed",
		Long: `Start a small provider on this machine, sign in to it with your browser, save
the tokens in your keychain, use them, refresh them, and remove everything
again. Every step says what happens.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return p.demo(c.Context(), o) },
	}
	o.demoFlags(demo.Flags())
	return []*cobra.Command{login, p.tokenVerb(o), p.execCommand(o), status, userinfo, logout, p.gitCommand(o), p.dockerCommand(o), p.doctorVerb(o), p.providersVerb(o), demo, p.completionCommand(), p.versionVerb(o)}
}

func (p *program) tokenVerb(o *options) *cobra.Command {
	token := &cobra.Command{
		Use:   "token",
		Short: "Print a valid access token",
		Long:  tokenHelp,
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return p.token(c.Context(), o) },
	}
	o.selectFlags(token.Flags())
	o.tokenFlags(token.Flags())
	o.refreshFlag(token.Flags())
	o.formatFlags(token.Flags())
	return token
}

func (p *program) versionVerb(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE:  func(*cobra.Command, []string) error { return p.version(o) },
	}
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasParent() {
		return usageError("'oauth-login "+c.Name()+"' takes no argument, and got "+quoted(args[0]), "")
	}
	return wrongVerb(c, args[0])
}

// applyEnvironment gives every flag that was not set the value of its
// environment variable: --client-id is OAUTH_LOGIN_CLIENT_ID.
func (p *program) applyEnvironment(flags *pflag.FlagSet, o *options) error {
	var problem error
	flags.VisitAll(func(f *pflag.Flag) {
		name := environmentName(f.Name)
		value := p.getenv(name)
		if f.Changed || value == "" || f.Name == "help" || problem != nil {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			problem = usageError("the environment variable "+name+" does not fit --"+f.Name+": "+err.Error(), "")
		}
		f.Changed = false // it is a default
	})
	if problem == nil && o.output != outputText && o.output != outputJSON {
		problem = usageError("--output is text or json, not "+quoted(o.output), "")
	}
	if problem == nil && o.events != "" && o.events != eventsJSON {
		problem = usageError("--events is json, not "+quoted(o.events), "leave --events out to read text")
	}
	if problem == nil && o.minTTL < 0 {
		problem = usageError("--min-ttl has to be zero or more", "") // or a token that has ended would be as good as any
	}
	return problem
}

func environmentName(flag string) string {
	return "OAUTH_LOGIN_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
