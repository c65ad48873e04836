package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
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
	os.Exit(newProgram(fileKeychain(os.Getenv("FAKE_KEYCHAIN"))).run(untilInterrupted(), os.Args[1:]))
}

// fakeBrowser is a browser and the person in front of it. What the last page
// says goes to a file.
func fakeBrowser() {
	environment := []byte(strings.Join(os.Environ(), "\n"))
	if err := os.WriteFile(filepath.Join(os.Getenv("WORK"), "browser-environment"), environment, 0o600); err != nil {
		os.Exit(1)
	}
	visitor := &issuer.Visitor{Deny: os.Getenv("FAKE_BROWSER") == "deny"}
	last, err := visitor.Visit(context.Background(), os.Args[1])
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

func (k fileKeychain) Name() string { return "Test Keyring" }

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
			} {
				env.Setenv(name, value)
			}
			env.Values[issuerSlot{}] = new(*issuer.Issuer)
			return errors.Join(writeIdentity(filepath.Join(env.WorkDir, "key")), writeIdentity(filepath.Join(env.WorkDir, "other")),
				writeKeys(filepath.Join(env.WorkDir, "keys")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"issuer":        startIssuer,
			"code":          checkExitCode,
			"fails":         checkFailure,
			"busy":          occupyPort,
			"expire":        func(*testscript.TestScript, bool, []string) { time.Sleep(time.Second) }, // of short-lived
			"count":         countRequests,
			"expire-tokens": func(ts *testscript.TestScript, _ bool, _ []string) { running(ts).ExpireAccessTokens() },
			"leaks":         scanForSecrets,
			"empty":         checkEmptyKeychain,
			"json":          checkJSON,
			"page":          waitForPage,
		},
		RequireExplicitExec: true,
	})
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
	for _, name := range args {
		fault, ok := faults[name]
		if !ok {
			ts.Fatalf("no fault %q", name)
		}
		fault(opts)
	}
	provider, err := issuer.Start(opts)
	ts.Check(err)
	ts.Defer(func() { provider.Close() })
	ts.Setenv("ISSUER", provider.URL())
	*ts.Value(issuerSlot{}).(**issuer.Issuer) = provider
}

var faults = map[string]func(*issuer.Options){
	"short-lived": func(o *issuer.Options) { o.AccessTokenTTL = time.Second },
	"nonces":      func(o *issuer.Options) { o.DPoPNonce = true },
	"no-dpop": func(o *issuer.Options) {
		o.Wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("DPoP")
				query := r.URL.Query()
				query.Del("dpop_jkt")
				r.URL.RawQuery = query.Encode()
				next.ServeHTTP(w, r)
			})
		}
	},
	"unknown-dpop": func(o *issuer.Options) { o.Metadata = set("dpop_signing_alg_values_supported", []string{"ES256K"}) },
	"html": func(o *issuer.Options) {
		o.Wrap = func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<!doctype html><title>Welcome</title>")
			})
		}
	},
	"other-issuer": func(o *issuer.Options) { o.Metadata = set("issuer", "https://evil.example") },
	"slash": func(o *issuer.Options) {
		o.Metadata = func(doc map[string]any) { doc["issuer"] = doc["issuer"].(string) + "/" }
	},
	"device":         func(o *issuer.Options) { o.Device = onDevice(&issuer.Visitor{}, o) },
	"device-refused": func(o *issuer.Options) { o.Device = onDevice(&issuer.Visitor{Deny: true}, o) },
	"device-nobody":  func(o *issuer.Options) { o.Device = onDevice(nil, o) },
	"device-expired": func(o *issuer.Options) {
		o.Device = func(body map[string]any) { body["interval"], body["expires_in"] = 0.05, 0.2 }
	},
	"device-evil": func(o *issuer.Options) {
		o.Device = func(body map[string]any) { body["verification_uri_complete"] = "javascript:alert(1)" }
	},
	"no-device":      func(o *issuer.Options) { o.Metadata = without("device_authorization_endpoint") },
	"no-userinfo":    func(o *issuer.Options) { o.Metadata = without("userinfo_endpoint") },
	"other-userinfo": func(o *issuer.Options) { o.Userinfo = func(claims map[string]any) { claims["sub"] = "somebody else" } },
	"odd-userinfo": func(o *issuer.Options) {
		o.Userinfo = func(claims map[string]any) {
			claims["address"], claims["nothing"], claims["na\x1bme"] = map[string]any{"country": "GB"}, nil, "a\x1b[31m\nb"
		}
	},
	"no-token-endpoint": func(o *issuer.Options) { o.Metadata = without("token_endpoint") },
	"plain-pkce":        func(o *issuer.Options) { o.Metadata = set("code_challenge_methods_supported", []string{"plain"}) },
	"expired-id-token":  func(o *issuer.Options) { o.IDToken = claim("exp", time.Now().Add(-time.Hour).Unix()) },
	"other-nonce":       func(o *issuer.Options) { o.IDToken = claim("nonce", "another") },
	"other-audience":    func(o *issuer.Options) { o.IDToken = claim("aud", "another") },
	"other-iss": func(o *issuer.Options) {
		o.Redirect = func(params url.Values) { params.Set("iss", "https://evil.example") }
	},
	"forged": func(o *issuer.Options) {
		o.Token = func(_ *http.Request, status int, body map[string]any) (int, map[string]any) {
			if token, ok := body["id_token"].(string); ok {
				i := strings.LastIndexByte(token, '.') + 1
				flipped := map[bool]string{true: "B", false: "A"}[token[i] == 'A']
				body["id_token"] = token[:i] + flipped + token[i+1:]
			}
			return status, body
		}
	},
	"token-500": func(o *issuer.Options) {
		o.Token = func(*http.Request, int, map[string]any) (int, map[string]any) { return 500, nil }
	},
	"invalid-grant": func(o *issuer.Options) {
		o.Token = func(*http.Request, int, map[string]any) (int, map[string]any) {
			return 400, map[string]any{"error": "invalid_grant", "error_description": "no \x1b[31mred\x1b[0m here"}
		}
	},
}

// onDevice is a person with another device, who signs in before the first one asks;
// nobody for nil.
func onDevice(person *issuer.Visitor, o *issuer.Options) func(body map[string]any) {
	o.DeviceInterval = 50 * time.Millisecond
	return func(body map[string]any) {
		if person == nil {
			return
		}
		if _, err := person.Visit(context.Background(), body["verification_uri_complete"].(string)); err != nil {
			panic(err) // the issuer's server closes the connection then
		}
	}
}

func without(name string) func(map[string]any) {
	return func(doc map[string]any) { delete(doc, name) }
}

func set(name string, value any) func(map[string]any) {
	return func(doc map[string]any) { doc[name] = value }
}

func claim(name string, value any) func(header, claims map[string]any) {
	return func(_, claims map[string]any) { claims[name] = value }
}

// checkExitCode: code N command args... runs a command and compares its exit
// code, which exec does not.
func checkExitCode(ts *testscript.TestScript, _ bool, args []string) {
	want := args[0]
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = fmt.Sprint(exit.ExitCode())
	} else if err != nil {
		got = err.Error()
	}
	if got != want {
		ts.Fatalf("exit code %s, want %s", got, want)
	}
}

// checkFailure: fails N command args... is code for a command that has to fail as
// all of them do: with one error line, one hint line and nothing else on both
// streams together.
func checkFailure(ts *testscript.TestScript, neg bool, args []string) {
	checkExitCode(ts, neg, args)
	lines := strings.SplitAfter(ts.ReadFile("stdout")+ts.ReadFile("stderr"), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "oauth-login: error: ") || !strings.HasPrefix(lines[1], "hint: ") || lines[2] != "" {
		ts.Fatalf("it says %d lines, want one error and one hint", len(lines)-1)
	}
}

// occupyPort listens on a port and sets BUSY to it.
func occupyPort(ts *testscript.TestScript, _ bool, _ []string) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(err)
	ts.Setenv("BUSY", port)
}

// countRequests: count endpoint N.
func countRequests(ts *testscript.TestScript, _ bool, args []string) {
	if got := fmt.Sprint(running(ts).Requests(args[0])); got != args[1] {
		ts.Fatalf("%s requests to the %s endpoint, want %s", got, args[0], args[1])
	}
}

// scanForSecrets looks for every secret that the issuer gave out in the output
// of the last command.
func scanForSecrets(ts *testscript.TestScript, _ bool, _ []string) {
	for _, stream := range []string{"stdout", "stderr"} {
		text := ts.ReadFile(stream)
		for _, secret := range running(ts).Secrets() {
			if strings.Contains(text, secret) {
				ts.Fatalf("%s holds a secret", stream)
			}
		}
	}
}

// checkEmptyKeychain: nothing is stored, and the list of logins is empty.
func checkEmptyKeychain(ts *testscript.TestScript, _ bool, _ []string) {
	for _, dir := range []string{"keychain", "config/oauth-login/profiles", ts.Getenv("ENCRYPTED_FILES")} {
		entries, _ := os.ReadDir(ts.MkAbs(dir))
		for _, entry := range entries {
			if entry.Name() != ".lock" { // which holds nothing
				ts.Fatalf("%s holds %v", dir, entry)
			}
		}
	}
}

// checkJSON: json path [value]: standard output of the last command is one JSON
// object on one line and nothing else. At the path it has the value, or any.
func checkJSON(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile("stdout")
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil || strings.Count(text, "\n") != 1 {
		ts.Fatalf("standard output is not one JSON object: %v", err)
	}
	for name := range strings.SplitSeq(args[0], ".") {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[name]
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)
			value = inner[i]
		default:
			value = nil
		}
	}
	if value == nil || len(args) > 1 && fmt.Sprint(value) != args[1] {
		ts.Fatalf("%s is %v", args[0], value)
	}
}
