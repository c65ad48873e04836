package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// The kinds of store: the values of --store, and of store.Place.
const (
	keychainStore  = "keychain"
	encryptedStore = "encrypted-file"
	noStore        = "none"
)

func (o *options) storeFlags(f *pflag.FlagSet) {
	f.StringVar(&o.store, "store", "", "`KIND` of store for a new login: keychain, encrypted-file or none; default: where it is, or the keychain")
	f.StringVar(&o.storeIdentity, "store-identity", "", "`FILE` with the age identity that opens the encrypted files")
	f.StringVar(&o.storePassphraseFile, "store-passphrase-file", "", "`FILE` with the passphrase of the encrypted files; default: $"+passphraseVariable+", or ask")
}

// place says where a login is to be stored, given where it is now.
func (o *options) place(now store.Place) (store.Place, error) {
	kind := cmp.Or(o.store, now.Store, keychainStore)
	switch kind {
	case encryptedStore:
		return o.encryptedPlace(now)
	case keychainStore, noStore:
	default:
		return store.Place{}, usageError("--store is keychain, encrypted-file or none, not "+quoted(kind), "leave --store out for the keychain")
	}
	for _, flag := range []string{"store-identity", "store-passphrase-file"} {
		if o.given(flag) {
			return store.Place{}, usageError("--"+flag+" does not go with the store "+quoted(kind), "add --store "+encryptedStore)
		}
	}
	return store.Place{Store: kind}, nil
}

// encryptedPlace keeps the directory and the key, unless the flags name others.
func (o *options) encryptedPlace(now store.Place) (store.Place, error) {
	place := store.Place{Store: encryptedStore}
	if now.Store == encryptedStore {
		place = now
	}
	identity, passphraseFile := o.storeIdentity, o.storePassphraseFile
	switch identityGiven, passphraseGiven := o.given("store-identity"), o.given("store-passphrase-file"); {
	case identity == "" || passphraseFile == "":
	case identityGiven && !passphraseGiven:
		passphraseFile = "" // that of the environment
	case passphraseGiven && !identityGiven:
		identity = ""
	default:
		return place, usageError("--store-identity and --store-passphrase-file exclude each other", "choose one of them")
	}
	if identity != "" || passphraseFile != "" {
		place.Identity, place.PassphraseFile = identity, passphraseFile
	}
	if place.Dir == "" {
		dir, err := new(store.EncryptedFile).Directory()
		if err != nil {
			return place, err
		}
		place.Dir = dir
	}
	return place, nil
}

// storeOf returns the store of a login.
func (p *program) storeOf(profile store.Profile) (store.Store, error) {
	if profile.Newer {
		return nil, store.ErrNewer
	}
	return p.storeAt(profile.Place)
}

// storeAt returns the store at a place, always the same one, so that a
// passphrase is asked for once.
func (p *program) storeAt(place store.Place) (store.Store, error) {
	p.opening.Lock()
	defer p.opening.Unlock()
	if opened, ok := p.stores[place]; ok {
		return opened, nil
	}
	var opened store.Store
	switch cmp.Or(place.Store, keychainStore) {
	case keychainStore:
		return p.keychain, nil
	case noStore:
		opened = &store.Memory{}
	case encryptedStore:
		files := &store.EncryptedFile{Dir: place.Dir, Identity: place.Identity}
		if files.Identity == "" {
			files.Passphrase = p.passphrase(place)
		}
		opened = files
	default:
		return nil, &commandError{code: exitStoreUnavailable, text: "the login is in a store that this version does not know: " + quoted(place.Store),
			hint: "update oauth-login, or sign in again with --store"}
	}
	if p.stores == nil {
		p.stores = map[store.Place]store.Store{}
	}
	p.stores[place] = opened
	return opened, nil
}

// storeName says where the tokens are, without an article.
func (p *program) storeName(place store.Place) string {
	switch place.Store {
	case encryptedStore:
		return "encrypted-file store (" + place.Dir + ")"
	case noStore:
		return noStore
	}
	if named, ok := p.keychain.(interface{ Name() string }); ok {
		return "keychain (" + named.Name() + ")"
	}
	return "keychain"
}

// lockName says what opens a store, "" where the person need not know.
func lockName(place store.Place) string {
	switch {
	case place.Store != encryptedStore:
		return ""
	case place.Identity != "":
		return "the age identity " + place.Identity
	case place.PassphraseFile != "":
		return "the passphrase in " + place.PassphraseFile
	}
	return "a passphrase"
}

// load returns what is stored of a login.
func (p *program) load(ctx context.Context, profile store.Profile) (*store.Record, error) {
	where, err := p.storeOf(profile)
	if err != nil {
		return nil, err
	}
	source := &store.Source{
		Client: &grant.Client{Issuer: profile.Issuer, ClientID: profile.ClientID},
		Store:  where, Profile: profile.Name,
	}
	return source.Load(ctx)
}

// stored is a login in a store, to delete it there when nobody else is at it.
func (p *program) stored(o *options, profile store.Profile, where store.Store) *store.Source {
	return &store.Source{
		Client: &grant.Client{Issuer: profile.Issuer, ClientID: profile.ClientID},
		Store:  where, Profile: profile.Name, LockDir: o.lockDir, Waiting: p.othersAreSlow,
	}
}

// leave deletes the copy of a login where it was before it moved, or where it
// was about to move. What cannot be deleted is tried again by 'status'.
func (p *program) leave(ctx context.Context, o *options, profile store.Profile) error {
	err := p.profiles.Leave(ctx, profile, func(place store.Place) error {
		where, err := p.storeAt(place)
		if err != nil {
			return err
		}
		switch err := p.stored(o, profile, where).Delete(ctx); {
		case isNotFound(err):
			return nil
		case err != nil:
			return err
		}
		p.say("The copy of the login in the %s is deleted", p.storeName(place))
		return nil
	})
	if err != nil {
		p.warning("the copy of the login at its former place could not be deleted: %v", err)
		p.hint("'oauth-login status' tries again")
	}
	return err
}

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
