package store

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/zalando/go-keyring"
)

// A disk is a keychain in a process that dies at one of its writes. From then on
// nothing has an effect.
type disk struct {
	items  map[string]string
	writes int    // until it dies; negative for never
	dying  effect // of the write at which it dies
	dead   bool
	lies   bool // does not die, but reports success
	every  bool // and does so from then on
	after  func()
}

// An effect is what a write leaves behind, of the item before and the new one.
// ok is false for no item.
type effect func(before, item string, was, is bool) (left string, ok bool)

var effects = map[string]effect{
	"before":  func(before, _ string, was, _ bool) (string, bool) { return before, was },
	"after":   func(_, item string, _, is bool) (string, bool) { return item, is },
	"emptied": func(_, _ string, _, _ bool) (string, bool) { return "", true },
	"torn":    func(before, item string, _, _ bool) (string, bool) { return (item + before)[:len(item+before)/2], true },
}

var errDead = errors.New("the process has died")

func (d *disk) Get(service, user string) (string, error) {
	if d.dead {
		return "", errDead
	}
	defer d.done()
	item, ok := d.items[service+":"+user]
	if !ok {
		return "", keyring.ErrNotFound
	}
	return item, nil
}

func (d *disk) Set(service, user, secret string) error {
	return d.write(service+":"+user, secret, true)
}

func (d *disk) Delete(service, user string) error {
	if _, ok := d.items[service+":"+user]; !ok && !d.dead {
		d.done()
		return keyring.ErrNotFound
	}
	return d.write(service+":"+user, "", false)
}

func (d *disk) write(name, item string, is bool) error {
	if d.dead {
		return errDead
	}
	defer d.done()
	before, was := d.items[name]
	strikes := d.writes == 0 || d.every && d.writes < 0
	d.writes--
	if strikes {
		item, is = d.dying(before, item, was, is)
		d.dead = !d.lies
	}
	if delete(d.items, name); is {
		d.items[name] = item
	}
	if d.dead {
		return errDead
	}
	return nil
}

func (d *disk) done() {
	if d.after != nil {
		d.after()
	}
}

// slots is a new process with what is on the disk. Its items are small, so that
// there can be many.
func (d *disk) slots() *slots {
	d.dead, d.lies, d.every, d.writes = false, false, false, -1
	s := &steps{ring: d, keychain: &Keychain{goos: "windows"}, call: &call{}, ready: func() error { return nil }}
	return &slots{steps: s, key: testKey, limits: limits{item: 300, record: 200, parts: 1 << 20}}
}

// dyingAt is a new process that dies at a write.
func (d *disk) dyingAt(write int, dying effect) *slots {
	s := d.slots()
	d.writes, d.dying = write, dying
	return s
}

// lyingAt is a new process with a keychain that reports success for a write that
// went wrong, and with every for all after it.
func (d *disk) lyingAt(write int, lie effect, every bool) *slots {
	s := d.dyingAt(write, lie)
	d.lies, d.every = true, every
	return s
}

func (d *disk) copy() *disk { return &disk{items: maps.Clone(d.items), writes: -1} }

// sizes are those of a record that is its own head, of one in two parts and of
// one in five.
var sizes = []int{100, 500, 1400}

func sized(label string, size int) string { return string(recordOf(label, size)) }

// inTurn returns each of the sizes again and again.
func inTurn() func() int {
	n := 0
	return func() int {
		n++
		return sizes[n%len(sizes)]
	}
}

// histories returns what up to a number of saves of each size can leave.
func histories(t *testing.T, saves int) map[string]*disk {
	t.Helper()
	all := map[string]*disk{"nothing": {items: map[string]string{}, writes: -1}}
	generation := all
	for i := range saves {
		next := map[string]*disk{}
		for name, from := range generation {
			for _, size := range sizes {
				d := from.copy()
				if err := d.slots().save(t.Context(), []byte(sized(fmt.Sprint("old", i), size))); err != nil {
					t.Fatal(err)
				}
				next[fmt.Sprint(name, ", ", size)] = d
			}
		}
		maps.Copy(all, next)
		generation = next
	}
	return all
}

// record is what is in force, "" for nothing: a first record that is not whole
// is one that nobody signed in for.
func (d *disk) record(t *testing.T) string {
	t.Helper()
	record, err := d.copy().slots().load()
	if err != nil && !errors.Is(err, ErrNotFound) {
		t.Fatalf("Load: %v", err)
	}
	if _, _, err := unseal(record); err != nil {
		return ""
	}
	return string(record)
}

// assertTidy wants nothing on the disk but two generations and a record in force,
// and nothing at all after Delete.
func (d *disk) assertTidy(t *testing.T, want string) {
	t.Helper()
	if got := d.record(t); got != want {
		t.Fatalf("%d bytes in force, want %d", len(got), len(want))
	}
	known := 1 // the head
	s := d.copy().slots()
	now, err := s.look()
	if err != nil {
		t.Fatal(err)
	}
	known += now.current.parts(slotA) + now.current.parts(slotB)
	if b, err := parseBackup(now.saved); err == nil {
		known += 1 + b.previous.parts(slotA) + b.previous.parts(slotB)
	}
	if len(d.items) != known {
		t.Fatalf("%d items for two generations, want %d", len(d.items), known)
	}
	if err := s.delete(t.Context()); err != nil || len(s.ring.(*disk).items) > 0 {
		t.Fatalf("Delete: %v, left %v", err, s.ring.(*disk).items)
	}
}

// TestCrashes ends a save at each of its writes, in all ways. What is in force is
// the old record or the new one, and the save after it leaves nothing else.
func TestCrashes(t *testing.T) {
	for name, start := range histories(t, 3) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyCrashOfSave(t, start, "new", sizes, func(*disk) {})
		})
	}
}

// TestCrashesTwice ends the save after a crash at each of its writes too.
func TestCrashesTwice(t *testing.T) {
	for name, start := range histories(t, 2) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size := inTurn()
			everyCrashOfSave(t, start, "new", sizes, func(d *disk) {
				everyCrashOfSave(t, d, "newer", []int{size()}, func(*disk) {})
			})
		})
	}
}

func everyCrashOfSave(t *testing.T, start *disk, label string, sizes []int, then func(*disk)) {
	t.Helper()
	old, another := start.record(t), inTurn()
	for _, size := range sizes {
		record := sized(label, size)
		everyCrash(t, start, func(s *slots) error { return s.save(t.Context(), []byte(record)) }, func(d *disk) {
			if got := d.record(t); got != old && got != record {
				t.Fatalf("%d bytes in force, neither the old record nor the new one", len(got))
			}
			then(d)
			last := sized("last", another())
			if err := d.slots().save(t.Context(), []byte(last)); err != nil {
				t.Fatal(err)
			}
			d.assertTidy(t, last)
		})
	}
}

// everyCrash does something on copies of a disk. Each time it dies at another
// write or leaves something else behind, until it does not die any more.
func everyCrash(t *testing.T, start *disk, do func(*slots) error, check func(*disk)) {
	t.Helper()
	for name, dying := range effects {
		for write := 0; ; write++ {
			d := start.copy()
			err := do(d.dyingAt(write, dying))
			if !d.dead {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if err == nil {
				t.Fatalf("died %s write %d and reports success", name, write)
			}
			check(d)
		}
	}
}

// A Delete that dies leaves the old record or none, and the next one leaves
// nothing; a Save after it leaves nothing else.
func TestCrashesOfDelete(t *testing.T) {
	for name, start := range histories(t, 3) {
		if name == "nothing" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			old, size := start.record(t), inTurn()
			everyCrash(t, start, func(s *slots) error { return s.delete(t.Context()) }, func(d *disk) {
				if got := d.record(t); got != old && got != "" {
					t.Fatalf("%d bytes in force, neither the old record nor nothing", len(got))
				}
				again := d.copy()
				if err := again.slots().delete(t.Context()); err != nil && !errors.Is(err, ErrNotFound) {
					t.Fatal(err)
				}
				if len(again.items) > 0 {
					t.Fatalf("left %v", again.items)
				}
				record := sized("new", size())
				if err := d.slots().save(t.Context(), []byte(record)); err != nil {
					t.Fatal(err)
				}
				d.assertTidy(t, record)
			})
		})
	}
}

// A keychain that reports success for what it lost, emptied or cut costs the new
// record at most, and never without an error.
func TestLies(t *testing.T) {
	for name, start := range histories(t, 3) {
		old := start.record(t)
		for _, size := range sizes {
			record := sized("new", size)
			for lie, effect := range effects {
				for write := 0; lie != "after"; write++ {
					d, all := start.copy(), start.copy()
					err, errAll := d.lyingAt(write, effect, false).save(t.Context(), []byte(record)), all.lyingAt(write, effect, true).save(t.Context(), []byte(record))
					if d.writes >= 0 {
						break // it was not reached
					}
					if got := d.record(t); got != record && (got != old || err == nil) {
						t.Errorf("%s, %d bytes, write %d %s: %d bytes in force, error %v", name, size, write, lie, len(got), err)
					}
					if got := all.record(t); got != record && (got != old || errAll == nil) {
						t.Errorf("%s, %d bytes, writes from %d %s: %d bytes in force, error %v", name, size, write, lie, len(got), errAll)
					}
				}
			}
		}
	}
}

// TestReaders stops a reader after each of its reads and lets a writer get on, from
// and to each of the writes of four saves. It finds a record that was in force
// meanwhile.
func TestReaders(t *testing.T) {
	for name, start := range histories(t, 3) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				film := record(t, start, rand.New(rand.NewPCG(seed, 0)))
				for from := range film {
					for to := from; to < len(film); to++ {
						film.read(t, from, to)
					}
				}
			}
		})
	}
}

// A film is a disk before and after each write of a row of saves.
type film []frame

type frame struct {
	*disk
	record string // in force
}

func record(t *testing.T, start *disk, random *rand.Rand) film {
	t.Helper()
	f := film{{start, start.record(t)}}
	for i := range 4 {
		d := f[len(f)-1].copy()
		s := d.slots()
		d.after = func() {
			if last := f[len(f)-1]; !maps.Equal(last.items, d.items) {
				f = append(f, frame{&disk{items: maps.Clone(d.items), writes: -1}, last.record})
			}
		}
		record := sized(fmt.Sprint("new", i), sizes[random.IntN(len(sizes))])
		if err := s.save(t.Context(), []byte(record)); err != nil {
			t.Fatal(err)
		}
		f[len(f)-1].record = record // its last write is the head
	}
	return f
}

// read reads from one frame and, after each possible number of reads, from another.
func (f film) read(t *testing.T, from, to int) {
	t.Helper()
	for first := 1; ; first++ {
		d := f[from].copy()
		s := d.slots()
		reads := 0
		d.after = func() {
			if reads++; reads == first {
				d.items = f[to].items
			}
		}
		record, err := s.load()
		if errors.Is(err, ErrNotFound) {
			record, err = nil, nil
		}
		if err != nil {
			t.Fatalf("frames %d to %d, after %d reads: %v", from, to, first, err)
		}
		if !f[from : to+1].holds(string(record)) {
			t.Fatalf("frames %d to %d, after %d reads: %d bytes that were not in force", from, to, first, len(record))
		}
		if reads < first {
			return
		}
	}
}

func (f film) holds(record string) bool {
	for _, frame := range f {
		if frame.record == record {
			return true
		}
	}
	return false
}
