package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (p *program) providersVerb(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "providers [NAME]",
		Short: "Show what to register at which provider",
		Long: `Show the providers that --provider knows. With the name of one: the command
that signs in there, what has to be registered before and where, and what is
different from other providers.

Every other provider that publishes its metadata needs no more than --issuer.`,
		ValidArgsFunction: offerPresets,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError("'oauth-login providers' takes one name, and got also "+quoted(args[1]), "")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return p.providers(o, args) },
	}
}

// presetJSON is a preset with what follows from it.
type presetJSON struct {
	preset
	RedirectURIs []string `json:"redirect_uris,omitempty"` // without a port for any
	Command      string   `json:"command,omitempty"`
}

func (p *preset) json() presetJSON {
	if p.Unsupported != "" {
		return presetJSON{preset: *p}
	}
	return presetJSON{*p, p.redirectURIs(), p.command()}
}

// providers prints the presets, or one of them.
func (p *program) providers(o *options, args []string) error {
	if len(args) == 0 {
		return p.listProviders(o)
	}
	found := presetOf(args[0])
	if found == nil {
		return unknownProvider(args[0])
	}
	if o.output == outputJSON {
		return p.printJSON(found.json())
	}
	return found.print(p.out)
}

// unknownProvider names the one that was probably meant: by a word of its title, or with
// a letter that is wrong.
func unknownProvider(word string) error {
	hint := "'oauth-login providers' lists those that are known; others need no more than --issuer"
	var names []string
	meant := ""
	for _, preset := range presets() {
		names = append(names, preset.Name)
		if slices.Contains(strings.Fields(strings.ToLower(preset.Title)), strings.ToLower(word)) {
			meant = preset.Name
		}
	}
	if meant = cmp.Or(meant, nearest(word, names)); meant != "" {
		hint = "did you mean " + meant + "? " + hint
	}
	return usageError("the provider "+quoted(word)+" is none of those that are known", hint)
}

func (p *program) listProviders(o *options) error {
	all := presets()
	if o.output == outputJSON {
		report := struct {
			Providers []presetJSON `json:"providers"`
		}{}
		for _, preset := range all {
			report.Providers = append(report.Providers, preset.json())
		}
		return p.printJSON(report)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, preset := range all {
		fmt.Fprintf(w, "%s\t%s\n", preset.Name, preset.summary())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	p.hint("'oauth-login providers NAME' says what to register there, and how to sign in then")
	return nil
}

// summary is what has to be given beside --provider.
func (p *preset) summary() string {
	if p.Unsupported != "" {
		return "not possible from a terminal"
	}
	return p.flags()
}

// print writes one preset for people.
func (p *preset) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range p.lines() {
		for text := range strings.SplitSeq(wrap(line[1], 66), "\n") { // beside the names
			fmt.Fprintf(w, "%s\t%s\n", line[0], text)
			line[0] = ""
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, note := range p.Notes {
		if i == 0 {
			fmt.Fprintln(out)
		}
		if _, err := fmt.Fprintln(out, wrap("- "+note, 80)); err != nil {
			return err
		}
	}
	return nil
}

// lines are pairs of name and value.
func (p *preset) lines() (lines [][2]string) {
	add := func(name string, values ...string) {
		for _, value := range values {
			if value != "" {
				lines = append(lines, [2]string{name, value})
				name = ""
			}
		}
	}
	add("provider", p.Title)
	if p.Unsupported != "" {
		add("not possible", p.Unsupported)
		return lines
	}
	add("sign in", p.command())
	add("issuer", p.Issuer, p.IssuerForm)
	add("register at", p.Register...)
	add("redirect URI", p.redirectURIs()...)
	port := "any"
	if p.ExactRedirect {
		port = "compared; --port names others that are registered"
	}
	add("port", port)
	add("scopes", strings.Join(p.Scopes, " "))
	add("secret", map[bool]string{true: "needed", false: "none"}[p.NeedsSecret])
	return lines
}
