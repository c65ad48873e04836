package main

import (
	"context"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"runtime"
	"strings"

	"github.com/oauth-login/oauth-login/grant"
)

// A browser that is opened on a machine that nobody sits at shows itself to
// nobody, or is of the kind that draws in the terminal and spoils it. So none is
// opened there, unless the person has chosen one: --browser, BROWSER.

// A seat is where the person sits, as far as it matters for a browser.
type seat string

const (
	here        seat = ""
	overSSH     seat = "an SSH session"
	inCodespace seat = "a codespace"
	inContainer seat = "a container"
	noDisplay   seat = "a machine without a display"
)

// seat guesses by what the environment says.
func (p *program) seat() seat {
	shown := p.has("DISPLAY", "WAYLAND_DISPLAY") // of this machine, or forwarded
	desktop := runtime.GOOS == "windows" || runtime.GOOS == "darwin"
	switch {
	case p.has("BROWSER"):
		return here
	case p.has("CODESPACES"):
		return inCodespace
	case p.has("SSH_CONNECTION", "SSH_TTY") && !shown:
		return overSSH
	case shown || p.has("WSL_DISTRO_NAME", "WSL_INTEROP"): // whose openers know the browser of Windows
		return here
	case p.has("REMOTE_CONTAINERS") || isContainer():
		return inContainer
	case !desktop && !isWSL():
		return noDisplay
	}
	return here
}

func (p *program) has(variables ...string) bool {
	for _, name := range variables {
		if strings.TrimSpace(p.getenv(name)) != "" {
			return true
		}
	}
	return false
}

// isContainer looks for the marks that Docker and Podman leave.
func isContainer() bool {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return true
		}
	}
	return false
}

// isWSL is for a shell in Windows' Linux whose variables were taken away, by sudo
// say.
func isWSL() bool {
	version, err := os.ReadFile("/proc/version")
	return err == nil && strings.Contains(strings.ToLower(string(version)), "microsoft")
}

// opensBrowser reports whether a login opens a browser.
func (p *program) opensBrowser(o *options) bool {
	return !o.noBrowser && (o.browser != "" || p.seat() == here)
}

// helpWithoutBrowser says how the person comes from a browser elsewhere back to
// this machine.
func (p *program) helpWithoutBrowser(ctx context.Context, o *options, client *grant.Client, redirectURI string) {
	where := p.seat()
	forward := p.forwarding(where, redirectURI)
	p.emit(event{Event: "no_browser", Reason: string(where), Command: forward})
	if where != here && !o.noBrowser && o.browser == "" {
		p.say("No browser is opened, as this is %s.", string(where))
	}
	if forward != "" {
		p.say("So that a browser on your own machine can come back here, run there first:\n\n%s\n", forward)
	}
	if p.paste(o, client) != nil {
		p.say(pasteInvitation + "\n")
	}
	if offersDevice(ctx, client) {
		p.hint("--device signs in with a browser on any other device")
	}
}

// pasteInvitation is for whoever has no other way back.
const pasteInvitation = "When the browser has signed in and cannot open the last page, copy the address of that page, paste it here and press Enter. " +
	"What is pasted is not shown."

// offersDevice reports whether the issuer, which is discovered already, knows the
// device grant (RFC 8628, section 4).
func offersDevice(ctx context.Context, client *grant.Client) bool {
	as, err := client.Discover(ctx)
	return err == nil && as.DeviceAuthorizationEndpoint != ""
}

// forwarding is the command for the machine of the browser that makes the
// redirect URI lead here, "" where there is none.
func (p *program) forwarding(where seat, redirectURI string) string {
	u, err := url.Parse(redirectURI)
	if err != nil || u.Port() == "" {
		return ""
	}
	switch {
	case where == inCodespace && isPlain(p.getenv("CODESPACE_NAME")):
		return "gh codespace ports forward " + u.Port() + ":" + u.Port() + " --codespace " + p.getenv("CODESPACE_NAME")
	case p.has("SSH_CONNECTION", "SSH_TTY"):
		return p.sshLine(u)
	}
	return ""
}

// sshLine forwards a port of the person's machine to the one that is open here,
// at the address and port that the person's ssh has reached (ssh(1), -L and
// SSH_CONNECTION).
func (p *program) sshLine(redirect *url.URL) string {
	target := "127.0.0.1"
	if redirect.Hostname() == "::1" {
		target = "[::1]"
	}
	line := "ssh -L " + redirect.Port() + ":" + target + ":" + redirect.Port()
	host := "HOST"
	fields := strings.Fields(p.getenv("SSH_CONNECTION"))
	if len(fields) == 4 { // the client's address and port, the server's address and port
		if server, err := netip.ParseAddr(fields[2]); err == nil {
			host = server.Unmap().String()
		}
		if port := fields[3]; port != "22" && isPlain(port) {
			line += " -p " + port
		}
	} else if name, err := os.Hostname(); err == nil && isPlain(name) {
		host = name
	}
	return line + " " + userAt() + host
}

// userAt is the name to log in with, "" for one that a shell might not take as it
// is.
func userAt() string {
	account, err := user.Current()
	if err != nil {
		return ""
	}
	name := account.Username[strings.LastIndexByte(account.Username, '\\')+1:] // Windows: DOMAIN\name
	if !isPlain(name) {
		return ""
	}
	return name + "@"
}

// isPlain reports whether a word means itself to every shell, and is no option.
func isPlain(word string) bool {
	return word != "" && word[0] != '-' && !strings.ContainsFunc(word, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
	})
}
