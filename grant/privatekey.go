package grant

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// ParsePrivateKey reads a private key from a file: PEM with PKCS #8 (RFC 5958),
// PKCS #1 (RFC 8017) or SEC 1 (RFC 5915) in it, whatever else is beside it, or a
// JSON Web Key (RFC 7517). It takes the keys that PrivateKeyJWT and NewDPoP take.
//
// kid and alg are those of a JSON Web Key, "" where it has none: the key's ID, and
// the one algorithm to sign with. Errors are ErrArgument and hold nothing of the
// key. An encrypted key has to be decrypted first.
func ParsePrivateKey(data []byte) (key crypto.Signer, kid, alg string, err error) {
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		key, kid, alg, err = parsePrivateJWK(data)
	} else {
		key, err = parsePEM(data)
	}
	if err != nil {
		return nil, "", "", err
	}
	if _, err := newSigner(key, alg, nil); err != nil {
		return nil, "", "", err
	}
	return key, kid, alg, nil
}

func parsePrivateJWK(data []byte) (key crypto.Signer, kid, alg string, err error) {
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(data); err != nil {
		return nil, "", "", argumentError("the JSON Web Key cannot be read") // the cause may quote it
	}
	key, ok := jwk.Key.(crypto.Signer)
	if !ok {
		return nil, "", "", argumentError("the JSON Web Key is not a private key for signatures")
	}
	return key, jwk.KeyID, jwk.Algorithm, nil
}

// parsePEM takes the first private key among the blocks.
func parsePEM(data []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, argumentError("the private key is encrypted; decrypt it first, with 'openssl pkey' for example")
		}
		return parseBlock(block)
	}
	return nil, argumentError("there is no private key, neither in PEM form nor as a JSON Web Key")
}

func parseBlock(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, argumentError("the %s cannot be read, or is none for signatures", lowerASCII(block.Type))
	}
	return signer, nil
}
