package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// receiver looks at what the redirect needs: both families of loopback addresses, the
// port that was asked for, and a provider that knows the redirect URI.
func (x *examination) receiver(ctx context.Context) {
	host := x.options.redirectHost
	if err := listenOnce(ctx, "tcp4", "127.0.0.1:0"); err != nil {
		x.problem("ports", "allow programs of this machine to talk to 127.0.0.1, in its firewall say", "127.0.0.1 cannot be used: %v", err)
	} else {
		x.ok("ports", "127.0.0.1 can be listened on")
	}
	switch err := listenOnce(ctx, "tcp6", "[::1]:0"); {
	case err == nil:
		x.ok("ports", "::1 can be listened on")
	case host == "[::1]":
		x.problem("ports", "use --redirect-host 127.0.0.1", "::1 cannot be used: %v", err)
	default:
		x.ok("ports", "::1 cannot be listened on, which %s does not need", host)
	}
	receiver, err := x.options.loopback()
	if err != nil {
		x.problem("redirect", "use --port 8000,18000 or the like", "%v", err)
		return
	}
	server, err := loopback.Listen(ctx, receiver)
	if err != nil {
		x.problem("redirect", "choose other ports with --port 8000,18000, or leave --port out for any free one", "%v", err)
		return
	}
	_ = server.Close() // nothing was sent there
	x.ok("redirect", "register at the provider: %s", strings.Join(x.options.toAnnounce(), " "))
}

// toAnnounce are the redirect URIs that the provider has to know.
func (o *options) toAnnounce() []string {
	if o.redirectURI != "" || o.ports == "0" {
		return []string{o.redirectPattern()}
	}
	return o.redirectsTo(strings.Split(o.ports, ",")...)
}

// listenOnce listens on an address, and connects to it.
func listenOnce(ctx context.Context, network, address string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	var config net.ListenConfig
	listener, err := config.Listen(ctx, network, address)
	if err != nil {
		return err
	}
	defer listener.Close()
	conn, err := new(net.Dialer).DialContext(ctx, network, listener.Addr().String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// browser looks for what opens one.
func (x *examination) browser(context.Context) {
	program, err := loopback.Opener(x.options.browser)
	where := x.seat()
	switch {
	case err != nil:
		x.warn("browser", "open the page yourself, or name a browser: --browser 'COMMAND %s'", "none can be opened: %v", err)
	case x.options.browser == "" && where != here:
		x.warn("browser", "open the page elsewhere and paste the address that it ends at, forward the port, or sign in with --device; --browser names one all the same",
			"none is opened, as this is %s", string(where))
	default:
		x.ok("browser", "opened by %s", program)
	}
}

// stores looks at where logins are kept, and at what keeps processes apart.
func (x *examination) stores(ctx context.Context) {
	place := x.options.store
	if place == "" {
		place = cmp.Or(x.profile.Place.Store, keychainStore)
	}
	x.keychainItem(ctx, place)
	if place == encryptedStore {
		x.encryptedFiles(ctx)
	}
	x.listAndLocks(ctx)
}

// keychainItem writes, reads and deletes an item that nobody else has.
func (x *examination) keychainItem(ctx context.Context, place string) {
	x.keychainAt(ctx, place, "doctor-"+rand.Text())
}

func (x *examination) keychainAt(ctx context.Context, place, key string) {
	limited, cancel := context.WithTimeout(ctx, 2*probeTime)
	defer cancel()
	name := x.storeName(store.Place{})
	var took [3]time.Duration
	began, item := time.Now(), []byte("of no use")
	err := x.keychain.Save(limited, key, item)
	saved := err == nil
	if took[0] = time.Since(began); saved {
		began = time.Now()
		var read []byte
		read, err = x.keychain.Load(limited, key)
		if took[1] = time.Since(began); err == nil && !bytes.Equal(read, item) {
			err = fmt.Errorf("the %s gives back another item than was written", name)
		}
	}
	if saved || limited.Err() != nil { // nothing is left behind
		rest, release := grace(limited)
		began = time.Now()
		gone := x.keychain.Delete(rest, key)
		took[2] = time.Since(began)
		release()
		err = cmp.Or(err, gone)
	}
	switch {
	case err == nil:
		x.ok("keychain", "the %s: written in %s, read in %s, deleted in %s", name, milliseconds(took[0]), milliseconds(took[1]), milliseconds(took[2]))
	case place != keychainStore:
		x.warn("keychain", "nothing to do, as logins are in another store", "the %s, which is not used: %v", name, err)
	case limited.Err() != nil && ctx.Err() == nil:
		x.problem("keychain", "look for a window that asks for a password, then run the command again", "the %s does not answer within %s", name, 2*probeTime)
	default:
		x.problem("keychain", fixOf(ctx, err), "%v", err)
	}
}

// fixOf are the hints that an error would end with.
func fixOf(ctx context.Context, err error) string {
	_, hints := classify(ctx, err)
	return strings.Join(hints, "; or ")
}

// encryptedFiles asks nobody for a passphrase.
func (x *examination) encryptedFiles(ctx context.Context) {
	place, err := x.options.place(x.profile.Place)
	if err != nil {
		x.problem("files", fixOf(ctx, err), "%v", err)
		return
	}
	if place.Identity == "" && place.PassphraseFile == "" && x.storePassphrase == "" {
		x.ok("files", "the encrypted files are in %s; their passphrase is asked for when they are used", place.Dir)
		return
	}
	limited, cancel := context.WithTimeout(ctx, 2*probeTime)
	defer cancel()
	files, err := x.storeAt(place)
	if prober, ok := files.(interface{ Probe(context.Context) error }); ok && err == nil {
		err = prober.Probe(limited)
	}
	if limited.Err() != nil && ctx.Err() == nil {
		x.problem("files", "look at --store-passphrase-file and --store-identity, and at the disk", "the encrypted files cannot be read within %s", 2*probeTime)
		return
	}
	if err != nil {
		x.problem("files", fixOf(ctx, err), "%v", err)
		return
	}
	x.ok("files", "%s can be written", x.storeName(place))
}

// listAndLocks are beside the tokens.
func (x *examination) listAndLocks(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	err := x.profiles.Check(limited)
	if _, listError := x.profiles.List(); err == nil {
		err = listError
	}
	if err != nil {
		x.problem("logins", fixOf(ctx, err), "the list of logins cannot be changed: %v", err)
	} else {
		x.ok("logins", "the list of logins can be changed")
	}
	dir, err := store.ProbeLocks(limited, x.options.lockDir)
	if locked, ok := errors.AsType[*store.LockError](err); ok {
		x.problem("locks", lockHint(locked), "%v", err)
		return
	}
	x.ok("locks", "%s", dir)
}
