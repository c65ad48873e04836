//go:build unix

package loopback

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// detach gives the program a session of its own: Ctrl-C in our terminal and its
// end do not reach it, and it cannot ask anything there.
func detach(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return nil
}

// systemOpeners are the commands that may know the person's browser, best
// first. The programs of Unix are those of package browser.
func systemOpeners(u string) [][]string {
	if runtime.GOOS == "darwin" {
		return [][]string{{"open", u}}
	}
	var openers [][]string
	if isWSL() {
		openers = wslOpeners(u)
	}
	return append(openers, []string{"xdg-open", u}, []string{"x-www-browser", u}, []string{"www-browser", u})
}

// isWSL reports whether this is Linux in Windows. A container there has no way
// to Windows; its openers are not found then.
func isWSL() bool {
	if os.Getenv("WSL_DISTRO_NAME") != "" {
		return true
	}
	version, err := os.ReadFile("/proc/version")
	return err == nil && strings.Contains(strings.ToLower(string(version)), "microsoft")
}

// wslOpeners are programs of Windows. Arguments on the way there become one
// line of text, which wslview and PowerShell read as code: so the URL has no
// character that means something to them. cmd.exe, for which every & does, is
// not among them.
func wslOpeners(u string) [][]string {
	u = plainURL(u)
	return [][]string{
		{"wslview", u},
		{"rundll32.exe", "url.dll,FileProtocolHandler", u},
		{"powershell.exe", "-NoProfile", "-NonInteractive", "-Command", "Start-Process '" + u + "'"},
	}
}

// plainURL percent-encodes what is special between quotes of PowerShell or of a
// Windows command line. The URL means the same to every server that decodes it.
func plainURL(u string) string {
	var b strings.Builder
	for _, c := range []byte(u) {
		if strings.IndexByte("\"'`$^|<>(){};", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
