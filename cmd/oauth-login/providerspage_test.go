package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var updatePages = flag.Bool("update", false, "write the part of docs/providers.md that comes from the presets")

const (
	providersPage  = "../../docs/providers.md"
	presetsBegin   = "<!-- What follows is written by go test ./cmd/oauth-login -run TestProvidersPage -update -->\n"
	presetsEnd     = "<!-- What came before is written by that. -->\n"
	pageColumns    = 130
	anchorOfPreset = "\n## %s\n\n"
)

// TestProvidersPage: docs/providers.md says what the presets say.
func TestProvidersPage(t *testing.T) {
	page := read(t, providersPage)
	before, rest, begins := strings.Cut(page, presetsBegin)
	_, after, ends := strings.Cut(rest, presetsEnd)
	if !begins || !ends {
		t.Fatal("the page has not both marks")
	}
	var b strings.Builder
	for _, preset := range presets() {
		fmt.Fprintf(&b, anchorOfPreset, preset.Title)
		preset.describe(&b)
	}
	want := before + presetsBegin + b.String() + "\n" + presetsEnd + after
	if want == page {
		return
	}
	if !*updatePages {
		t.Fatal("the page differs from the presets: run the command that stands in it")
	}
	if err := os.WriteFile(providersPage, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// describe writes one preset in Markdown.
func (p *preset) describe(b *strings.Builder) {
	if p.Unsupported != "" {
		b.WriteString(wrap(p.Unsupported+".", pageColumns) + "\n")
	} else {
		fmt.Fprintf(b, "```sh\n%s\n```\n\n", p.command())
		line := func(name, text string) { b.WriteString(wrap("- "+name+": "+text, pageColumns) + "\n") }
		if p.Issuer != "" && p.IssuerForm != "" {
			line("Issuer", "`"+p.Issuer+"`; one of your own, such as `"+p.IssuerForm+"`, is given with `--issuer`")
		}
		line("Register at", strings.Join(p.Register, "; "))
		uris := "`" + strings.Join(p.redirectURIs(), "` and `") + "`"
		if !p.ExactRedirect {
			uris += ", which stands for every port"
		}
		line("Redirect URI", uris)
		if len(p.Scopes) > 0 {
			line("Scopes without `--scope`", "`"+strings.Join(p.Scopes, " ")+"`")
		}
	}
	for _, note := range p.Notes {
		b.WriteString(wrap("- "+note, pageColumns) + "\n")
	}
}
