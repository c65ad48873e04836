package store

import (
	"errors"
	"strconv"
)

// slots keeps the record under one key in two slots, a and b, of numbered items.
//
//	<key>.a.0        the head of the generation in force
//	<key>.b.0        the backup: the head of the generation before
//	<key>.a.1 ...    the parts of one generation, if it has any
//	<key>.b.1 ...    those of the other one
//
// The head is replaced in place, which is one step on every system: readers, and
// those who come after a crash, find the old one or the new one. All else is
// written before, read back, and never to where the generation in force is. A
// head that is not whole counts as none, and then the backup holds.
//
// No keychain need be able to list what it holds: the parts of a slot are written
// upwards and deleted downwards, so they are always the first few, and the backup
// says how many there may be.
//
// What a call costs in uses of the keychain, for a record that is its own head
// (and one of n parts):
//
//	Load     1            (1 + n)
//	Save     6            (6 + 2n, and one for each part that is not overwritten)
//	Delete   7            (7 + n, and the parts of the generation before)
//
// The second Save takes 8: as long as there is no backup, a Save looks for parts
// that a crash may have left.
type slots struct {
	*steps
	key    string
	limits limits
	files  files
}

const (
	slotA = "a"
	slotB = "b"
)

// slotNames is constant.
var slotNames = [...]string{slotA, slotB}

func (s *slots) head() string   { return s.name(slotA, 0) }
func (s *slots) backup() string { return s.name(slotB, 0) }

// name is the name of an item. On Windows "service:user" is the whole name, so
// neither has a colon.
func (s *slots) name(slot string, i int) string { return s.key + "." + slot + "." + strconv.Itoa(i) }

// loadAttempts is how many generations are tried that others replace meanwhile.
const loadAttempts = 8

// load returns the record in force.
func (s *slots) load() ([]byte, error) {
	var last string
	for range loadAttempts {
		g, err := s.inForce()
		if err != nil {
			return nil, err
		}
		record, err := s.read(g)
		if err != nil {
			return nil, err
		}
		if record != nil {
			return record, nil
		}
		if g.item == last {
			return nil, &DamagedError{Reason: "parts of it are missing or changed"}
		}
		last = g.item
	}
	return nil, s.keychain.unavailable(Failed, errors.New("the login changes faster than it can be read"))
}

// inForce finds the generation in force. A head that only a newer version
// understands, or nobody, is returned as if it were a record: the caller tells.
func (s *slots) inForce() (*generation, error) {
	g, head, err := s.readHead()
	if g != nil || err != nil {
		return g, err
	}
	item, _, err := s.peek(s.backup())
	if err != nil {
		return nil, err
	}
	b, err := parseBackup(item)
	switch {
	case err == nil:
		// The refresh token of the generation before may be spent: nobody uses
		// it because of one bad look.
		if g, _, err := s.readHead(); g != nil || err != nil {
			return g, err
		}
		return b.previous, nil
	case errors.Is(err, ErrNewer):
		return nil, err
	case head != "":
		return &generation{item: head}, nil
	}
	return nil, ErrNotFound
}

// readHead reads the head. It returns no generation for one that is not there or
// not whole.
func (s *slots) readHead() (g *generation, item string, err error) {
	item, _, err = s.peek(s.head())
	if err != nil {
		return nil, "", err
	}
	g, err = parseHead(item)
	if errors.Is(err, ErrNewer) {
		return &generation{item: item}, item, nil
	}
	return g, item, nil
}

// read returns the record of a generation, nil if what is there is not it.
func (s *slots) read(g *generation) ([]byte, error) {
	if g.place == nil {
		return []byte(g.item), nil
	}
	var record []byte
	var err error
	if g.place.Key != nil {
		record, err = s.files.read(s.key, g.place)
	} else {
		record, err = s.join(g.place)
	}
	if err != nil || !g.place.fits(record) {
		return nil, err
	}
	return record, nil
}

// join returns the parts, as far as they are there.
func (s *slots) join(p *place) (record []byte, err error) {
	for i := 1; i <= p.Parts; i++ {
		part, found, err := s.peek(s.name(p.Slot, i))
		if err != nil || !found {
			return nil, err
		}
		record = append(record, part...)
	}
	return record, nil
}

// peek reads an item that need not be there.
func (s *slots) peek(name string) (item string, found bool, err error) {
	item, err = s.get(name)
	if errors.Is(err, ErrNotFound) {
		return "", false, nil
	}
	return item, err == nil, err
}
