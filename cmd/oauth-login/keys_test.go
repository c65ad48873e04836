package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// clientKey is the key of the client "keyed", in files of every form that the
// command takes, and of some that it does not.
var clientKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
})

// writeKeys writes the files into a directory.
func writeKeys(dir string) error {
	key, err := clientKey()
	if err != nil {
		return err
	}
	other, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	small, err2 := rsa.GenerateKey(rand.Reader, 2048)
	pkcs8, err3 := x509.MarshalPKCS8PrivateKey(key)
	sec1, err4 := x509.MarshalECPrivateKey(key)
	jwk, err5 := jwkOf(key)
	cert, err6 := certificateOf("keyed", key, time.Now().Add(time.Hour))
	expired, err7 := certificateOf("keyed", key, time.Now().Add(-time.Minute))
	foreign, err8 := x509.MarshalPKCS8PrivateKey(other)
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for name, text := range map[string]string{
		"ec.pem":        block("PRIVATE KEY", pkcs8),
		"sec1.pem":      block("EC PRIVATE KEY", sec1),
		"ec.jwk":        jwk,
		"rsa.pem":       block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)),
		"other.pem":     block("PRIVATE KEY", foreign),
		"cert.pem":      block("CERTIFICATE", cert),
		"both.pem":      block("CERTIFICATE", cert) + block("PRIVATE KEY", pkcs8),
		"mixed.pem":     block("CERTIFICATE", cert) + block("PRIVATE KEY", foreign),
		"expired.pem":   block("CERTIFICATE", expired) + block("PRIVATE KEY", pkcs8),
		"encrypted.pem": block("ENCRYPTED PRIVATE KEY", []byte("x")),
		"empty.pem":     "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func jwkOf(key *ecdsa.PrivateKey) (string, error) {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return "", err
	}
	scalar, err := key.Bytes()
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	data, err := json.Marshal(map[string]string{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:]), "d": b64(scalar), "kid": "key 1", "alg": "ES256"})
	return string(data), err
}

func certificateOf(name string, key crypto.Signer, until time.Time) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}
