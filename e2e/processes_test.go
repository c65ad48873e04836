package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// expired signs in and waits until the access token has expired. Later ones live for an hour, and take 300 ms to get.
func expired(t *testing.T, rotates bool) (*provider, *command) {
	t.Helper()
	const short = 1 // second
	p := startProvider(t, providerConfig{
		AlwaysRefresh: true, Configuration: object{"rotateRefreshToken": rotates}, Behavior: behavior{AccessTokenTTL: short},
	})
	c := newCommand(t, startKeyring(t))
	signIn(t, p, c)
	time.Sleep((short + 1) * time.Second)
	p.behave(t, behavior{AccessTokenTTL: 3600, Delay: 300})
	return p, c
}

func signIn(t *testing.T, p *provider, c *command) {
	t.Helper()
	running := c.start(t, login(p, "--no-browser")...)
	get(t, signInByHand(t, running.url(t), person{Login: "alice"}))
	running.wait(t).expect(t, exitDone)
}

// expectOneToken wants all processes to print one and the same token, which the provider takes.
func expectOneToken(t *testing.T, p *provider, running []*process) {
	t.Helper()
	var tokens []string
	for _, r := range running {
		result := r.wait(t)
		result.expect(t, exitDone)
		tokens = append(tokens, strings.TrimSuffix(result.stdout, "\n"))
	}
	if tokens = slices.Compact(tokens); len(tokens) != 1 {
		t.Errorf("%d processes have %d different tokens", len(running), len(tokens))
	}
	if status, sub := p.userinfo(t, tokens[0]); status != http.StatusOK || sub != "alice" {
		t.Errorf("userinfo with the token answered %d, %q", status, sub)
	}
}

func expectGrants(t *testing.T, p *provider, want ...string) {
	t.Helper()
	if got := p.grants(t); !slices.Equal(got, want) {
		t.Errorf("token requests are %q, want %q", got, want)
	}
}

// TestFiftyProcesses has fifty processes ask at once for a token that has expired. One of them refreshes it.
func TestFiftyProcesses(t *testing.T) {
	for name, rotates := range map[string]bool{"rotating": true, "not rotating": false} {
		t.Run(name, func(t *testing.T) {
			p, c := expired(t, rotates)
			var running []*process
			began := time.Now()
			for range 50 {
				running = append(running, c.start(t, "token"))
			}
			expectOneToken(t, p, running)
			t.Logf("50 tokens took %v", time.Since(began).Round(time.Millisecond))
			expectGrants(t, p, "authorization_code", "refresh_token")
			if left := p.usable(t, "RefreshToken"); len(left) != 1 {
				t.Errorf("the provider knows %d usable refresh tokens", len(left))
			}
		})
	}
}

// TestKilledRefresh kills the process that refreshes, between what its request does and the answer, while nine others wait. If the
// provider rotates, the refresh token is spent then and its successor lost, so that only a login helps, which the others have to say.
// Without rotation, nothing is lost.
func TestKilledRefresh(t *testing.T) {
	for name, rotates := range map[string]bool{"rotating": true, "not rotating": false} {
		t.Run(name, func(t *testing.T) {
			p, c := expired(t, rotates)
			p.behave(t, behavior{Hold: 60_000})
			victim := c.start(t, "token")
			for deadline := time.Now().Add(10 * time.Second); !refreshed(p.requests(t)); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("no refresh after 10 s")
				}
			}
			p.behave(t, behavior{Hold: 1})
			var others []*process
			for range 9 {
				others = append(others, c.start(t, "token"))
			}
			kill(victim.cmd)
			if !rotates {
				expectOneToken(t, p, others)
				expectGrants(t, p, "authorization_code", "refresh_token", "refresh_token")
				return
			}
			interrupted := 0 // the one who has asked the provider knows why it refuses; the others have waited for that one
			for _, r := range others {
				result := r.wait(t)
				result.expect(t, exitLoginRequired)
				if result.says("the last refresh was interrupted") {
					interrupted++
				} else if !result.says("the provider has just refused the refresh token, which another process has sent") {
					t.Errorf("stderr does not say what has happened:\n%s", result.stderr)
				}
				if !result.says("login required", "hint: sign in again") {
					t.Errorf("stderr does not say what to do:\n%s", result.stderr)
				}
			}
			if interrupted == 0 {
				t.Error("nobody says that the last refresh was interrupted")
			}
			signIn(t, p, c)
			c.run(t, "token").expect(t, exitDone)
		})
	}
}

// refreshed reports whether a refresh has had its effect.
func refreshed(requests []request) bool {
	return slices.ContainsFunc(requests, func(r request) bool {
		return r.Status != 0 && r.Parameters["grant_type"] == "refresh_token"
	})
}

// TestLocksBelongToTheUser has processes with other HOMEs and XDG directories share a keychain. They must not refresh at the same time,
// so their locks cannot be where those say.
func TestLocksBelongToTheUser(t *testing.T) {
	p, c := expired(t, true)
	files := locksOf(t, p.Issuer)
	t.Cleanup(func() { // all who could hold them have ended
		for _, file := range files {
			os.Remove(file)
		}
	})
	var running []*process
	for range 10 {
		home := t.TempDir()
		env := slices.DeleteFunc(slices.Clone(c.env), func(variable string) bool { return strings.HasPrefix(variable, "OAUTH_LOGIN_LOCK_DIR=") })
		for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR"} {
			env = append(env, name+"="+home)
		}
		other := &command{path: c.path, env: env}
		running = append(running, other.start(t, "token", "--issuer", p.Issuer, "--client-id", "native"))
	}
	expectOneToken(t, p, running)
	expectGrants(t, p, "authorization_code", "refresh_token")
	if !slices.ContainsFunc(files, func(file string) bool { _, err := os.Stat(file); return err == nil }) {
		t.Errorf("none of %q is there", files)
	}
}

// locksOf returns where the lock of a login may be.
func locksOf(t *testing.T, issuer string) []string {
	t.Helper()
	sum := sha256.Sum256([]byte("oauth-login/1\n" + issuer + "\nnative\n"))
	name := hex.EncodeToString(sum[:16]) + ".lock"
	uid := strconv.Itoa(os.Geteuid())
	owner, err := user.LookupId(uid)
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		filepath.Join(owner.HomeDir, ".cache", "oauth-login", "locks", name),
		filepath.Join("/tmp", "oauth-login-"+uid, name), // of a user who is not in /etc/passwd
	}
}
