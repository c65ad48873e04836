package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Help pages are written here and not by cobra's templates, so that flags stand in
// groups and every line fits in a terminal.

const (
	helpColumns = 80
	flagColumn  = 28 // where what a flag does begins
	verbColumn  = 21
)

// A helpGroup is a title and what stands under it, in this order.
type helpGroup struct {
	title string
	names []string
}

// verbGroups are the verbs by what they are for.
var verbGroups = []helpGroup{
	{"Logins", []string{"login", "status", "userinfo", "logout"}},
	{"Tokens", []string{"token", "exec", "git-credential", "docker-credential"}},
	{"More", []string{"doctor", "providers", "demo", "completion", "help", "version"}},
}

// flagGroups are the flags of all verbs.
var flagGroups = []helpGroup{
	{"Login", []string{"issuer", "provider", "client-id", "scope", "resource", "profile", "expect-user", "interactive", "end-session", "all", "yes"}},
	{"Token", []string{"format", "id-token", "min-ttl", "refresh", "env", "for-host", "username"}},
	{"Client", []string{"client-auth", "client-secret-file", "client-key", "client-key-id", "client-cert", "dpop", "fapi2"}},
	{"Request", []string{"prompt", "login-hint", "max-age", "acr-values", "audience", "auth-param", "token-param", "par", "jar", "response-mode"}},
	{"Browser and redirect", []string{"browser", "no-browser", "device", "timeout", "port", "redirect-host", "callback-path", "redirect-uri"}},
	{"Store", []string{"store", "store-identity", "store-passphrase-file", "lock-dir"}},
	{"Output", []string{"output", "events", "verbose", "trace", "help"}},
	{"Network", []string{"ca-cert", "http-timeout", "authorization-endpoint", "token-endpoint", "jwks-uri"}},
}

// verbExamples are for verbs whose text has none.
func verbExamples() map[string]string {
	return map[string]string{
		"login": `  oauth-login --issuer https://issuer.example --client-id my-cli
  oauth-login --issuer https://issuer.example --client-id my-cli --device
  oauth-login --issuer https://issuer.example --client-id my-cli --profile work`,
		"providers": `  oauth-login providers github
  oauth-login --provider github --client-id ID --client-secret-file FILE`,
		"status":   "  oauth-login status --output json",
		"doctor":   "  oauth-login doctor --issuer https://issuer.example",
		"userinfo": "  oauth-login userinfo --profile work",
		"logout": `  oauth-login logout --profile work
  oauth-login logout --all --yes`,
	}
}

const defaultsHelp = `The default of each flag is in an environment variable, where that is set:
OAUTH_LOGIN_CLIENT_ID for --client-id, and so on. Flags that show no default are
off, or say nothing.`

// setHelp has a command and all under it show these pages.
func (p *program) setHelp(root *cobra.Command) {
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { _, p.helpless = fmt.Fprint(c.OutOrStdout(), helpPage(c)) })
}

// helpPage is the page of one verb. That of the command itself names the verbs, and
// leaves the flags of a login to that.
func helpPage(c *cobra.Command) string {
	var b strings.Builder
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	b.WriteString(text + "\n")
	if !c.HasParent() {
		writeVerbs(&b, c)
		writeFlags(&b, c.PersistentFlags(), c.Flags().Lookup("help"))
		b.WriteString("\n" + defaultsHelp + "\n\n" + exitHelp + "\n\n" + moreHelp + "\n")
		return b.String()
	}
	if examples := verbExamples()[c.Name()]; examples != "" {
		b.WriteString("\nExamples:\n" + examples + "\n")
	}
	b.WriteString("\nUsage:\n" + hanging("  "+c.UseLine(), 4))
	c.InheritedFlags() // joins those of the parents to its own
	writeFlags(&b, c.Flags(), nil)
	b.WriteString("\n" + defaultsHelp + "\n")
	return b.String()
}

const exitHelp = `The exit code is 0 when all went well, 1 after a failure, 2 for a mistake in the
call, 3 when a login is required, 4 when something was refused, 5 after a
timeout, 6 when the store is not available, and 130 after Ctrl-C.`

const moreHelp = `'oauth-login login --help' shows the flags of a login, which are also those of
'oauth-login' without a command. 'oauth-login help COMMAND' shows the others.`

func writeVerbs(b *strings.Builder, root *cobra.Command) {
	for _, group := range verbGroups {
		fmt.Fprintf(b, "\n%s:\n", group.title)
		for _, name := range group.names {
			if verb := verbOf(root, name); verb != nil {
				b.WriteString(twoColumns(verbColumn, "  "+name, verb.Short))
			}
		}
	}
}

func verbOf(root *cobra.Command, name string) *cobra.Command {
	for _, verb := range root.Commands() {
		if verb.Name() == name {
			return verb
		}
	}
	return nil
}

// writeFlags writes the flags of a set, and one more.
func writeFlags(b *strings.Builder, flags *pflag.FlagSet, more *pflag.Flag) {
	for _, group := range flagGroups {
		title := "\n" + group.title + ":\n"
		for _, name := range group.names {
			flag := flags.Lookup(name)
			if flag == nil && more != nil && more.Name == name {
				flag = more
			}
			if flag == nil || flag.Hidden {
				continue
			}
			b.WriteString(title + twoColumns(flagColumn, "  "+flagWords(flag), flagText(flag)))
			title = ""
		}
	}
}

// flagWords is a flag as it is typed, with the name of its value.
func flagWords(flag *pflag.Flag) string {
	words := "--" + flag.Name
	if flag.Shorthand != "" {
		words = "-" + flag.Shorthand + ", " + words
	}
	if value, _ := pflag.UnquoteUsage(flag); value != "" {
		words += " " + strings.ToUpper(value)
	}
	return words
}

// flagText is what a flag does, and its default where the text does not say that.
func flagText(flag *pflag.Flag) string {
	_, text := pflag.UnquoteUsage(flag)
	if usual := flagDefault(flag); usual != "" {
		text += "; default: " + usual
	}
	return text
}

// flagDefault is "" for a flag that is off or says nothing if it is not given.
func flagDefault(flag *pflag.Flag) string {
	switch flag.Value.Type() {
	case "bool", "stringArray", "int":
		return ""
	case "duration":
		if strings.HasSuffix(flag.DefValue, "m0s") {
			return strings.TrimSuffix(flag.DefValue, "0s")
		}
	}
	return flag.DefValue
}

// twoColumns puts a text beside a name, or under one that is too long.
func twoColumns(column int, name, text string) string {
	if len(name) > column-2 {
		return name + "\n" + hanging(strings.Repeat(" ", column)+text, column)
	}
	return hanging(fmt.Sprintf("%-*s%s", column, name, text), column)
}

// hanging breaks a line between words; the rest of it begins at a column.
func hanging(line string, column int) string {
	var b strings.Builder
	for len(line) > helpColumns {
		end := strings.LastIndexByte(line[:helpColumns+1], ' ')
		if strings.TrimSpace(line[:max(end, 0)]) == "" {
			break // a word that is too long
		}
		b.WriteString(strings.TrimRight(line[:end], " ") + "\n")
		line = strings.Repeat(" ", column) + line[end+1:]
	}
	b.WriteString(line + "\n")
	return b.String()
}

// wrongFlag names the flag that was probably meant. Before a verb that there is not,
// every flag is a wrong one.
func wrongFlag(c *cobra.Command, err error) error {
	if args := c.Flags().Args(); !c.HasParent() && len(args) > 0 {
		return wrongVerb(c, args[0])
	}
	if args := c.Flags().Args(); c.Name() == "exec" && len(args) > 0 {
		return withoutDashes(args[0])
	}
	unknown, ok := err.(*pflag.NotExistError)
	if !ok {
		return usageError(err.Error(), "")
	}
	name, names := unknown.GetSpecifiedName(), []string{}
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		name, _, _ = strings.Cut(short, "=") // -issuer
	}
	c.Flags().VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	hint := "" // the usual one
	if meant := nearest(name, names); meant != "" {
		hint = "did you mean --" + meant + "? " + pageOf(c)
	}
	return usageError(err.Error(), hint)
}

// onPage tells of a mistake that has no hint of its own where the flags of the verb are
// described.
func onPage(verb *cobra.Command, err error) error {
	if e, ok := errors.AsType[*commandError](err); ok && e.hint == "" {
		e.hint = pageOf(verb)
	}
	return err
}

// pageOf says where the flags of a verb are described. Without a verb, they are those of
// a login.
func pageOf(verb *cobra.Command) string {
	path := verb.CommandPath()
	if !verb.HasParent() {
		path += " login"
	}
	return "'" + path + " --help' shows the flags"
}

// wrongVerb names the verb that was probably meant.
func wrongVerb(root *cobra.Command, word string) error {
	var names []string
	for _, verb := range root.Commands() {
		names = append(names, verb.Name())
	}
	hint := "'oauth-login --help' shows the commands"
	if meant := nearest(word, names); meant != "" {
		hint = "did you mean 'oauth-login " + meant + "'? " + hint
	}
	return usageError("there is no command "+quoted(word), hint)
}

// nearest is the name that a word was probably meant to be, "" if none is like it.
func nearest(word string, names []string) string {
	best, least := "", 3
	for _, name := range names {
		distance := editDistance(word, name)
		if len(word) > 2 && strings.HasPrefix(name, word) {
			distance = 1
		}
		if distance < least && distance < len(word) {
			best, least = name, distance
		}
	}
	return best
}

// editDistance counts the letters to insert, leave out or replace (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := slices.Clone(row)
		row[0] = i + 1
		for j := range len(b) {
			replaced := above[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(replaced, above[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
