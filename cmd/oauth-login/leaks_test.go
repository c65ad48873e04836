package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// Whatever a script is about, nothing that its providers have given out may be
// seen: in what the command says to people, in the arguments of any process, in a
// trace, and in what it prints as data, unless a token was asked for. So the
// command leaves notes of that, which are looked through at the end of each script.

// witness makes the command leave its notes, if WITNESS says where.
func witness(p *program, args []string) error {
	dir := os.Getenv("WITNESS")
	if dir == "" {
		return nil
	}
	said, err := note(dir, "standard error")
	if err != nil {
		return err
	}
	p.err = io.MultiWriter(p.err, said)
	if !asksForToken(args) {
		printed, err := note(dir, "standard output")
		if err != nil {
			return err
		}
		p.out = io.MultiWriter(p.out, printed)
	}
	return noteArguments(dir, args)
}

// asksForToken reports whether a token on standard output is what the person wants.
func asksForToken(args []string) bool {
	verbs := []string{"token", "exec", "git-credential", "docker-credential"}
	return len(args) > 0 && slices.Contains(verbs, args[0]) || slices.Contains(args, noStore)
}

func noteArguments(dir string, args []string) error {
	arguments, err := note(dir, "arguments")
	if err != nil {
		return err
	}
	_, err = io.WriteString(arguments, strings.Join(args, "\n")+"\n")
	for i, arg := range args {
		name, ok := strings.CutPrefix(arg, "--trace=")
		if arg == "--trace" && i+1 < len(args) {
			name, ok = args[i+1], true
		}
		if path, absErr := filepath.Abs(name); ok {
			traces, noteErr := note(dir, "traces")
			err = errors.Join(err, absErr, noteErr)
			if err == nil {
				_, err = io.WriteString(traces, path+"\n")
			}
		}
	}
	return err
}

func note(dir, name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// issuersSlot is the key of all providers of a script.
type issuersSlot struct{}

// spySlot is the key of what stands before them.
type spySlot struct{}

// watch makes a script end with a look through the notes.
func watch(env *testscript.Env) error {
	dir := filepath.Join(env.WorkDir, ".witness")
	env.Setenv("WITNESS", dir)
	providers := new([]*issuer.Issuer)
	env.Values[issuersSlot{}] = providers
	witness := new(spy)
	env.Values[spySlot{}] = witness
	env.Defer(func() {
		if where := leaked(dir, *providers); where != "" {
			env.T().Fatal("a secret of the provider is in the " + where)
		}
		for _, path := range traces(dir) {
			if text, _ := os.ReadFile(path); witness.foundIn(string(text)) {
				env.T().Fatal("something that was sent or received is in the trace " + filepath.Base(path))
			}
		}
	})
	return os.Mkdir(dir, 0o700)
}

// leaked names the first of the notes with a secret in it.
func leaked(dir string, providers []*issuer.Issuer) string {
	paths, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, path := range append(paths, traces(dir)...) {
		text, _ := os.ReadFile(path)
		for _, provider := range providers {
			for _, secret := range provider.Secrets() {
				if strings.Contains(string(text), secret) {
					return filepath.Base(path)
				}
			}
		}
	}
	return ""
}

// traces are the files that --trace has written.
func traces(dir string) (paths []string) {
	names, _ := os.ReadFile(filepath.Join(dir, "traces"))
	for _, path := range strings.Fields(string(names)) {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if text, _ := os.ReadFile(path); strings.HasPrefix(string(text), traceMark) {
			paths = append(paths, path)
		}
	}
	return paths
}
