package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// An envelope is how everything is written that has to prove by itself that it
// is whole: one line of printable ASCII, if the payload is.
//
//	OL1 <codec> <checksum> <payload>
//
// Keychains lose what is not ASCII (KWallet), drop whole collections over a line
// break (gnome-keyring) and return half of what they were given; so nothing but
// ASCII is written, and nothing is believed without its checksum.
const (
	envelopeMagic   = "OL"
	envelopeVersion = 1
)

// seal puts a payload into an envelope. The codec says what it is.
func seal(codec string, payload []byte) []byte {
	header := envelopeMagic + strconv.Itoa(envelopeVersion) + " " + codec + " " + checksum(payload) + " "
	return append([]byte(header), payload...)
}

// unseal opens an envelope. The error is a *DamagedError, or ErrNewer for one
// that only a newer version of this package understands.
func unseal(envelope []byte) (codec string, payload []byte, err error) {
	rest, ok := bytes.CutPrefix(envelope, []byte(envelopeMagic))
	version, rest, found := bytes.Cut(rest, []byte(" "))
	number, err := strconv.ParseUint(string(version), 10, 16)
	switch {
	case len(envelope) == 0:
		return "", nil, &DamagedError{Reason: "it is empty"}
	case !ok || !found || err != nil || version[0] == '0':
		return "", nil, &DamagedError{Reason: "it is not a record of this program"}
	case number > envelopeVersion:
		return "", nil, ErrNewer
	}
	name, rest, _ := bytes.Cut(rest, []byte(" "))
	sum, payload, _ := bytes.Cut(rest, []byte(" "))
	if string(sum) != checksum(payload) {
		return "", nil, &DamagedError{Reason: "its checksum does not fit"}
	}
	return string(name), payload, nil
}

// checksum finds damage, not forgery: who can write to the keychain can write
// what they like.
func checksum(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:16])
}

// printableASCII reports whether data survives every keychain.
func printableASCII(data []byte) bool {
	for _, c := range data {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
