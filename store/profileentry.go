package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
)

const (
	profileSuffix  = ".json"
	profileVersion = 1
	profileMax     = 64 << 10 // bytes of a file
)

// readListed reads a file of the directory, which others may have put there.
func readListed(d *directory, name string) ([]byte, error) {
	// Looked at before, as opening a pipe may take for ever.
	info, err := d.root.Stat(name)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(d.path, name)
	if !info.Mode().IsRegular() {
		return nil, unsafe("remove it", "%s is not a regular file", path)
	}
	file, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, profileMax+1))
	if err == nil && len(data) > profileMax {
		return nil, unsafe("remove it", "%s is larger than anything that is stored there", path)
	}
	return data, err
}

// profileWire is an entry as it is stored. Versions that know of one place to leave
// take the last one.
type profileWire struct {
	Version int `json:"version"`
	Profile
	Left   Place   `json:"left,omitzero"`
	Before []Place `json:"left_before,omitempty"`
}

func (w *profileWire) profile() Profile {
	profile := w.Profile
	profile.Newer = w.Version > profileVersion
	if profile.Left = w.Before; w.Left != (Place{}) {
		profile.Left = append(profile.Left, w.Left)
	}
	return profile
}

func wireOf(profile Profile) profileWire {
	w := profileWire{Version: profileVersion, Profile: profile}
	if n := len(profile.Left); n > 0 {
		w.Before, w.Left = profile.Left[:n-1], profile.Left[n-1]
	}
	return w
}

// readProfile reads one file. Its name has to be the one that the profile
// within would be given.
func readProfile(d *directory, name string) (profile Profile, ok bool) {
	if filepath.Base(name) != name || !strings.HasSuffix(name, profileSuffix) {
		return profile, false
	}
	var wire profileWire
	data, err := readListed(d, name)
	if err != nil || json.Unmarshal(data, &wire) != nil {
		return profile, false
	}
	profile = wire.profile()
	return profile, profile.file() == name
}

func writeProfile(d *directory, profile Profile) error {
	if err := refuseNewer(d, profile.file()); err != nil {
		return err
	}
	data, err := json.Marshal(wireOf(profile))
	if err != nil {
		return err
	}
	return d.replace(profile.file(), data)
}

// refuseNewer keeps this version from changing what it does not understand.
func refuseNewer(d *directory, name string) error {
	data, err := readListed(d, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var wire struct {
		Version float64 `json:"version"`
	}
	if json.Unmarshal(data, &wire) == nil && wire.Version > profileVersion {
		return ErrNewer
	}
	return nil // also when it is damaged
}

// nameFile is the name of the file that holds the name of the file of the profile
// that is called so.
func (p Profile) nameFile() string {
	sum := sha256.Sum256([]byte("name\n" + p.Name))
	return "name-" + hex.EncodeToString(sum[:16])
}

// pointTo makes a profile one that Find finds by its name alone. Without that, it is
// found in the list.
func pointTo(d *directory, profile Profile) {
	if profile.Name != "" {
		_ = d.replace(profile.nameFile(), []byte(profile.file()))
	}
}

// file is the name of a profile's file: its own writing would not do for every
// file system.
func (p Profile) file() string {
	sum := sha256.Sum256([]byte("profile\n" + p.Issuer + "\n" + p.ClientID + "\n" + p.Name))
	return hex.EncodeToString(sum[:16]) + profileSuffix
}
