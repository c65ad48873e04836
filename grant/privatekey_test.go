package grant_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/oauth-login/oauth-login/grant"
)

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(key any) string { return pemOf("PRIVATE KEY", mustKey(x509.MarshalPKCS8PrivateKey(key))) }

// privateJWK adds the private part of a P-256 key.
func privateJWK() members { return jwkES.with(members{"d": b64(mustKey(keyES.Bytes()))}) }

func TestParsePrivateKey(t *testing.T) {
	sec1 := pemOf("EC PRIVATE KEY", mustKey(x509.MarshalECPrivateKey(keyES)))
	certificate := pemOf("CERTIFICATE", selfSigned(t, keyES).Certificate[0])
	for _, test := range []struct {
		name, data string
		key        crypto.Signer
		kid, alg   string
	}{
		{"PKCS #8, P-256", pkcs8(keyES), keyES, "", ""},
		{"PKCS #8, P-384", pkcs8(key384), key384, "", ""},
		{"PKCS #8, P-521", pkcs8(key521), key521, "", ""},
		{"PKCS #8, RSA", pkcs8(keyRS), keyRS, "", ""},
		{"PKCS #8, Ed25519", pkcs8(keyEd), keyEd, "", ""},
		{"PKCS #1", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(keyRS)), keyRS, "", ""},
		{"SEC 1", sec1, keyES, "", ""},
		{"parameters before it", pemOf("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}) + sec1, keyES, "", ""},
		{"a certificate before it, text around it", "Bag Attributes\n" + certificate + "\nmore\n" + sec1 + "\nend\n", keyES, "", ""},
		{"two keys", pkcs8(keyES) + pkcs8(keyEd), keyES, "", ""},
		{"JWK", privateJWK().json(), keyES, "", ""},
		{"JWK with more", " \n" + privateJWK().with(members{"kid": "key 1", "alg": "ES256", "use": "sig", "x-more": 1}).json(), keyES, "key 1", "ES256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, kid, alg, err := grant.ParsePrivateKey([]byte(test.data))
			if err != nil {
				t.Fatal(err)
			}
			if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(test.key.Public()) || kid != test.kid || alg != test.alg {
				t.Errorf("%T, kid %q, alg %q", key, kid, alg)
			}
			newDPoP(t, key) // it signs
		})
	}
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small := mustKey(rsa.GenerateKey(rand.Reader, 1024))
	p224 := mustKey(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	x25519 := mustKey(ecdh.X25519().GenerateKey(rand.Reader))
	secret := privateJWK()["d"].(string)
	for name, test := range map[string]struct{ data, says string }{
		"nothing":                 {"", "no private key"},
		"text":                    {"secret", "no private key"},
		"a public key":            {pemOf("PUBLIC KEY", mustKey(x509.MarshalPKIXPublicKey(&keyES.PublicKey))), "no private key"},
		"a certificate":           {pemOf("CERTIFICATE", selfSigned(t, keyES).Certificate[0]), "no private key"},
		"small RSA key":           {pkcs8(small), "1024 bits"},
		"P-224":                   {pkcs8(p224), "cannot be used"},
		"X25519":                  {pkcs8(x25519), "none for signatures"},
		"encrypted":               {pemOf("ENCRYPTED PRIVATE KEY", []byte("x")), "encrypted"},
		"encrypted as before":     {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "encrypted"},
		"OpenSSH":                 {pemOf("OPENSSH PRIVATE KEY", []byte("x")), "cannot be read"},
		"damaged":                 {pemOf("PRIVATE KEY", []byte("x")), "cannot be read"},
		"another kind inside":     {pemOf("RSA PRIVATE KEY", mustKey(x509.MarshalECPrivateKey(keyES))), "cannot be read"},
		"a public JWK":            {jwkES.json(), "not a private key"},
		"a secret JWK":            {members{"kty": "oct", "k": secret}.json(), "not a private key"},
		"a broken JWK":            {`{"kty":"EC","d":"` + secret + `"`, "cannot be read"},
		"a set":                   {jwks(privateJWK()), "cannot be read"},
		"JWK with another alg":    {privateJWK().with(members{"alg": "RS256"}).json(), "RS256"},
		"JWK off the curve":       {privateJWK().with(members{"x": jwkES["y"]}).json(), "cannot be read"},
		"JWK, small RSA":          {rsaJWK(small).with(members{"d": b64(small.D.Bytes()), "p": b64(small.Primes[0].Bytes()), "q": b64(small.Primes[1].Bytes())}).json(), "1024 bits"},
		"JWK of an unknown curve": {privateJWK().with(members{"crv": "secp256k1"}).json(), "cannot be read"},
	} {
		key, kid, alg, err := grant.ParsePrivateKey([]byte(test.data))
		wantOutcome(t, err, "argument")
		if key != nil || kid+alg != "" || err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantNoSecrets(t, name, fmt.Sprint(err), secret)
	}
}
