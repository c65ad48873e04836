package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Profiles is the list of this user's logins, so that a program can offer a
// choice and remember a default without asking the keychain for what it holds
// (some keychains cannot tell). It is a directory with one small file per login
// and holds no secret.
type Profiles struct {
	// Dir is the directory; empty means "oauth-login/profiles" in the user's
	// configuration directory (os.UserConfigDir).
	Dir string
}

// A Profile names one login. Issuer, ClientID and Name together are its key in
// a store; Name is empty for the usual login of an issuer and a client.
type Profile struct {
	Name     string `json:"name,omitempty"`
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
	// Default marks the profile that was saved last. List sets it.
	Default bool `json:"-"`
	// CACert is a file of certificates to trust beside the system's.
	CACert string `json:"ca_cert,omitempty"`
}

const (
	profileSuffix = ".json"
	defaultFile   = "default"
)

// Check reports whether a profile could be saved, without saving one.
func (p *Profiles) Check() error {
	dir, err := p.create()
	if err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return fmt.Errorf("the list of logins cannot be written: %w", err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// Save adds a profile, or replaces it, and makes it the default.
func (p *Profiles) Save(profile Profile) error {
	dir, err := p.create()
	if err != nil {
		return err
	}
	data, err := json.Marshal(profile)
	if err != nil {
		return err
	}
	if err := writeFile(dir, profile.file(), data); err != nil {
		return err
	}
	return writeFile(dir, defaultFile, []byte(profile.file()))
}

// Remove takes a profile off the list. One that is not there is no error. If it
// was the default, then there is none until the next Save.
func (p *Profiles) Remove(profile Profile) error {
	dir, err := p.path()
	if err != nil {
		return err
	}
	names := []string{profile.file()}
	if chosen, err := readDefault(dir); err == nil && chosen == profile.file() {
		names = append(names, defaultFile)
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Default returns the profile that was saved last. ok is false when there is
// none, or when it was removed since. It reads two files, however long the list
// is.
func (p *Profiles) Default() (profile Profile, ok bool, err error) {
	dir, err := p.path()
	if err != nil {
		return profile, false, err
	}
	name, err := readDefault(dir)
	if err != nil || name == "" {
		return profile, false, err
	}
	profile, ok = readProfile(dir, name)
	profile.Default = ok
	return profile, ok, nil
}

// List returns all profiles, the default first and the others by issuer,
// client and name. Files that are not profiles are passed over.
func (p *Profiles) List() ([]Profile, error) {
	dir, err := p.path()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	chosen, err := readDefault(dir)
	if err != nil {
		return nil, err
	}
	var profiles []Profile
	for _, entry := range entries {
		if profile, ok := readProfile(dir, entry.Name()); ok {
			profile.Default = entry.Name() == chosen
			profiles = append(profiles, profile)
		}
	}
	slices.SortFunc(profiles, func(a, b Profile) int {
		switch {
		case a.Default:
			return -1
		case b.Default:
			return 1
		}
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Name, b.Name))
	})
	return profiles, nil
}

// readDefault returns the name of the default profile's file, "" for none.
func readDefault(dir string) (string, error) {
	name, err := os.ReadFile(filepath.Join(dir, defaultFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(name), err
}

// readProfile reads one file. Its name has to be the one that the profile
// within would be given.
func readProfile(dir, name string) (profile Profile, ok bool) {
	if filepath.Base(name) != name || !strings.HasSuffix(name, profileSuffix) {
		return profile, false
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil || json.Unmarshal(data, &profile) != nil {
		return Profile{}, false
	}
	return profile, profile.file() == name
}

// file is the name of a profile's file: its own writing would not do for every
// file system.
func (p Profile) file() string {
	sum := sha256.Sum256([]byte("profile\n" + p.Issuer + "\n" + p.ClientID + "\n" + p.Name))
	return hex.EncodeToString(sum[:16]) + profileSuffix
}

func (p *Profiles) path() (string, error) {
	if p.Dir != "" {
		return p.Dir, nil
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("the list of logins has no place: %w", err)
	}
	return filepath.Join(config, "oauth-login", "profiles"), nil
}

// create returns the directory after making it.
func (p *Profiles) create() (string, error) {
	dir, err := p.path()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("the list of logins has no place: %w", err)
	}
	return dir, nil
}

// writeFile replaces a file in one step, so that a reader sees the old text or
// the new one.
func writeFile(dir, name string, data []byte) error {
	temp, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // fails once it was renamed
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Sync()
	}
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dir, name))
	}
	return err
}
