package main

import (
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/store"
)

// Shells ask a hidden verb of cobra's what may stand where the person presses Tab.
// That reads the list of logins and nothing else: no keychain, no network.

const completionHelp = `Print the script with which a shell completes commands, flags and their values.
To install it, for

bash (4.1 or newer; add the line to ~/.bashrc):
  source <(oauth-login completion bash)
zsh (add the line to ~/.zshrc, below 'autoload -U compinit && compinit'):
  source <(oauth-login completion zsh)
fish (run once):
  oauth-login completion fish > ~/.config/fish/completions/oauth-login.fish
PowerShell (add the line to the file that $PROFILE names):
  oauth-login completion powershell | Out-String | Invoke-Expression`

var completionShells = []cobra.Completion{"bash", "zsh", "fish", "powershell"}

func (p *program) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the script with which a shell completes commands",
		Long:  completionHelp,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("'oauth-login completion' wants the name of a shell", "choose one of bash, zsh, fish or powershell")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return printCompletion(c.Root(), p.out, args[0]) },
	}
}

func printCompletion(root *cobra.Command, out io.Writer, shell string) error {
	switch shell {
	case "bash":
		return bashCompletion(root, out)
	case "zsh":
		return root.GenZshCompletion(out)
	case "fish":
		return root.GenFishCompletion(out, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(out)
	}
	return usageError("there is no completion for "+quoted(shell), "choose one of bash, zsh, fish or powershell")
}

// bashCompletion has cobra's script work without the package bash-completion, too,
// which is not everywhere.
func bashCompletion(root *cobra.Command, out io.Writer) error {
	var script strings.Builder
	if err := root.GenBashCompletionV2(&script, true); err != nil {
		return err
	}
	const words = `_get_comp_words_by_ref "$@" cur prev words cword`
	_, err := io.WriteString(out, bashWords+strings.Replace(script.String(), words, `__oauth-login_words "$@"`, 1))
	return err
}

// bashWords puts words together that bash has split at = and :.
const bashWords = `__oauth-login_words() # -n =:
{
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref "$@" cur prev words cword
        return
    fi
    local i word blank before= rest=$COMP_LINE
    words=()
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        word=${COMP_WORDS[i]}
        blank=${rest%%[![:space:]]*}
        rest=${rest#"$blank"}
        rest=${rest#"$word"}
        if [[ $i -gt 0 && -z $blank && ( $word == [=:]* || $before == *[=:] ) ]]; then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
        before=$word
        if ((i == COMP_CWORD)); then cword=$((${#words[@]} - 1)); fi
    done
    cur=${words[cword]} prev=${words[cword > 0 ? cword - 1 : 0]}
}

`

// isCompletion reports whether a shell asks.
func isCompletion(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// offerValues has the tree of verbs know what may stand where. Where it does not, a
// shell offers files.
func (p *program) offerValues(root *cobra.Command, o *options) {
	root.PersistentPreRunE = nil // what is wrong in the environment is said when the command is run
	p.offerFlags(root, o)
	arguments := verbWords()
	for _, verb := range root.Commands() {
		p.offerFlags(verb, o)
		if words, ok := arguments[verb.Name()]; ok {
			verb.ValidArgsFunction = oneWord(words)
		}
	}
}

// verbWords are the arguments of verbs. 'exec' wants a command and 'help' a verb,
// which shells and cobra know.
func verbWords() map[string][]cobra.Completion {
	return map[string][]cobra.Completion{
		"login": nil, "token": nil, "status": nil, "userinfo": nil, "logout": nil, "doctor": nil, "demo": nil, "version": nil,
		"completion":        completionShells,
		"git-credential":    {"get", "store", "erase"},
		"docker-credential": {"get", "store", "erase", "list"},
	}
}

func oneWord(words []cobra.Completion) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// flagValues are the values of flags, with what they mean where that is not plain.
// nil is for a word that nobody can guess and that is no file.
func flagValues() map[string][]cobra.Completion {
	return map[string][]cobra.Completion{
		"output":        {outputText, outputJSON},
		"events":        {eventsJSON},
		"store":         {keychainStore, encryptedStore, noStore + "\tprint the token, save nothing"},
		"format":        {formatRaw + "\tthe token", formatHeader + "\tAuthorization: Bearer TOKEN", formatCurl + "\tfor curl --config -", formatEnv + "\tfor eval in a shell", formatJSON, formatExecCredential + "\tfor kubectl"},
		"client-auth":   {"none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"},
		"response-mode": {"query", "form_post", "jwt\tquery, signed", "form_post.jwt\tform_post, signed"},
		"prompt":        {"login\tsign in again", "consent\tallow again", "select_account\tchoose an account", "none\task nothing"},
		"redirect-host": {"127.0.0.1", "localhost", "[::1]"},
		"scope":         {"openid", "email", "profile", "offline_access\tstay signed in"},

		"client-key-id": nil, "audience": nil, "resource": nil, "expect-user": nil, "login-hint": nil, "max-age": nil, "acr-values": nil,
		"auth-param": nil, "token-param": nil, "authorization-endpoint": nil, "token-endpoint": nil, "jwks-uri": nil, "port": nil,
		"callback-path": nil, "redirect-uri": nil, "timeout": nil, "http-timeout": nil, "min-ttl": nil, "env": nil, "for-host": nil, "username": nil,
	}
}

func (p *program) offerFlags(c *cobra.Command, o *options) {
	offer := func(name string, choose cobra.CompletionFunc) {
		if c.LocalFlags().Lookup(name) != nil {
			_ = c.RegisterFlagCompletionFunc(name, choose) // there is such a flag, and once
		}
	}
	c.LocalFlags().VisitAll(func(flag *pflag.Flag) { flag.Usage = strings.ReplaceAll(flag.Usage, "`", "") }) // help marks the value so
	for name, values := range flagValues() {
		offer(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder))
	}
	offer("provider", offerPresets)
	offer("lock-dir", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
	offer("profile", p.offerLogins(o, func(login store.Profile) (string, string) { return login.Name, login.Issuer }))
	offer("issuer", p.offerLogins(o, func(login store.Profile) (string, string) { return login.Issuer, "" }))
	offer("client-id", p.offerLogins(o, func(login store.Profile) (string, string) { return login.ClientID, login.Issuer }))
}

// offerPresets offers the names of providers.
func offerPresets(_ *cobra.Command, args []string, _ string) (offered []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		for _, preset := range presets() {
			offered = append(offered, cobra.CompletionWithDesc(preset.Name, preset.Title))
		}
	}
	return offered, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// offerLogins offers something of each login that the flags before fit. A shell may
// put what several words begin with on the line as it is, and run it at the next Tab:
// the ID of a client that was registered comes from a server, so what has a meaning
// to shells is not offered.
func (p *program) offerLogins(o *options, choose func(store.Profile) (word, meaning string)) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) (offered []cobra.Completion, _ cobra.ShellCompDirective) {
		profiles, err := p.profiles.List()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		seen := map[string]bool{"": true}
		for _, profile := range match(profiles, o) {
			word, meaning := choose(profile)
			if !seen[word] && !strings.ContainsFunc(word, isShellSpecial) {
				offered = append(offered, cobra.CompletionWithDesc(word, printable(meaning)))
			}
			seen[word] = true
		}
		return offered, cobra.ShellCompDirectiveNoFileComp
	}
}

// isShellSpecial reports whether a letter may mean something to a shell. A blank does
// no more than part words.
func isShellSpecial(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != ' ' && !strings.ContainsRune(shellPlain, r)
}
