package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/oauth-login/oauth-login/grant"
)

// maxInput is how much is read of a file that a flag names, in bytes. The
// certificates of a whole system are a quarter of that.
const maxInput = 1 << 20

// readClientSecret never takes a secret from an argument, which every process on
// the machine can see.
func (p *program) readClientSecret(ctx context.Context, o *options) (grant.Secret, error) {
	if o.clientSecretFile == "" {
		return p.clientSecret, nil
	}
	data, err := p.readInput(ctx, o.clientSecretFile)
	if err != nil {
		return "", usageError("the client secret cannot be read: "+err.Error(), "--client-secret-file names a file that holds nothing but the secret")
	}
	secret := grant.Secret(strings.TrimRight(string(data), "\r\n"))
	if client := googleClientIn(data); client != nil {
		secret, err = o.useGoogleClient(client)
	} else if secret == "" {
		err = usageError("the file of --client-secret-file is empty", "it must hold the secret and nothing else")
	}
	if err != nil {
		return "", err
	}
	p.warnOfReaders(o.clientSecretFile)
	return secret, nil
}

// A googleClient is the file that Google's console offers of a client, by the kind of
// the client.
type googleClient struct {
	Installed, Web *struct {
		ID     string       `json:"client_id"`
		Secret grant.Secret `json:"client_secret"`
	}
}

// googleClientIn returns nil for what is another file.
func googleClientIn(data []byte) *googleClient {
	client := new(googleClient)
	if json.Unmarshal(data, client) != nil || client.Installed == nil && client.Web == nil {
		return nil
	}
	return client
}

// useGoogleClient takes the ID out of the file too.
func (o *options) useGoogleClient(client *googleClient) (grant.Secret, error) {
	found := client.Installed
	switch {
	case found == nil:
		return "", usageError("the file of --client-secret-file is that of a client for the web", "make another one in Google's console, of the kind Desktop app")
	case found.ID == "" || found.Secret == "":
		return "", usageError("the file of --client-secret-file lacks the ID or the secret of the client", "download it again in Google's console")
	case o.clientID != "" && o.clientID != found.ID:
		return "", usageError("the file of --client-secret-file is that of another client than --client-id names", "leave --client-id out: the file says "+shellWord(found.ID))
	}
	o.clientID = found.ID
	return found.Secret, nil
}

// readCertificates returns the certificates of a file and those of the system.
func (p *program) readCertificates(ctx context.Context, name string) (*x509.CertPool, error) {
	pem, err := p.readInput(ctx, name)
	if err != nil {
		return nil, usageError("the certificates of --ca-cert cannot be read: "+err.Error(),
			"--ca-cert names a file of certificates in PEM form; 'token' and the others use the one of the login")
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, usageError("the file "+name+" holds no certificate in PEM form", "it has to contain -----BEGIN CERTIFICATE-----")
	}
	return roots, nil
}

// warnOfReaders tells once of a file with a secret that others can read.
func (p *program) warnOfReaders(name string) {
	if name == "-" || p.readByOthers[name] {
		return
	}
	info, err := os.Stat(name)
	if err != nil || !othersRead(info) {
		return
	}
	if p.readByOthers == nil {
		p.readByOthers = map[string]bool{}
	}
	p.readByOthers[name] = true
	p.warning("others can read %s, which holds a secret (mode %03o)", name, info.Mode().Perm())
	p.hint("chmod 600 " + shellWord(name))
}

// readInput reads a file, or standard input for "-".
func (p *program) readInput(ctx context.Context, name string) ([]byte, error) {
	return interruptible(ctx, func() ([]byte, error) { return p.readAll(name) })
}

// interruptible reads what may be a pipe that never ends. Nothing can interrupt
// that, so it is left behind when ctx ends, and the process with it.
func interruptible[T any](ctx context.Context, read func() (T, error)) (data T, err error) {
	type outcome struct {
		data T
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		data, err := read()
		done <- outcome{data, err}
	}()
	select {
	case o := <-done:
		return o.data, o.err
	case <-ctx.Done():
		return data, ctx.Err()
	}
}

func (p *program) readAll(name string) ([]byte, error) {
	in := p.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(data) > maxInput {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxInput)
	}
	return data, err
}
