//go:build linux

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/oauth-login/oauth-login/grant"
)

// These tests kill a process, with SIGKILL, at each of its uses of the keychain,
// and look at what it has left.

const victimVariable = "OAUTH_LOGIN_TEST_VICTIM"

// A victim is a process that does one thing and is killed meanwhile.
type victim struct {
	Dir   string // of the keychain, and of the records that are too large for it
	Do    string // "save", "delete" or "refresh"
	Size  int    // of the record to save, or of the token to get
	Dying string // what its last call leaves behind: a key of effects
	Call  int    // which one that is, of all calls, or of the writes unless it is killed before
}

// run is the victim's life.
func (v *victim) run() error {
	ctx := context.Background()
	k := v.keychain()
	switch v.Do {
	case "save":
		return k.Save(ctx, testKey, recordOf("new", v.Size))
	case "delete":
		return k.Delete(ctx, testKey)
	case "refresh":
		_, err := v.source(k).Refresh(ctx)
		return err
	}
	return fmt.Errorf("what is %q?", v.Do)
}

func (v *victim) keychain() *Keychain {
	return &Keychain{
		ring: &fileRing{dir: filepath.Join(v.Dir, "items"), victim: v}, probe: ready,
		goos: "windows", dataDir: filepath.Join(v.Dir, "records"),
	}
}

// source is a login at a provider that gives tokens of the victim's size.
func (v *victim) source(k *Keychain) *Source {
	return &Source{
		Store: k, LockDir: filepath.Join(v.Dir, "locks"),
		Client: &grant.Client{
			ClientID:   "cli",
			Server:     &grant.AuthorizationServer{Issuer: "https://issuer.example", TokenEndpoint: "https://issuer.example/token"},
			HTTPClient: &http.Client{Transport: v},
		},
	}
}

// RoundTrip is the token endpoint. It notes that a refresh token was spent.
func (v *victim) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := os.WriteFile(filepath.Join(v.Dir, "spent"), nil, 0o600); err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{
		"access_token": "new-" + strings.Repeat("x", v.Size), "token_type": "Bearer", "refresh_token": "new", "expires_in": 3600,
	})
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
		Body: io.NopCloser(strings.NewReader(string(body))),
	}, err
}

// A fileRing is a keychain in a directory, which outlives the process. Each item
// is replaced in one step, except where the victim says otherwise.
type fileRing struct {
	dir    string
	victim *victim
	calls  int // of those that count
}

// call kills the victim if this is its last call.
func (r *fileRing) call(leave func()) {
	if r.calls++; r.victim.Dying == "" || r.calls <= r.victim.Call {
		return
	}
	leave()
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// write changes an item, or what the last call leaves of it.
func (r *fileRing) write(user, item string, is bool, change func() error) error {
	r.call(func() { r.leave(user, item, is) })
	return change()
}

func (r *fileRing) leave(user, item string, is bool) {
	path := filepath.Join(r.dir, user)
	before, err := os.ReadFile(path)
	left, ok := effects[r.victim.Dying](string(before), item, err == nil, is)
	if os.Remove(path); ok {
		os.WriteFile(path, []byte(left), 0o600)
	}
}

func (r *fileRing) Get(_, user string) (string, error) {
	if r.victim.Dying == "before" { // or else it is as if it was killed after the last write
		r.call(func() {})
	}
	item, err := os.ReadFile(filepath.Join(r.dir, user))
	if errors.Is(err, fs.ErrNotExist) {
		err = keyring.ErrNotFound
	}
	return string(item), err
}

func (r *fileRing) Set(_, user, secret string) error {
	return r.write(user, secret, true, func() error {
		temp := filepath.Join(r.dir, ".new")
		if err := os.WriteFile(temp, []byte(secret), 0o600); err != nil {
			return err
		}
		return os.Rename(temp, filepath.Join(r.dir, user))
	})
}

func (r *fileRing) Delete(_, user string) error {
	return r.write(user, "", false, func() error {
		err := os.Remove(filepath.Join(r.dir, user))
		if errors.Is(err, fs.ErrNotExist) {
			return keyring.ErrNotFound
		}
		return err
	})
}

// dies runs the victim in a process of its own and reports whether it was killed.
func (v *victim) dies(t *testing.T) bool {
	t.Helper()
	life, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"="+string(life), "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", life, err, out)
	}
	return false
}

// everyKill kills the victim at each of its calls, in all ways, on what prepare
// makes, until it survives.
func (v victim) everyKill(t *testing.T, prepare func(*victim), check func(*testing.T, *victim)) {
	t.Helper()
	killed := 0
	for dying := range effects {
		for call := 0; ; call++ {
			v := v
			v.Dir = t.TempDir()
			if err := os.Mkdir(filepath.Join(v.Dir, "items"), 0o700); err != nil {
				t.Fatal(err)
			}
			prepare(&v)
			v.Call, v.Dying = call, dying
			if !v.dies(t) {
				break
			}
			v.Dying = ""
			check(t, &v)
			killed++
		}
	}
	t.Logf("%s of %d bytes: killed %d times", v.Do, v.Size, killed)
}

// Small ones, split ones, and ones in a file.
var killSizes = []int{100, 6000, 70_000}

func TestKilledSave(t *testing.T) {
	for _, from := range killSizes {
		for _, to := range killSizes {
			t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
				t.Parallel()
				victim{Do: "save", Size: to}.everyKill(t, func(v *victim) { v.saves(t, from) }, func(t *testing.T, v *victim) {
					v.assertHolds(t, recordOf("old", from), recordOf("new", to))
					last := recordOf("last", to)
					if err := v.keychain().Save(t.Context(), testKey, last); err != nil {
						t.Fatal(err)
					}
					v.assertHolds(t, last)
					v.assertTidy(t)
				})
			})
		}
	}
}

func TestKilledDelete(t *testing.T) {
	for _, size := range killSizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			victim{Do: "delete", Size: size}.everyKill(t, func(v *victim) { v.saves(t, size) }, func(t *testing.T, v *victim) {
				v.assertHolds(t, recordOf("old", size), nil)
				v.assertTidy(t)
			})
		})
	}
}

// saves is what was done before: two saves, so that there is a backup.
func (v *victim) saves(t *testing.T, size int) {
	t.Helper()
	for _, label := range []string{"older", "old"} {
		if err := v.keychain().Save(t.Context(), testKey, recordOf(label, size)); err != nil {
			t.Fatal(err)
		}
	}
}

// assertHolds wants one of the records, nil for none.
func (v *victim) assertHolds(t *testing.T, records ...[]byte) {
	t.Helper()
	got, err := v.keychain().Load(t.Context(), testKey)
	if err != nil && !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if _, _, err := unseal(got); err != nil {
		got = nil // nobody can sign in with it, and a new login replaces it
	}
	if !slices.ContainsFunc(records, func(record []byte) bool { return string(record) == string(got) }) {
		t.Errorf("killed at call %d: %d bytes are left", v.Call, len(got))
	}
}

// assertTidy wants no more than two generations, and nothing after Delete.
func (v *victim) assertTidy(t *testing.T) {
	t.Helper()
	count := func() (items, files int) {
		found, _ := os.ReadDir(filepath.Join(v.Dir, "items"))
		records, _ := filepath.Glob(filepath.Join(v.Dir, "records", "[^.]*"))
		return len(found), len(records)
	}
	if items, files := count(); items > 9 || files > 2 {
		t.Errorf("killed at call %d: %d items and %d files for two generations", v.Call, items, files)
	}
	if err := v.keychain().Delete(t.Context(), testKey); err != nil && !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if items, files := count(); items > 0 || files > 0 {
		t.Errorf("killed at call %d: Delete left %d items and %d files", v.Call, items, files)
	}
}

// A refresh that is killed leaves the old tokens or the new ones. If the refresh
// token was spent and what it has bought is lost, then that can be told.
func TestKilledRefresh(t *testing.T) {
	for _, size := range []int{1, 6000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			victim{Do: "refresh", Size: size}.everyKill(t, func(v *victim) { v.signIn(t) }, func(t *testing.T, v *victim) {
				source := v.source(v.keychain())
				record, err := source.Load(t.Context())
				if err != nil {
					t.Fatalf("killed at call %d: %v", v.Call, err)
				}
				_, err = os.Stat(filepath.Join(v.Dir, "spent"))
				spent := err == nil
				switch refresh := string(record.Token.RefreshToken); {
				case refresh == "new" && len(record.Token.AccessToken) == v.Size+len("new-"):
				case refresh == "old" && string(record.Token.AccessToken) == "old":
					interrupted, err := v.keychain().Interrupted(t.Context(), source.key())
					if err != nil || spent && !interrupted {
						t.Errorf("killed at call %d: spent %v, interrupted %v, %v", v.Call, spent, interrupted, err)
					}
				default:
					t.Errorf("killed at call %d: a mix is left", v.Call)
				}
				if token, err := source.Refresh(t.Context()); err != nil || token.RefreshToken != "new" {
					t.Errorf("killed at call %d: the next refresh: %v", v.Call, err)
				}
			})
		})
	}
}

// signIn stores a login whose token has expired.
func (v *victim) signIn(t *testing.T) {
	t.Helper()
	source := v.source(v.keychain())
	source.Login = func(context.Context, func(context.Context, *grant.Token) error) (*grant.Token, error) {
		return &grant.Token{AccessToken: "old", TokenType: "bearer", RefreshToken: "old", Expiry: time.Now().Add(-time.Hour)}, nil
	}
	if _, err := source.SignIn(t.Context()); err != nil {
		t.Fatal(err)
	}
}
