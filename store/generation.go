package store

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// Codecs of the envelopes that the keychain adds to those of records.
const (
	headCodec   = "h" // the head of a record that is elsewhere
	backupCodec = "b" // the head before
)

// A generation is one version of a record. Its head, an item, is the record
// itself where that fits and proves that it is whole; otherwise the head says
// where the record is and what it has to be.
type generation struct {
	item  string
	place *place // nil where the item is the record
}

// A place is where a record is that its head does not hold.
type place struct {
	ID    string `json:"id"`             // so that no two heads are alike
	Slot  string `json:"slot"`           // "a" or "b"
	Parts int    `json:"parts,omitzero"` // items of the slot, from the first
	Key   []byte `json:"key,omitzero"`   // of the slot's file, in place of parts
	Size  int    `json:"size"`           // bytes
	Sum   string `json:"sha256"`
}

// Format prints no secret, whatever the verb: the item holds tokens, or a key.
func (g generation) Format(f fmt.State, _ rune) { io.WriteString(f, "a version of a login") }

// Format prints no secret either.
func (p place) Format(f fmt.State, _ rune) { io.WriteString(f, "the place of a login") }

// wholeIn returns the generation of a record that is its own head.
func wholeIn(record []byte) *generation { return &generation{item: string(record)} }

// provesItself reports whether a record can be its own head.
func provesItself(record []byte) bool {
	codec, _, err := unseal(record)
	return err == nil && codec != headCodec && codec != backupCodec
}

// keptIn returns the generation of a record that is put into a slot: into parts,
// or with a key into a file.
func keptIn(slot string, record []byte, parts int, key []byte) (*generation, error) {
	p := &place{ID: rand.Text(), Slot: slot, Parts: parts, Key: key, Size: len(record), Sum: sha256Hex(record)}
	payload, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return &generation{item: string(seal(headCodec, payload)), place: p}, nil
}

// parseHead reads the item of a head. Errors are those of unseal.
func parseHead(item string) (*generation, error) {
	codec, payload, err := unseal([]byte(item))
	if err != nil {
		return nil, err
	}
	g := &generation{item: item}
	if codec == headCodec {
		if json.Unmarshal(payload, &g.place) != nil || !g.place.valid() { // the error would quote it
			return nil, &DamagedError{Reason: "its head cannot be read"}
		}
	}
	return g, nil
}

// mostParts is more than any version of this package has written.
const mostParts = 512

func (p *place) valid() bool {
	return p != nil && (p.Slot == slotA || p.Slot == slotB) && p.Parts >= 0 && p.Parts <= mostParts &&
		(p.Parts == 0) == (len(p.Key) == keySize)
}

// fits reports whether record is the one that the head tells of.
func (p *place) fits(record []byte) bool { return len(record) == p.Size && sha256Hex(record) == p.Sum }

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// parts is how many parts of a slot the generation has.
func (g *generation) parts(slot string) int {
	if g == nil || g.place == nil || g.place.Slot != slot {
		return 0
	}
	return g.place.Parts
}

// in reports whether any of the generation, other than its head, is in a slot.
func (g *generation) in(slot string) bool { return g != nil && g.place != nil && g.place.Slot == slot }

// A backup is what is written before the head of a record is replaced: the head
// until then, and how many parts each slot may hold until the head has been
// replaced, so that none is forgotten after a crash.
type backup struct {
	previous *generation
	parts    counts
}

// counts is how many parts each slot holds at most.
type counts map[string]int

// encode returns the item of a backup. Its payload is the two counts and the
// head.
func (b *backup) encode() string {
	payload := fmt.Appendf(nil, "%d %d %s", b.parts[slotA], b.parts[slotB], b.previous.item)
	return string(seal(backupCodec, payload))
}

func parseBackup(item string) (*backup, error) {
	codec, payload, err := unseal([]byte(item))
	if err != nil {
		return nil, err
	}
	a, rest, _ := bytes.Cut(payload, []byte(" "))
	b, head, _ := bytes.Cut(rest, []byte(" "))
	inA, errA := strconv.Atoi(string(a))
	inB, errB := strconv.Atoi(string(b))
	if codec != backupCodec || errA != nil || errB != nil || max(inA, inB) > mostParts {
		return nil, &DamagedError{Reason: "its backup cannot be read"}
	}
	previous, err := parseHead(string(head))
	if err != nil {
		return nil, err
	}
	return &backup{previous: previous, parts: counts{slotA: inA, slotB: inB}}, nil
}
