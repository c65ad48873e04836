package loopback

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pkg/browser"
)

// launchTime is how long a program has to say that it cannot open the browser.
// One that still runs then is the browser itself.
const launchTime = 3 * time.Second

// checkOpenable refuses what must not reach an opener: the URL comes from the
// metadata of a server, and openers start whatever is registered for a scheme.
// Its errors do not quote the URL.
func checkOpenable(raw string) error {
	if strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' }) {
		return errors.New("the URL has characters that need encoding")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("the URL is not one of a web page")
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return errors.New("the URL is not https")
}

// isLoopback reports whether a host can only be this machine (RFC 6761, section
// 6.3, for the name).
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// openURL opens a URL that has passed checkOpenable. What the person has chosen,
// in command or in BROWSER, is not second-guessed when it fails. started is told the
// name of each program that is tried.
func openURL(ctx context.Context, command, u string, started func(program string)) error {
	if commands := chosen(command); commands != nil {
		return openWith(ctx, commands, u, started)
	}
	return openBySystem(ctx, u, started)
}

// chosen returns the commands that the person has chosen, nil for none.
func chosen(command string) []string {
	if command != "" {
		return []string{command}
	}
	// A list of commands: http://www.catb.org/~esr/BROWSER/, and xdg-open(1).
	if list := os.Getenv("BROWSER"); strings.Trim(list, string(os.PathListSeparator)+" ") != "" {
		return filepath.SplitList(list)
	}
	return nil
}

// Opener returns the name of the program that would be asked to open the browser,
// and starts nothing. command is that of Options.Browser. The error says why there is
// none; that one of them is there does not mean that it can show a page.
func Opener(command string) (program string, err error) {
	commands := chosen(command)
	if commands == nil {
		return systemOpener()
	}
	for _, command := range commands {
		if strings.TrimSpace(command) == "" {
			continue
		}
		argv, wrong := commandLine(command, "")
		if wrong == nil {
			_, wrong = exec.LookPath(argv[0])
		}
		if wrong == nil {
			return filepath.Base(argv[0]), nil
		}
		err = join(err, wrong)
	}
	return "", err
}

// systemOpener returns the first program that is there.
func systemOpener() (program string, err error) {
	openers := systemOpeners("")
	if len(openers) == 0 {
		return systemCall, nil
	}
	for _, argv := range openers {
		if _, wrong := exec.LookPath(argv[0]); wrong == nil {
			return argv[0], nil
		}
	}
	return "", fmt.Errorf("none of the programs that open one is installed, such as %s", openers[0][0])
}

// systemCall stands for the program where none is needed.
const systemCall = "the system"

// openWith tries commands in order, until one of them works.
func openWith(ctx context.Context, commands []string, u string, started func(program string)) error {
	var failed error
	for _, command := range commands {
		if strings.TrimSpace(command) == "" {
			continue
		}
		argv, err := commandLine(command, u)
		if err == nil {
			err = run(ctx, argv, started)
		}
		if err == nil {
			return nil
		}
		failed = join(failed, err)
	}
	return failed
}

// commandLine splits a command and puts the URL in, which stays in one piece.
func commandLine(command, u string) ([]string, error) {
	words, err := splitWords(command)
	if err != nil {
		return nil, err
	}
	replaced := false
	for i, word := range words {
		if i > 0 && strings.Contains(word, "%s") {
			words[i], replaced = strings.ReplaceAll(word, "%s", u), true
		}
	}
	if !replaced {
		words = append(words, u)
	}
	return words, nil
}

// splitWords splits at spaces and tabs. Between quotes, " or ', everything
// stands for itself; a backslash always does, as paths of Windows need it.
func splitWords(command string) (words []string, err error) {
	var word strings.Builder
	var quote rune
	inWord := false
	for _, c := range command {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errors.New("the browser command has a quote without an end")
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("the browser command names no program")
	}
	return words, nil
}

// openBySystem asks the system for the person's browser.
//
// On Unix, package browser runs one of a few programs, but it hands them our
// standard output through a package variable that a library must not change,
// waits for them without end and has Ctrl-C reach them. So the same programs
// are started here, detached; package browser comes last, for systems that have
// none of them. On Windows it makes a system call, and is all that is needed.
func openBySystem(ctx context.Context, u string, started func(program string)) error {
	var failed error
	for _, argv := range systemOpeners(u) {
		err := run(ctx, argv, started)
		if err == nil {
			return nil
		}
		if !errors.Is(err, exec.ErrNotFound) {
			failed = join(failed, err)
		}
	}
	if failed != nil {
		return failed
	}
	started(systemCall)
	opened := make(chan error, 1)
	go func() { opened <- browser.OpenURL(u) }()
	select {
	case err := <-opened:
		return err
	case <-ctx.Done(): // a system call cannot be interrupted, so nobody waits for it
		return nil
	}
}

// run starts a program and reports whether it could open the URL. Launchers
// such as xdg-open end soon and say so with their status; a browser itself runs
// until the person quits it. Nobody waits for that but one goroutine that takes
// its exit status from the system: without it, a zombie would be left in a
// program that runs on. run itself ends with ctx.
func run(ctx context.Context, argv []string, started func(program string)) error {
	cmd := exec.Command(argv[0], argv[1:]...) // with no input, and output that is discarded
	if err := detach(cmd); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	started(filepath.Base(argv[0]))
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	timer := time.NewTimer(launchTime)
	defer timer.Stop()
	select {
	case err := <-exited:
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(argv[0]), err)
		}
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// join keeps errors on one line.
func join(first, second error) error {
	if first == nil {
		return second
	}
	return fmt.Errorf("%w; %w", first, second)
}
