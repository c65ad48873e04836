package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"filippo.io/age"

	"github.com/oauth-login/oauth-login/grant"
)

// keys open and seal the records of an EncryptedFile.
type keys struct {
	identities []age.Identity
	recipient  age.Recipient // of the first identity

	// With a passphrase, it and the file that it opens.
	passphrase grant.Secret
	wrapped    []byte
}

const (
	// identityName is the identity that a passphrase protects. Records have
	// names of 32 digits, so it is none.
	identityName = "identity" + recordExtension
	identityMax  = 64 << 10

	// scryptWorkFactor is the logarithm of N, with r=8 and p=1: 128 MiB and a
	// third of a second (OWASP Password Storage Cheat Sheet, scrypt). It is paid
	// once per process.
	scryptWorkFactor = 17
	// scryptWorkFactorMax bounds what is spent on a file of unknown origin. 18 is
	// that of age -p.
	scryptWorkFactorMax = 18
)

// Records are encrypted after a line that binds the file to its key:
//
//	oauth-login 1 <key>
//
// The 1 is the version of this form.
const (
	sealedMagic   = "oauth-login"
	sealedVersion = 1
)

// seal encrypts a record.
func (k *keys) seal(key string, record []byte) ([]byte, error) {
	header := fmt.Sprintf("%s %d %s\n", sealedMagic, sealedVersion, key)
	return encrypt(append([]byte(header), record...), k.recipient)
}

// open decrypts what seal has made, which path names to the person.
func (k *keys) open(path, key string, sealed []byte) ([]byte, error) {
	plain, err := decrypt(sealed, k.identities...)
	if _, mismatch := errors.AsType[*age.NoIdentityMatchError](err); mismatch {
		return nil, &UnavailableError{Reason: WrongKey, Err: fmt.Errorf("%s was stored with another", path),
			Hint: "use the passphrase or identity that it was stored with; if that is lost, remove the file and sign in again"}
	}
	if err != nil {
		return nil, &DamagedError{Reason: path + " is cut off, changed or no age file; a new login keeps it as *" + damagedExtension}
	}
	header, record, _ := bytes.Cut(plain, []byte("\n"))
	words := append(strings.Split(string(header), " "), "", "")
	version, err := strconv.ParseUint(words[1], 10, 16)
	switch {
	case words[0] != sealedMagic || err != nil:
		return nil, &DamagedError{Reason: path + " is not a record of this program"}
	case version > sealedVersion:
		return nil, ErrNewer
	case words[2] != key:
		return nil, &DamagedError{Reason: path + " is the file of another login"}
	}
	return record, nil
}

func encrypt(plain []byte, to age.Recipient) ([]byte, error) {
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return sealed.Bytes(), nil
}

func decrypt(sealed []byte, identities ...age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), identities...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// parseKeys reads a file of identities.
func parseKeys(text []byte) (*keys, error) {
	identities, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, errors.New("it holds no age identity") // the error may quote it
	}
	k := &keys{identities: identities}
	switch first := identities[0].(type) {
	case *age.X25519Identity:
		k.recipient = first.Recipient()
	case *age.HybridIdentity:
		k.recipient = first.Recipient()
	default:
		return nil, errors.New("its first identity is of a kind that cannot be used here")
	}
	return k, nil
}

// readIdentity reads the file of EncryptedFile.Identity.
func readIdentity(ctx context.Context, path string) (*keys, error) {
	text, err := readPrivate(ctx, path)
	if unavailable, ok := errors.AsType[*UnavailableError](err); ok && errors.Is(err, fs.ErrNotExist) {
		unavailable.Hint = "bring the file back, or make one with age (https://age-encryption.org): age-keygen -o " + shellWord(path)
	}
	if err != nil {
		return nil, err
	}
	k, err := parseKeys(text)
	if err != nil {
		return nil, &UnavailableError{Reason: Locked, Err: fmt.Errorf("%s: %w", path, err),
			Hint: "name a file that age-keygen has made"}
	}
	return k, nil
}

// readPrivate reads a file of a secret that the person has named. It may be
// reached through a symbolic link, as secrets of containers are.
func readPrivate(ctx context.Context, path string) ([]byte, error) {
	return abandonable(ctx, func() ([]byte, error) { // as a pipe may never end
		file, err := os.Open(path)
		if err != nil {
			return nil, &UnavailableError{Reason: Locked, Err: err, Hint: "bring the file back, or make it readable for this user"}
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() { // a pipe belongs to whoever has made it
			if err := checkKeyOwner(path, info); err != nil {
				return nil, err
			}
		}
		return io.ReadAll(io.LimitReader(file, identityMax))
	})
}

// PassphraseFile returns a function for EncryptedFile.Passphrase that reads the
// passphrase from a file, which holds nothing else but a line break perhaps, and
// which others must not be able to read.
func PassphraseFile(path string) func(ctx context.Context, confirm bool) (grant.Secret, error) {
	return func(ctx context.Context, _ bool) (grant.Secret, error) {
		text, err := readPrivate(ctx, path)
		return grant.Secret(strings.TrimRight(string(text), "\r\n")), err
	}
}

// unlock returns the keys, and asks for the passphrase where it has to. With
// create, one is chosen where there is none.
func (e *EncryptedFile) unlock(ctx context.Context, d *directory, create bool) (*keys, error) {
	done, err := e.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	held := e.current()
	if e.Identity != "" {
		if held != nil {
			return held, nil
		}
		k, err := readIdentity(ctx, e.Identity)
		if err != nil {
			return nil, err
		}
		return e.hold(k), nil
	}
	wrapped, err := d.read(identityName, identityMax)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && !create:
		return nil, lostIdentity(d)
	case missing:
		return e.chosen(ctx, d, held)
	case err != nil:
		return nil, err
	case held != nil && bytes.Equal(held.wrapped, wrapped):
		return held, nil
	}
	return e.ask(ctx, d, wrapped)
}

// choose asks for a new passphrase and makes the identity that it protects. The
// first save writes it.
func (e *EncryptedFile) choose(ctx context.Context) (*keys, error) {
	passphrase, err := e.passphrase(ctx, true)
	if err != nil {
		return nil, err
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	recipient, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(e.factor())
	wrapped, err := abandonable(ctx, func() ([]byte, error) {
		return encrypt([]byte(identity.String()+"\n"), recipient)
	})
	if err != nil {
		return nil, err
	}
	return e.hold(&keys{
		identities: []age.Identity{identity}, recipient: identity.Recipient(), passphrase: passphrase, wrapped: wrapped,
	}), nil
}

// ask asks for the passphrase of the identity that is there.
func (e *EncryptedFile) ask(ctx context.Context, d *directory, wrapped []byte) (*keys, error) {
	passphrase, err := e.passphrase(ctx, false)
	if err != nil {
		return nil, err
	}
	return e.unwrap(ctx, d, wrapped, passphrase)
}

func (e *EncryptedFile) passphrase(ctx context.Context, confirm bool) (grant.Secret, error) {
	passphrase, err := e.Passphrase(ctx, confirm)
	if err == nil && passphrase == "" {
		err = errors.New("the passphrase is empty")
	}
	_, unavailable := errors.AsType[*UnavailableError](err)
	if err == nil || unavailable || ctx.Err() != nil {
		return passphrase, err
	}
	return "", &UnavailableError{Reason: Locked, Err: err}
}

// unwrap opens the identity that is there with a passphrase.
func (e *EncryptedFile) unwrap(ctx context.Context, d *directory, wrapped []byte, passphrase grant.Secret) (*keys, error) {
	path := filepath.Join(d.path, identityName)
	identity, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(max(scryptWorkFactorMax, e.factor()))
	text, err := abandonable(ctx, func() ([]byte, error) { return decrypt(wrapped, identity) })
	if _, mismatch := errors.AsType[*age.NoIdentityMatchError](err); mismatch {
		return nil, &UnavailableError{Reason: WrongKey, Err: fmt.Errorf("the passphrase is not that of %s", path),
			Hint: "run the command again; if the passphrase is lost, so are the logins: remove " + shellWord(d.path)}
	}
	if ctx.Err() != nil {
		return nil, err
	}
	var k *keys
	if err == nil {
		k, err = parseKeys(text)
	}
	if err != nil {
		return nil, &UnavailableError{Reason: Failed, Err: fmt.Errorf("%s is damaged", path),
			Hint: "bring it back from a backup, or remove " + shellWord(d.path) + " and sign in again"}
	}
	k.passphrase, k.wrapped = passphrase, wrapped
	return e.hold(k), nil
}

// lostIdentity is the error for records that nothing can open.
func lostIdentity(d *directory) error {
	return &UnavailableError{Reason: WrongKey, Err: fmt.Errorf("%s is missing", filepath.Join(d.path, identityName)),
		Hint: "bring it back from a backup, or remove " + shellWord(d.path) + " and sign in again"}
}

// settle returns the keys that fit the identity that is there now, or says that
// it is missing: it is new, or somebody has signed out meanwhile. The caller
// holds the lock.
func (e *EncryptedFile) settle(ctx context.Context, d *directory, k *keys) (settled *keys, missing bool, err error) {
	if e.Identity != "" {
		return k, false, nil
	}
	wrapped, err := d.read(identityName, identityMax)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return k, true, nil
	case err != nil:
		return nil, false, err
	case bytes.Equal(wrapped, k.wrapped):
		return k, false, nil
	}
	// Another process was faster, or has changed the passphrase.
	settled, err = e.unwrap(ctx, d, wrapped, k.passphrase)
	return settled, false, err
}

// abandonable returns when work has ended or ctx has. Work that cannot be stopped
// goes on, and what comes of it is forgotten.
func abandonable(ctx context.Context, work func() ([]byte, error)) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := work()
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *EncryptedFile) factor() int {
	if e.workFactor != 0 {
		return e.workFactor
	}
	return scryptWorkFactor
}

// take waits for the turn to unlock, as a person is asked one thing at a time.
func (e *EncryptedFile) take(ctx context.Context) (done func(), err error) {
	e.mu.Lock()
	if e.turn == nil {
		e.turn = make(chan struct{}, 1)
	}
	turn := e.turn
	e.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *EncryptedFile) current() *keys {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.held == nil {
		return nil
	}
	return e.held()
}

func (e *EncryptedFile) hold(k *keys) *keys {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = func() *keys { return k }
	return k
}
