package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

const doctorHelp = `Look at everything that a login needs: the provider, the ports, the browser, the
keychain, the clock, the network. Each line is ok, a warning or a problem, with
what to do about it. The report holds no secret, no token and no name of yours:
it can be shown to others.

Without --issuer it is about the last login; before the first one, it is about
this machine alone. The exit code is 1 if there is a problem.`

func (p *program) doctorVerb(o *options) *cobra.Command {
	doctor := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why signing in does not work",
		Long:  doctorHelp,
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return p.doctor(c.Context(), o) },
	}
	o.doctorFlags(doctor.Flags())
	return doctor
}

func (o *options) doctorFlags(f *pflag.FlagSet) {
	o.selectFlags(f)
	o.providerFlag(f)
	o.certificateFlags(f)
	o.redirectFlags(f)
	o.browserFlag(f)
}

// The states of a finding.
const (
	findingOK      = "ok"
	findingWarning = "warning" // signing in works, but not in every way
	findingProblem = "problem" // it does not
)

// A finding is a line of the report.
type finding struct {
	State string `json:"state"`
	Name  string `json:"name"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"`
}

// An examination looks at one thing after the other. Several go on at once.
type examination struct {
	*program
	options  *options
	profile  store.Profile // of the login that it is about; without an issuer, there is none
	homes    []string
	findings []finding
}

func (x *examination) ok(name, format string, args ...any) {
	x.find(findingOK, name, "", fmt.Sprintf(format, args...))
}

func (x *examination) warn(name, fix, format string, args ...any) {
	x.find(findingWarning, name, fix, fmt.Sprintf(format, args...))
}

func (x *examination) problem(name, fix, format string, args ...any) {
	x.find(findingProblem, name, fix, fmt.Sprintf(format, args...))
}

// find adds a line that can be shown to others.
func (x *examination) find(state, name, fix, text string) {
	fix = strings.TrimPrefix(fix, seeDoctor) // it is this one
	x.findings = append(x.findings, finding{State: state, Name: name, Text: x.impersonal(text), Fix: x.impersonal(fix)})
}

// impersonal leaves out whose machine this is.
func (x *examination) impersonal(text string) string {
	text = printable(strings.Join(strings.Fields(text), " "))
	for _, home := range x.homes {
		text = strings.ReplaceAll(text, home, "~")
	}
	return text
}

// homes are the home directory that the environment names, and the one that the system
// knows.
func homes() (dirs []string) {
	if dir, err := os.UserHomeDir(); err == nil && len(dir) > 1 {
		dirs = append(dirs, dir)
	}
	if account, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil && len(account.HomeDir) > 1 {
		dirs = append(dirs, account.HomeDir)
	}
	return dirs
}

// doctor examines and reports.
func (p *program) doctor(ctx context.Context, o *options) error {
	if err := o.useProvider(); err != nil {
		return err
	}
	profile, err := p.patient(ctx, o)
	if err != nil {
		return err
	}
	o.adopt(presetOf(profile.Provider), o.given)
	findings := p.examine(ctx, o, profile)
	if ctx.Err() != nil {
		return ctx.Err() // what was found is half of the truth
	}
	report := reportOf(profile, findings)
	if o.output == outputJSON {
		err = p.printJSON(report)
	} else {
		err = p.printFindings(findings)
	}
	if err == nil && report.Problems > 0 {
		err = &endedError{exitFailure} // the report has said why
	}
	return err
}

// patient returns the login that the flags name, or a profile without more than the
// issuer that they name, or without even that.
func (p *program) patient(ctx context.Context, o *options) (store.Profile, error) {
	named := o.withFiles(store.Profile{Issuer: o.issuer, ClientID: o.clientID, Name: o.profile})
	profiles, err := p.profiles.List()
	if err != nil {
		return named, nil // a finding of its own
	}
	matching, isNamed := match(profiles, o), o.issuer != "" || o.profile != "" || o.clientID != ""
	switch {
	case isNamed && len(matching) > 0: // where there are several, they share the issuer
		profile, err := o.locate(matching[0])
		return o.withFiles(profile), err
	case o.issuer != "", !isNamed && len(profiles) == 0:
		return named, nil
	}
	profile, err := p.selectProfile(ctx, o)
	return o.withFiles(profile), err
}

// examine makes all examinations at once, and returns what they found in the order of
// the report.
func (p *program) examine(ctx context.Context, o *options, profile store.Profile) (findings []finding) {
	examinations := []func(*examination, context.Context){
		(*examination).platform, (*examination).provider, (*examination).network, (*examination).receiver, (*examination).browser,
		(*examination).stores,
	}
	found := make([]*examination, len(examinations))
	var under sync.WaitGroup
	for i, look := range examinations {
		x := &examination{program: p, options: o, profile: profile, homes: homes()}
		found[i] = x
		under.Go(func() { look(x, ctx) })
	}
	under.Wait()
	for _, x := range found {
		findings = append(findings, x.findings...)
	}
	return findings
}

// A doctorJSON is the report in JSON.
type doctorJSON struct {
	Issuer   string    `json:"issuer,omitempty"`
	Findings []finding `json:"findings"`
	Warnings int       `json:"warnings"`
	Problems int       `json:"problems"`
}

func reportOf(profile store.Profile, findings []finding) doctorJSON {
	report := doctorJSON{Issuer: profile.Issuer, Findings: findings}
	if u, err := url.Parse(profile.Issuer); err != nil || u.User != nil { // which nobody signs in at
		report.Issuer = ""
	}
	for _, f := range findings {
		switch f.State {
		case findingWarning:
			report.Warnings++
		case findingProblem:
			report.Problems++
		}
	}
	return report
}

// printFindings writes what was found, one thing after the other.
func (p *program) printFindings(findings []finding) error {
	columns := columnsAt(p.out)
	for _, f := range findings {
		if _, err := fmt.Fprintln(p.out, f.lines(columns)); err != nil {
			return err
		}
	}
	return nil
}

// lines are a line for the finding, with the fix in one below.
func (f finding) lines(columns int) string {
	begin := fmt.Sprintf("%-8s %-9s ", f.State, f.Name)
	text := begin + wrap(strings.Repeat(" ", len(begin))+f.Text, columns)[len(begin):]
	if f.Fix != "" {
		text += "\n" + wrap("         fix: "+f.Fix, columns)
	}
	return text
}

// platform says what is running where.
func (x *examination) platform(context.Context) {
	x.ok("version", "oauth-login %s%s %s/%s %s", grant.Version, builtFrom(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	where, system := x.seat(), systemName()
	switch {
	case where != here && system != "":
		x.ok("system", "%s, in %s", system, string(where))
	case where != here:
		x.ok("system", "%s", string(where))
	case system != "":
		x.ok("system", "%s", system)
	}
}

// systemName is what a Linux calls itself (os-release(5)), "" elsewhere.
func systemName() string {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"'`)
		}
	}
	return ""
}

// builtFrom is the revision in brackets, "" if nobody knows.
func builtFrom() string {
	if commit := revision(); commit != "" {
		return " (" + commit[:min(12, len(commit))] + ")"
	}
	return ""
}

// probeTime bounds every look that the doctor takes.
const probeTime = 5 * time.Second
