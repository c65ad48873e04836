package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// A folder is a store of the program's own, one file for each login. (EncryptedFile
// is the one to use: this one protects nothing.)
type folder string

func (f folder) path(key string) string { return filepath.Join(string(f), key) }

func (f folder) Load(_ context.Context, key string) ([]byte, error) {
	record, err := os.ReadFile(f.path(key))
	return record, notFound(err)
}

func (f folder) Save(_ context.Context, key string, record []byte) error {
	next := f.path(key) + ".next" // a reader sees the old record or the new one
	if err := os.WriteFile(next, record, 0o600); err != nil {
		return err
	}
	return os.Rename(next, f.path(key))
}

func (f folder) Delete(_ context.Context, key string) error { return notFound(os.Remove(f.path(key))) }

func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return store.ErrNotFound
	}
	return err
}

// Three methods are a store. What one program saves there, the next one finds.
func ExampleStore() {
	iss := start(nil)
	defer iss.Close()
	dir, err := os.MkdirTemp("", "my-cli")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	client := &grant.Client{Issuer: iss.URL, ClientID: iss.ClientID, Scopes: []string{"openid", "offline_access"}, AllowInsecureRequests: true}
	first := &store.Source{
		Client: client, Store: folder(dir), LockDir: filepath.Join(dir, "locks"),
		Login: func(ctx context.Context, save func(context.Context, *grant.Token) error) (*grant.Token, error) {
			return loopback.Login(ctx, client, &loopback.Options{Save: save, Open: iss.Open})
		},
	}
	token, err := first.Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	second := &store.Source{Client: client, Store: folder(dir), LockDir: filepath.Join(dir, "locks")} // never interactive
	found, err := second.Token(context.Background())
	fmt.Println(err, found.AccessToken == token.AccessToken)
	renewed, err := second.Refresh(context.Background())
	fmt.Println(err, renewed.AccessToken != token.AccessToken)
	fmt.Println(second.Delete(context.Background()))
	_, err = first.Load(context.Background())
	fmt.Println(err)
	// Output:
	// <nil> true
	// <nil> true
	// <nil>
	// no login is stored
}
