//go:build unix

package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestProfilesKilled kills a process before each change that it makes to the
// list: every list that is left can be read and used, and holds the other
// profile and this one as it was or as it was to be.
func TestProfilesKilled(t *testing.T) {
	other := Profile{Issuer: "https://b.example", ClientID: "cli"}
	for _, do := range []string{"add", "save", "resave", "remove", "check"} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			for change := 1; ; change++ {
				p := &Profiles{Dir: filepath.Join(t.TempDir(), "profiles")}
				if err := p.Save(t.Context(), other); err != nil {
					t.Fatal(err)
				}
				if do == "remove" || do == "resave" {
					if err := p.Save(t.Context(), childProfile); err != nil {
						t.Fatal(err)
					}
				}
				killed := killProfiles(t, p.Dir, do, change)
				profiles, err := p.List()
				if err != nil {
					t.Fatal(err)
				}
				if len(profiles) > 2 || !contains(profiles, other) || do == "resave" && !contains(profiles, childProfile) {
					t.Fatalf("killed before change %d: %+v", change, profiles)
				}
				if _, _, err := p.Default(); err != nil {
					t.Fatal(err)
				}
				if err := p.Save(t.Context(), childProfile); err != nil {
					t.Fatal(err)
				}
				if chosen, ok, err := p.Default(); err != nil || !ok || chosen.Name != childProfile.Name {
					t.Errorf("default = %+v, %v, %v", chosen, ok, err)
				}
				for _, profile := range []Profile{other, childProfile} {
					if err := p.Remove(t.Context(), profile); err != nil {
						t.Fatal(err)
					}
				}
				expectFiles(t, p.Dir)
				if !killed {
					if change < 4 {
						t.Errorf("%s made %d changes", do, change-1)
					}
					return
				}
			}
		})
	}
}

// TestProfilesOfManyProcesses: eight processes add, replace and remove; each
// keeps one. All of these are there in the end, and nobody ever reads half an
// entry.
func TestProfilesOfManyProcesses(t *testing.T) {
	p := &Profiles{Dir: filepath.Join(t.TempDir(), "profiles")}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			if killProfiles(t, p.Dir, "many"+strconv.Itoa(i), 0) {
				t.Error("killed")
			}
		})
	}
	wait.Wait()
	profiles, err := p.List()
	if err != nil || len(profiles) != 8 {
		t.Errorf("%d profiles, %v: %+v", len(profiles), err, profiles)
	}
	if _, ok, err := p.Default(); !ok || err != nil {
		t.Errorf("no default: %v", err)
	}
}

// TestProfilesKilledWhileMoving: however far a move has come, the login is listed
// at a place that holds it, and the other is listed to be left.
func TestProfilesKilledWhileMoving(t *testing.T) {
	from, to := Place{Store: "encrypted-file", Dir: "/from"}, Place{Store: "encrypted-file", Dir: "/to"}
	for change := 1; ; change++ {
		p := &Profiles{Dir: filepath.Join(t.TempDir(), "profiles")}
		profile := childProfile
		profile.Place = from
		if err := p.Save(t.Context(), profile); err != nil {
			t.Fatal(err)
		}
		killed := killProfiles(t, p.Dir, "move", change)
		profiles, err := p.List()
		if err != nil || len(profiles) != 1 {
			t.Fatalf("killed before change %d: %+v, %v", change, profiles, err)
		}
		_, err = os.Stat(filepath.Join(p.Dir, "saved"))
		saved := err == nil // the new place holds it, too
		switch got := profiles[0]; {
		case got.Place == from && slices.Equal(got.Left, []Place{to}):
		case got.Place == from && got.Left == nil && !saved:
		case got.Place == to && slices.Equal(got.Left, []Place{from}) && saved:
		default:
			t.Errorf("killed before change %d, saved %v: %+v", change, saved, got)
		}
		if !killed {
			if change < 15 || profiles[0].Place != to {
				t.Errorf("after %d changes: %+v", change-1, profiles)
			}
			return
		}
	}
}

// TestLoginKilled kills a process while it stores a login and lists it, and while
// it deletes one: what is stored is listed at every moment, and what is listed
// and not stored can be pruned.
func TestLoginKilled(t *testing.T) {
	for _, do := range []string{"login", "login again", "logout"} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			for change := 1; ; change++ {
				dir := t.TempDir()
				p, e := loginStores(dir)
				enlist := func() error {
					return p.Enlist(t.Context(), childProfile, func() error { return e.Save(t.Context(), childProfile.Key(), []byte("record")) })
				}
				if do != "login" {
					if err := enlist(); err != nil {
						t.Fatal(err)
					}
				}
				killed := killProfiles(t, dir, do, change)
				_, err := e.Load(t.Context(), childProfile.Key())
				stored := err == nil
				if err != nil && !errors.Is(err, ErrNotFound) {
					t.Fatalf("killed before change %d: %v", change, err)
				}
				profiles, err := p.List()
				if err != nil || stored && len(profiles) != 1 || do == "login again" && !stored {
					t.Fatalf("killed before change %d: stored %v, listed %+v, %v", change, stored, profiles, err)
				}
				pruned, err := p.Prune(t.Context(), childProfile, func() (bool, error) { return !stored, nil })
				if err != nil || !stored && len(profiles) == 1 && !pruned {
					t.Errorf("killed before change %d: pruned %v, %v", change, pruned, err)
				}
				if err := enlist(); err != nil {
					t.Fatal(err)
				}
				if !killed {
					if change < 8 || stored == (do == "logout") {
						t.Errorf("after %d changes, stored %v", change-1, stored)
					}
					return
				}
			}
		})
	}
}

// loginStores are a list and a store with a passphrase in one directory.
func loginStores(dir string) (*Profiles, *EncryptedFile) {
	return &Profiles{Dir: filepath.Join(dir, "profiles")}, withPassphrase(filepath.Join(dir, "files"), "correct horse")
}

var childProfile = Profile{Issuer: "https://a.example", ClientID: "cli", Name: "child"}

func contains(profiles []Profile, want Profile) bool {
	for _, profile := range profiles {
		if profile.Issuer == want.Issuer && profile.Name == want.Name {
			return true
		}
	}
	return false
}

const profilesVariable = "OAUTH_LOGIN_TEST_PROFILES"

// killProfiles runs a child that kills itself before a change; 0 is never.
func killProfiles(t *testing.T, dir, do string, change int) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProfilesChild$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%d", profilesVariable, dir, do, change), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	killed := status.Signaled() && status.Signal() == syscall.SIGKILL
	if err != nil && !killed {
		t.Errorf("%s until change %d: %v\n%s", do, change, err, out)
	}
	return killed
}

// TestProfilesChild is the child of the tests above.
func TestProfilesChild(t *testing.T) {
	words := strings.Split(os.Getenv(profilesVariable), "|")
	if len(words) != 3 {
		return
	}
	left, _ := strconv.Atoi(words[2])
	before := func(string) error {
		if left--; left == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	p := &Profiles{Dir: words[0]}
	list, files := loginStores(words[0])
	p.before, list.before, files.before = before, before, before
	key := childProfile.Key()
	var err error
	switch words[1] {
	case "add":
		err = p.Add(t.Context(), childProfile)
	case "save", "resave":
		err = p.Save(t.Context(), childProfile)
	case "remove":
		err = p.Remove(t.Context(), childProfile)
	case "move":
		profile := childProfile
		profile.Place = Place{Store: "encrypted-file", Dir: "/to"}
		err = p.Enlist(t.Context(), profile, func() error {
			return os.WriteFile(filepath.Join(p.Dir, "saved"), nil, 0o600)
		})
	case "login", "login again":
		err = list.Enlist(t.Context(), childProfile, func() error { return files.Save(t.Context(), key, []byte("new")) })
	case "logout":
		if err = files.Delete(t.Context(), key); err != nil {
			break
		}
		_, err = list.Prune(t.Context(), childProfile, func() (bool, error) {
			_, err := files.Load(t.Context(), key)
			return errors.Is(err, ErrNotFound), nil
		})
	case "check":
		err = p.Check(t.Context())
	default:
		changeManyProfiles(t, p, words[1])
	}
	if err != nil {
		t.Fatal(err)
	}
}

// changeManyProfiles keeps the profile of its name and adds and removes others
// that it shares with other processes.
func changeManyProfiles(t *testing.T, p *Profiles, name string) {
	t.Helper()
	mine := Profile{Issuer: "https://a.example", ClientID: "cli", Name: name}
	for i := range 10 {
		shared := Profile{Issuer: "https://a.example", ClientID: "cli", Name: "shared" + strconv.Itoa(i%3)}
		for _, step := range []func() error{
			func() error { return p.Save(t.Context(), shared) },
			func() error { return p.Save(t.Context(), mine) },
			func() error { return p.Remove(t.Context(), shared) },
			func() error { return p.Add(t.Context(), mine) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
			profiles, err := p.List()
			if err != nil {
				t.Fatal(err)
			}
			if i > 0 && !contains(profiles, mine) {
				t.Fatalf("%s is not among %+v", name, profiles)
			}
		}
	}
	// Whatever was shared is removed by everybody, and so is gone in the end;
	// the default may have been one of these.
	if err := p.Save(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
}

// TestProfilesPipe: a pipe in the place of an entry, or of the default, is not
// waited for.
func TestProfilesPipe(t *testing.T) {
	p := &Profiles{Dir: t.TempDir()}
	profile := Profile{Issuer: "https://a.example", ClientID: "cli"}
	for _, name := range []string{profile.file(), defaultFile} {
		path := filepath.Join(p.Dir, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		_, listErr := p.List()
		_, _, defaultErr := p.Default()
		if name == defaultFile && (listErr == nil || defaultErr == nil) {
			t.Errorf("%s: %v, %v", name, listErr, defaultErr)
		}
		if err := p.Save(t.Context(), profile); name != defaultFile && err == nil {
			t.Error("a pipe was replaced")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestProfilesOthersCanWrite: who can write to the list can name another
// provider, or other files to read, for a login.
func TestProfilesOthersCanWrite(t *testing.T) {
	profile := Profile{Issuer: "https://a.example", ClientID: "cli"}
	for mode, want := range map[os.FileMode]bool{0o700: true, 0o755: true, 0o770: false, 0o702: false, 0o777: false} {
		t.Run(fmt.Sprintf("%03o", mode), func(t *testing.T) {
			p := &Profiles{Dir: filepath.Join(t.TempDir(), "profiles")}
			if err := p.Save(t.Context(), profile); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(p.Dir, mode); err != nil {
				t.Fatal(err)
			}
			_, listErr := p.List()
			_, _, findErr := p.Find(profile)
			for what, err := range map[string]error{"check": p.Check(t.Context()), "save": p.Save(t.Context(), profile), "list": listErr, "find": findErr} {
				var unavailable *UnavailableError
				if want != (err == nil) || !want && !errors.As(err, &unavailable) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}
