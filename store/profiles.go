package store

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Profiles is the list of this user's logins, so that a program can offer a
// choice and remember a default without asking the keychain for what it holds
// (some keychains cannot tell). It is a directory with one small file per login
// and holds no secret.
//
// A profile is listed before its login is stored (Enlist), and taken off the list
// after that is deleted (Prune), so that no login is ever out of sight. What a
// crash leaves is an entry without a login, for Prune.
//
// Errors are ErrNewer, those of the context, or an *UnavailableError.
type Profiles struct {
	// Dir is the directory; empty means "oauth-login/profiles" in the user's
	// configuration directory (os.UserConfigDir).
	Dir string

	before func(string) error // directory.before
}

// A Profile names one login. Issuer, ClientID and Name together are its key in
// a store; Name is empty for the usual login of an issuer and a client.
type Profile struct {
	// Name is what the person calls the login, Issuer and ClientID are its own.
	Name     string `json:"name,omitempty"`
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
	// Default marks the profile that was saved last. List sets it.
	Default bool `json:"-"`
	// Provider is a word of the program's own for what is special about the issuer,
	// empty for nothing.
	Provider string `json:"provider,omitempty"`
	// CACert is a file of certificates to trust beside the system's.
	CACert string `json:"ca_cert,omitempty"`
	// ClientKey and ClientCert are files with the private key and the certificate
	// of the client, which are never copied.
	ClientKey  string `json:"client_key,omitempty"`
	ClientCert string `json:"client_cert,omitempty"`
	// Place is where the login is. Left are places that may hold other copies,
	// which have to be deleted, because the login has moved or was about to.
	Place Place   `json:"place,omitzero"`
	Left  []Place `json:"-"`
	// Newer says that a newer version of this package has written the entry.
	// What else it says is not to be relied on; nothing here changes it.
	Newer bool `json:"-"`
}

// A Place is a store, and what opens it. Files are named by absolute paths.
type Place struct {
	// Store is the kind, in words of the program's own; empty in an old entry.
	Store string `json:"store"`
	// Dir, Identity and PassphraseFile are for an EncryptedFile.
	Dir            string `json:"dir,omitempty"`
	Identity       string `json:"identity,omitempty"`
	PassphraseFile string `json:"passphrase_file,omitempty"`
}

// Same reports whether a record that is saved at one place replaces the one at
// the other.
func (p Place) Same(other Place) bool { return p.Store == other.Store && p.Dir == other.Dir }

const (
	profilesName = "list of logins"
	defaultFile  = "default"
)

// enlistTimeout is longer than another process can take to store a login: it may
// have to wait for the lock of its record, and then for the person to unlock the
// keychain.
const enlistTimeout = 2 * (refreshTimeout + saveTime)

// Name returns "list of logins", which is the Backend of its errors.
func (p *Profiles) Name() string { return profilesName }

// Check reports whether a profile could be saved, without saving one.
func (p *Profiles) Check(ctx context.Context) error {
	return p.change(ctx, true, func(d *directory) error { return d.try(profileMax) })
}

// Add adds a profile, or replaces it. The default stays what it is.
func (p *Profiles) Add(ctx context.Context, profile Profile) error {
	return p.change(ctx, true, func(d *directory) error {
		if err := writeProfile(d, profile); err != nil {
			return err
		}
		pointTo(d, profile)
		return nil
	})
}

// Save adds a profile, or replaces it, and makes it the default.
func (p *Profiles) Save(ctx context.Context, profile Profile) error {
	return p.Enlist(ctx, profile, func() error { return nil })
}

// Enlist does what Save does, together with a save that stores the login at
// profile.Place. If save fails, the list is what it was, unless what it has begun
// may still come true (a keychain that did not answer in time): then the login is
// listed, so that it is not out of sight if that happens; Prune is for when it does
// not. If the process dies, the login is listed where it was before, with the new
// place to be left, or where it is now, with the old one to be left; see Leave.
//
// It waits for others that are in a save of theirs, as what this one stores may not
// be had again.
func (p *Profiles) Enlist(ctx context.Context, profile Profile, save func() error) error {
	return p.changeWithin(ctx, enlistTimeout, true, func(d *directory) error {
		old, listed := readProfile(d, profile.file())
		moving := listed && old.Place != (Place{}) && !profile.Place.Same(old.Place)
		profile.Left = old.Left
		pending := profile
		if moving {
			pending = old
			pending.Left, profile.Left = old.leaving(profile.Place), old.leaving(old.Place)
		}
		if err := writeProfile(d, pending); err != nil {
			return err
		}
		err := save()
		switch {
		case mayStillHappen(err):
			return err
		case err != nil && listed:
			return errors.Join(err, writeProfile(d, old))
		case err != nil:
			return errors.Join(err, d.remove(profile.file()))
		}
		if moving {
			if err := writeProfile(d, profile); err != nil {
				return err
			}
		}
		pointTo(d, profile)
		return d.replace(defaultFile, []byte(profile.file()))
	})
}

// mayStillHappen reports whether a save that has failed may have stored the login,
// or do so later.
func mayStillHappen(err error) bool {
	e, ok := errors.AsType[*UnavailableError](err)
	return ok && (e.Reason == TimedOut || e.Reason == Failed)
}

// leaving returns the places to leave, and one more.
func (p Profile) leaving(more Place) []Place {
	if slices.ContainsFunc(p.Left, more.Same) {
		return p.Left
	}
	return append(slices.Clone(p.Left), more)
}

// Leave calls remove for each place that a login has to leave, and notes that it
// has. Nobody enlists the login there in between. A place that cannot be left stays
// noted and does not keep the others; the error is the first one.
func (p *Profiles) Leave(ctx context.Context, profile Profile, remove func(Place) error) error {
	return p.change(ctx, false, func(d *directory) error {
		listed, ok := readProfile(d, profile.file())
		if !ok || len(listed.Left) == 0 {
			return nil
		}
		if listed.Newer {
			return ErrNewer // what it says of places may mean something else
		}
		var failed error
		listed.Left = slices.DeleteFunc(listed.Left, func(left Place) bool {
			if left.Same(listed.Place) {
				return true
			}
			err := remove(left)
			failed = cmp.Or(failed, err)
			return err == nil
		})
		written := writeProfile(d, listed)
		return cmp.Or(failed, written)
	})
}

// Remove takes a profile off the list. One that is not there is no error. If it
// was the default, then there is none until the next Save.
func (p *Profiles) Remove(ctx context.Context, profile Profile) error {
	_, err := p.Prune(ctx, profile, func() (bool, error) { return true, nil })
	return err
}

// Prune removes a profile if gone reports that there is no login of it. Nobody
// changes the list in between, so a login that another process saves at the same
// time is either found by gone or added again.
func (p *Profiles) Prune(ctx context.Context, profile Profile, gone func() (bool, error)) (pruned bool, err error) {
	err = p.change(ctx, false, func(d *directory) error {
		if err := refuseNewer(d, profile.file()); err != nil {
			return err
		}
		if pruned, err = gone(); err != nil || !pruned {
			return err
		}
		names := []string{profile.file()}
		if chosen, err := readDefault(d); err == nil && chosen == profile.file() {
			names = append(names, defaultFile)
		}
		if named, err := readPointer(d, profile.nameFile()); err == nil && named == profile.file() {
			names = append(names, profile.nameFile())
		}
		for _, name := range names {
			if err := d.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	return pruned && err == nil, err
}

// Default returns the profile that was saved last. ok is false when there is
// none, or when it was removed since. It reads two files, however long the list
// is.
func (p *Profiles) Default() (profile Profile, ok bool, err error) {
	err = p.look(func(d *directory) error {
		name, err := readDefault(d)
		if err != nil || name == "" {
			return err
		}
		profile, ok = readProfile(d, name)
		profile.Default = ok
		return nil
	})
	return profile, ok, err
}

// Find returns the profile with the Issuer, ClientID and Name of wanted, or where it
// has no more than a Name, the one that the person calls so and saved last. It reads
// three files at most, however long the list is. By its name alone, one that an older
// version has saved is not found here, but in List.
func (p *Profiles) Find(wanted Profile) (profile Profile, ok bool, err error) {
	err = p.look(func(d *directory) error {
		file := wanted.file()
		if wanted.Issuer == "" && wanted.ClientID == "" {
			if file, err = readPointer(d, wanted.nameFile()); err != nil {
				return err
			}
		}
		profile, ok = readProfile(d, file)
		if ok = ok && profile.Name == wanted.Name; !ok {
			return nil
		}
		chosen, err := readDefault(d)
		profile.Default = chosen == file
		return err
	})
	return profile, ok, err
}

// List returns all profiles, the default first and the others by issuer,
// client and name. Files that are not profiles are passed over.
func (p *Profiles) List() (profiles []Profile, err error) {
	err = p.look(func(d *directory) error {
		names, err := d.names()
		if err != nil {
			return err
		}
		chosen, err := readDefault(d)
		if err != nil {
			return err
		}
		for _, name := range names {
			if profile, ok := readProfile(d, name); ok {
				profile.Default = name == chosen
				profiles = append(profiles, profile)
			}
		}
		return nil
	})
	slices.SortFunc(profiles, func(a, b Profile) int {
		switch {
		case a.Default:
			return -1
		case b.Default:
			return 1
		}
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Name, b.Name))
	})
	return profiles, err
}

// change changes something in the directory while no other process does. It
// makes the directory, or does nothing where there is none.
func (p *Profiles) change(ctx context.Context, create bool, do func(*directory) error) error {
	return p.changeWithin(ctx, lockTimeout, create, do)
}

// changeWithin waits so long for others.
func (p *Profiles) changeWithin(ctx context.Context, patience time.Duration, create bool, do func(*directory) error) error {
	path, err := p.path()
	if err != nil {
		return err
	}
	open := openDirectory
	if create {
		open = createDirectory
	}
	d, err := open(path)
	if !create && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer d.close()
		d.before, d.patience = p.before, patience
		if err = d.ours(); err == nil {
			err = d.locked(ctx, func() error { return do(d) })
		}
	}
	return explainFile(profilesName, err)
}

// look reads something in the directory, where there is one.
func (p *Profiles) look(do func(*directory) error) error {
	path, err := p.path()
	if err != nil {
		return err
	}
	d, err := openDirectory(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		defer d.close()
		if err = d.ours(); err == nil {
			err = do(d)
		}
	}
	return explainFile(profilesName, err)
}

// readDefault returns the name of the default profile's file, "" for none.
func readDefault(d *directory) (string, error) { return readPointer(d, defaultFile) }

// readPointer returns what a file says is the name of another one, "" for nothing.
func readPointer(d *directory, file string) (string, error) {
	name, err := readListed(d, file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(name), err
}

// Key is the key under which a Store holds the login.
func (p Profile) Key() string { return itemKey(p.Issuer, p.ClientID, p.Name) }

func (p *Profiles) path() (string, error) {
	if p.Dir != "" {
		return p.Dir, nil
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", homeless(profilesName, err)
	}
	return filepath.Join(config, "oauth-login", "profiles"), nil
}
