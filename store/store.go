// Package store keeps the tokens of a login and keeps them fresh.
//
// # What to call
//
// A Source is all that most programs need. It finds the login in the keychain,
// refreshes it when it has to, and signs the person in when nothing else helps:
//
//	source := &store.Source{Client: client, Login: login} // Login nil: never interactive
//	token, err := source.Token(ctx)
//	resp, err := source.HTTPClient().Get("https://api.example/me")
//
// Login is any function that gets a token from the person; loopback.Login is
// the usual one. Source.TokenSource joins code that is written for
// golang.org/x/oauth2. A login that was completed without it is stored with
// Source.Save.
//
// Where an API refuses a token that has not expired, the HTTP client refreshes it and
// repeats the request, once; Source.Renew is for requests that are sent in another way.
// Where it demands another login, with more scopes or a second factor, the client calls
// Login for that, once, and repeats the request.
//
// In tests, package issuertest is the provider and the person, and Memory the store.
//
// # Where tokens are
//
// In the keychain of the operating system (Keychain): Secret Service, macOS
// Keychain or Windows Credential Manager. It protects them at rest and from
// other users, not from programs of the same user. Nothing falls back to
// another place when there is no keychain: that is an *UnavailableError, and it
// comes before the browser opens. For machines without a keychain there is
// EncryptedFile, and Memory keeps tokens as long as the process lives; both have
// to be chosen, as any other Store:
//
//	source.Store = &store.EncryptedFile{Identity: "/etc/my-cli/key"} // made by age-keygen
//
// One login is one item or file, and in a keychain a second item for the version
// before. What is too large for an item is in several, and above 64 KiB on macOS
// and Windows in an encrypted file whose key is in the keychain. Names are hashes
// of issuer, client and profile, so that a locked keychain tells nobody where the
// person has accounts. Items of other programs are never touched.
//
// MetadataCache keeps what issuers publish of themselves, which is no secret.
//
// # What is promised
//
// A token is saved, and read back, before it is handed out. A process that is
// killed while it saves leaves the old login or the new one, whole, and that is
// also what others read meanwhile. A refresh token is sent to the issuer that gave
// it and to nobody else, and once, however many goroutines and processes ask at
// the same time: they take a lock, one after the other, look again, and mostly
// find what the first has saved. The kernel releases the lock of a process that
// is killed. A network error or a server in trouble deletes nothing and opens no
// browser. A record that is damaged, or of a newer version, is never overwritten
// unless a person signs in anew; the newer one not even then. Every wait has an
// end, or ends with the context where it is for a person.
//
// # Errors
//
//	ErrLoginRequired   only a person can help, and Source.Login is nil
//	ErrNotFound        nothing is stored
//	ErrNewer           what is stored is of a newer version of this package
//	*DamagedError      what is stored cannot be read
//	*UnavailableError  the store cannot be used: why, and what to do
//	*LockError         the lock between processes cannot be had
//
// Refusals by the server are those of package grant.
package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
)

// A Store keeps one record under each key. Keys are 32 lower-case hexadecimal
// digits. Records are printable ASCII on one line; Source checks that they come
// back whole. A Store is safe for concurrent use.
//
// More methods are used where a Store has them:
//
//	Name() string                                      // what people call the place
//	Probe(context.Context) error                       // could a record be saved? Asked before a person signs in
//	Preflight(context.Context, string) error           // could this one be replaced? Asked before a refresh token is spent
//	Interrupted(context.Context, string) (bool, error) // was a refresh of it begun and not saved?
//	Refused(context.Context, string) error             // the refresh that was begun has spent nothing
//	Settled() <-chan struct{}                          // closed when no write is under way that was given up
//	Lock(context.Context, string) (func(), error)      // waits for the lock of that name, and returns what gives it back
//
// Keychain is the example of all but the last. Lock has to keep apart all who use
// the Store; its names are keys, and keys with a dot and a word behind them. A
// Store without it is locked for all processes of the user: see Source.LockDir.
type Store interface {
	// Load returns the record that was saved last, or ErrNotFound.
	Load(ctx context.Context, key string) ([]byte, error)
	// Save replaces the record. When it returns nil, the record is there; when
	// it fails, the old one is, as far as that can be known.
	Save(ctx context.Context, key string, record []byte) error
	// Delete removes the record, or returns ErrNotFound.
	Delete(ctx context.Context, key string) error
}

// itemKey names a login: 128 bits of a hash, because names of items can be read
// while a keychain is locked, and Windows compares them without regard to case.
func itemKey(issuer, clientID, profile string) string {
	sum := sha256.Sum256([]byte("oauth-login/1\n" + issuer + "\n" + clientID + "\n" + profile))
	return hex.EncodeToString(sum[:16])
}
