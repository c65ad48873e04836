package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/store"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"oauth-login":  scriptedCommand,
		"fake-browser": fakeBrowser,
	})
}

// scriptedCommand is the command with a keychain made of files.
func scriptedCommand() {
	p := newProgram(fileKeychain(os.Getenv("FAKE_KEYCHAIN")))
	if err := witness(p, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(p.run(untilInterrupted(), os.Args[1:]))
}

// fakeBrowser is a browser and the person in front of it. What the last page
// says goes to a file.
func fakeBrowser() {
	environment := []byte(strings.Join(os.Environ(), "\n"))
	if err := os.WriteFile(filepath.Join(os.Getenv("WORK"), "browser-environment"), environment, 0o600); err != nil {
		os.Exit(1)
	}
	arguments := []byte(strings.Join(os.Args, "\n"))
	if err := os.WriteFile(filepath.Join(os.Getenv("WORK"), "browser-arguments"), arguments, 0o600); err != nil {
		os.Exit(1)
	}
	if dir := os.Getenv("WITNESS"); dir != "" {
		if err := noteArguments(dir, os.Args[1:]); err != nil {
			os.Exit(1)
		}
	}
	visitor := &issuer.Visitor{Deny: os.Getenv("FAKE_BROWSER") == "deny"}
	address := strings.Replace(os.Args[1], companyIssuer, os.Getenv("INNER"), 1) // within the company
	last, err := visitor.Visit(context.Background(), address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", last.URL, last.Status, last.Body)
	page := filepath.Join(os.Getenv("WORK"), "page")
	if err := errors.Join(os.WriteFile(page+".new", []byte(text), 0o600), os.Rename(page+".new", page)); err != nil {
		os.Exit(1)
	}
	fmt.Println("chatter of a browser") // must not reach the output of the command
}

// A fileKeychain keeps records in a directory. The names "absent" and "broken"
// stand for a keychain that is not there, and one that loses what is written.
type fileKeychain string

func (k fileKeychain) Name() string { return cmp.Or(os.Getenv("FAKE_KEYCHAIN_NAME"), "Test Keyring") }

func (k fileKeychain) Probe(context.Context) error {
	if filepath.Base(string(k)) == "absent" {
		return &store.UnavailableError{Reason: store.Absent, Backend: k.Name()}
	}
	return nil
}

func (k fileKeychain) Load(ctx context.Context, key string) ([]byte, error) {
	if err := k.Probe(ctx); err != nil {
		return nil, err
	}
	record, err := os.ReadFile(filepath.Join(string(k), key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, store.ErrNotFound
	}
	return record, err
}

func (k fileKeychain) Save(ctx context.Context, key string, record []byte) error {
	if filepath.Base(string(k)) == "broken" || os.Getenv("READ_ONLY_KEYCHAIN") != "" {
		return &store.UnavailableError{Reason: store.NotStored, Backend: k.Name()}
	}
	if err := os.MkdirAll(string(k), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(string(k)), "record")
	if err != nil {
		return err
	}
	_, err = temp.Write(record)
	if err = errors.Join(err, temp.Close(), os.Rename(temp.Name(), filepath.Join(string(k), key))); err != nil {
		return err
	}
	stored, err := k.Load(ctx, key)
	if err == nil && !bytes.Equal(stored, record) { // by another process
		err = &store.UnavailableError{Reason: store.NotStored, Backend: k.Name()}
	}
	return err
}

func (k fileKeychain) Delete(ctx context.Context, key string) error {
	if err := k.Probe(ctx); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(string(k), key)); err != nil {
		return store.ErrNotFound
	}
	return nil
}

// TestScripts runs testdata/script: the command from outside, as people use it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			config, data := filepath.Join(env.WorkDir, "config"), filepath.Join(env.WorkDir, "data")
			files := filepath.Join(data, "oauth-login", "encrypted")
			if runtime.GOOS == "darwin" {
				files = filepath.Join(env.WorkDir, "Library", "Application Support", "oauth-login", "encrypted")
			}
			for name, value := range map[string]string{
				"HOME": env.WorkDir, "XDG_CONFIG_HOME": config, "AppData": config, "OAUTH_LOGIN_LOCK_DIR": filepath.Join(env.WorkDir, "locks"),
				"XDG_DATA_HOME": data, "LocalAppData": data, "ENCRYPTED_FILES": files,
				"FAKE_KEYCHAIN": filepath.Join(env.WorkDir, "keychain"), "BROWSER": "fake-browser", "NO_PROXY": "*",
				"GORACE": "atexit_sleep_ms=0", // by default, a process under the race detector ends a second late
			} {
				env.Setenv(name, value)
			}
			env.Values[issuerSlot{}] = new(*issuer.Issuer)
			env.Values[companySlot{}] = new(*company)
			return errors.Join(watch(env), writeIdentity(filepath.Join(env.WorkDir, "key")), writeIdentity(filepath.Join(env.WorkDir, "other")),
				writeKeys(filepath.Join(env.WorkDir, "keys")), hideSecret(filepath.Join(env.WorkDir, "secret")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"issuer":        startIssuer,
			"imitate":       startImitation,
			"code":          checkExitCode,
			"fails":         checkFailure,
			"soon":          checkHaste,
			"opened":        checkOpened,
			"busy":          occupyPort,
			"free":          findPort,
			"expire":        func(*testscript.TestScript, bool, []string) { time.Sleep(time.Second) }, // of short-lived
			"count":         countRequests,
			"forget":        func(ts *testscript.TestScript, _ bool, _ []string) { running(ts).ForgetClients() },
			"clients":       countClients,
			"api":           callResource,
			"expire-tokens": func(ts *testscript.TestScript, _ bool, _ []string) { running(ts).ExpireAccessTokens() },
			"leaks":         scanForSecrets,
			"empty":         checkEmptyKeychain,
			"json":          checkJSON,
			"events":        checkEvents,
			"page":          waitForPage,
			"compare":       compareLines,
			"company":       foundCompany,
			"tunnels":       countTunnels,
		},
		RequireExplicitExec: true,
	})
}

// hideSecret keeps others from a secret that a script brings.
func hideSecret(name string) error {
	if err := os.Chmod(name, 0o600); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeIdentity makes a file that opens encrypted files.
func writeIdentity(name string) error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(identity.String()+"\n"), 0o600)
}

// waitForPage waits until the browser has written what it saw last. The browser
// does not end with the command.
func waitForPage(ts *testscript.TestScript, _ bool, _ []string) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs("page")); err == nil {
			return
		}
	}
	ts.Fatalf("the browser has seen no page")
}

// issuerSlot is the key of the script's provider.
type issuerSlot struct{}

func running(ts *testscript.TestScript) *issuer.Issuer {
	return *ts.Value(issuerSlot{}).(**issuer.Issuer)
}

// startIssuer starts a provider, honest or with faults, and sets ISSUER.
func startIssuer(ts *testscript.TestScript, _ bool, args []string) {
	key, err := clientKey()
	ts.Check(err)
	opts := &issuer.Options{Clients: []issuer.Client{
		{ID: "cli", Name: "A test client"},
		{ID: "signed", UserinfoAlg: "EdDSA"},
		{ID: "confidential", Secret: "s3cret value/+", AuthMethod: issuer.AuthPost},
		{ID: "jwt", Secret: "s3cret value/+", AuthMethod: issuer.AuthSecretJWT},
		{ID: "keyed", Key: key.Public()},
		{ID: "bound", DPoPBound: true},
	}}
	start(ts, opts, args)
}

// startImitation: imitate NAME [fault...]: starts a provider that has the ways of
// the one of a preset, and sets ISSUER.
func startImitation(ts *testscript.TestScript, _ bool, args []string) {
	preset := presetOf(args[0])
	if preset == nil {
		ts.Fatalf("no preset %q", args[0])
	}
	start(ts, imitate(preset), args[1:])
}

func start(ts *testscript.TestScript, opts *issuer.Options, wanted []string) {
	for _, name := range wanted {
		fault, ok := faults[name]
		if !ok {
			ts.Fatalf("no fault %q", name)
		}
		fault(opts)
	}
	inner, witness := opts.Wrap, ts.Value(spySlot{}).(*spy)
	opts.Wrap = func(next http.Handler) http.Handler {
		if inner != nil {
			next = inner(next)
		}
		return witness.watch(next)
	}
	provider, err := issuer.Start(opts)
	ts.Check(err)
	ts.Defer(func() { provider.Close() })
	ts.Setenv("ISSUER", provider.URL())
	ts.Setenv("API", provider.ResourceURL())
	*ts.Value(issuerSlot{}).(**issuer.Issuer) = provider
	all := ts.Value(issuersSlot{}).(*[]*issuer.Issuer)
	*all = append(*all, provider)
}
