package store

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"

	"github.com/oauth-login/oauth-login/grant"
)

// recordOf returns a record of n bytes that proves itself, as those of Source do.
func recordOf(label string, n int) []byte {
	payload := max(1, n-len(seal(recordCodec, nil)))
	return seal(recordCodec, []byte(strings.Repeat(label+"-", payload)[:payload]))
}

// exactly is a keychain with the limits of a system, as go-keyring has them.
func exactly(goos string) *fakeRing {
	r := &fakeRing{foldCase: goos == "windows"}
	r.set = func(user string, secret *string) (bool, error) {
		switch goos {
		case "windows":
			if len(*secret) > 5*512 {
				return true, keyring.ErrSetDataTooBig
			}
		case "darwin":
			base64 := (len(*secret) + 2) / 3 * 4
			line := len("add-generic-password -U -s oauth-login -a "+user+" -w go-keyring-base64:\n") + base64
			if line > 4096 {
				return true, keyring.ErrSetDataTooBig // and leaves a process behind
			}
			if line == 4096 {
				return true, nil // stores nothing and says so to nobody: zalando/go-keyring#153
			}
		}
		return false, nil
	}
	return r
}

// Every size comes back on every system, and nothing is left in the end.
func TestKeychainSizes(t *testing.T) {
	for _, goos := range []string{"linux", "windows", "darwin"} {
		t.Run(goos, func(t *testing.T) {
			r := exactly(goos)
			k := newFakeKeychain(goos, r)
			k.dataDir = filepath.Join(t.TempDir(), "records")
			for _, n := range []int{41, 1000, 2399, 2400, 2401, 2499, 2500, 2501, 2560, 2561, 5000, 5001, 30000, 64 << 10, 64<<10 + 1, 100000, recordMax - 1, recordMax} {
				roundTrip(t, k, recordOf("sealed", n))
				roundTrip(t, k, []byte(strings.Repeat("x", n))) // one that does not prove itself
			}
			for name, item := range r.items {
				if goos != "linux" && len(item) > 2500 {
					t.Errorf("item %s has %d bytes", name, len(item))
				}
			}
			if len(r.items) > 60 {
				t.Errorf("two generations take %d items", len(r.items))
			}
			assertDeleted(t, k, r)
		})
	}
}

func roundTrip(t *testing.T, k *Keychain, record []byte) {
	t.Helper()
	if err := k.Save(t.Context(), testKey, record); err != nil {
		t.Fatalf("%d bytes: %v", len(record), err)
	}
	got, err := k.Load(t.Context(), testKey)
	if err != nil || string(got) != string(record) {
		t.Fatalf("%d bytes: %d came back, %v", len(record), len(got), err)
	}
}

func assertDeleted(t *testing.T, k *Keychain, r *fakeRing) {
	t.Helper()
	if err := k.Delete(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Load(t.Context(), testKey); !errors.Is(err, ErrNotFound) {
		t.Errorf("Load after Delete: %v", err)
	}
	if len(r.items) > 0 {
		t.Errorf("left %v", slices.Collect(maps.Keys(r.items)))
	}
	if k.dataDir != "" {
		left, err := filepath.Glob(filepath.Join(k.dataDir, "[^.]*")) // the lock stays
		if err != nil || len(left) > 0 {
			t.Errorf("left the files %v, %v", left, err)
		}
	}
}

func TestKeychainRefusesRecords(t *testing.T) {
	k := newFakeKeychain("linux", &fakeRing{})
	for _, record := range []string{"", "line\nbreak", "caf\u00e9", "\x7f", "\x00"} {
		if err := k.Save(t.Context(), testKey, []byte(record)); !errors.Is(err, grant.ErrArgument) {
			t.Errorf("%q: %v", record, err)
		}
	}
	err := k.Save(t.Context(), testKey, recordOf("x", recordMax+1))
	if unavailable, ok := errors.AsType[*UnavailableError](err); !ok || unavailable.Reason != TooBig || len(unavailable.Hints()) == 0 {
		t.Errorf("more than 1 MiB: %v", err)
	}
}

// What a call costs. These are the numbers in the comment of slots.
func TestKeychainCalls(t *testing.T) {
	steps := []struct {
		do   func(*Keychain) error
		want string
	}{
		{load, "get a.0, get b.0"},
		{saveOf(61), "get a.0, get b.0, get a.1, get b.1, set a.0, get a.0"},
		{load, "get a.0"},
		{saveOf(62), "get a.0, get b.0, get a.1, get b.1, set b.0, get b.0, set a.0, get a.0"},
		{saveOf(63), "get a.0, get b.0, set b.0, get b.0, set a.0, get a.0"},
		{load, "get a.0"},
		{saveOf(5000), "get a.0, get b.0, set b.0, get b.0, set a.1, get a.1, set a.2, get a.2, set a.0, get a.0"},
		{load, "get a.0, get a.1, get a.2"},
		{saveOf(2501), "get a.0, get b.0, set b.0, get b.0, set b.1, get b.1, set b.2, get b.2, set a.0, get a.0"},
		{saveOf(2450), "get a.0, get b.0, set b.0, get b.0, set a.1, get a.1, delete a.2, set a.0, get a.0"},
		{saveOf(64), "get a.0, get b.0, set b.0, get b.0, delete b.2, delete b.1, set a.0, get a.0"},
		{saveOf(65), "get a.0, get b.0, set b.0, get b.0, delete a.1, set a.0, get a.0"},
		{saveOf(64<<10 + 1), "get a.0, get b.0, set b.0, get b.0, set a.0, get a.0"},
		{load, "get a.0"},
		{saveOf(66), "get a.0, get b.0, set b.0, get b.0, set a.0, get a.0"},
		{remove, "get a.0, get b.0, delete b.0, get b.0, delete a.0, get a.0, delete w"},
		{remove, "get a.0, get b.0, get a.1, get b.1, delete w"},
		{probe, "get canary, set canary, get canary, delete canary, get canary"},
	}
	r := exactly("windows")
	k := newFakeKeychain("windows", r)
	k.dataDir = filepath.Join(t.TempDir(), "records")
	for i, step := range steps {
		r.took()
		if err := step.do(k); err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatalf("step %d: %v", i, err)
		}
		if got := r.took(); got != step.want {
			t.Errorf("step %d\n took %s\n want %s", i, got, step.want)
		}
	}
	if len(r.items) > 0 {
		t.Errorf("left %v", r.items)
	}
}

// A save that is tried again does not repeat what is done.
func TestKeychainSaveAgain(t *testing.T) {
	r := &fakeRing{}
	k := newFakeKeychain("linux", r)
	roundTrip(t, k, recordOf("1", 100))
	r.set = func(user string, _ *string) (bool, error) { return strings.HasSuffix(user, ".a.0"), errors.New("no") }
	if err := saveOf(101)(k); err == nil {
		t.Fatal("saved")
	}
	r.set = nil
	r.took()
	if err := saveOf(101)(k); err != nil {
		t.Fatal(err)
	}
	if got := r.took(); got != "get a.0, get b.0, set a.0, get a.0" {
		t.Errorf("took %s", got)
	}
}

func saveOf(n int) func(*Keychain) error {
	return func(k *Keychain) error { return save(string(recordOf(fmt.Sprint(n), n)))(k) }
}

// Records of the first version are one item, with the limit of the system.
func TestKeychainReadsFirstRecords(t *testing.T) {
	for goos, n := range map[string]int{"windows": 2560, "darwin": 2994, "linux": 100000} {
		r := exactly(goos)
		k := newFakeKeychain(goos, r)
		first := recordOf("first", n)
		if err := r.Set(service, testKey+".a.0", string(first)); err != nil {
			t.Fatal(err)
		}
		r.took()
		if got, err := k.Load(t.Context(), testKey); err != nil || string(got) != string(first) {
			t.Errorf("%s: %d bytes, %v", goos, len(got), err)
		}
		if got := r.took(); got != "get a.0" {
			t.Errorf("%s: Load took %s", goos, got)
		}
		roundTrip(t, k, recordOf("second", n))
		roundTrip(t, k, recordOf("third", 100))
		assertDeleted(t, k, r)
	}
}

// What a newer version has written is given to the caller, who tells, and is
// never changed.
func TestKeychainKeepsNewerRecords(t *testing.T) {
	for name, items := range map[string]map[string]string{
		"record":               {".a.0": "OL2 x y"},
		"record and a backup":  {".a.0": "OL2 x y", ".b.0": (&backup{previous: wholeIn(recordOf("old", 90))}).encode()},
		"backup, no head":      {".b.0": "OL2 b z"},
		"backup, a head torn":  {".a.0": "OL2", ".b.0": "OL2 b z"},
		"a head in the backup": {".b.0": (&backup{previous: &generation{item: "OL2 x y"}}).encode()},
	} {
		r := &fakeRing{items: map[string]string{}}
		for suffix, item := range items {
			r.items[service+":"+testKey+suffix] = item
		}
		before := maps.Clone(r.items)
		k := newFakeKeychain("linux", r)
		record, err := k.Load(t.Context(), testKey)
		if err == nil {
			_, err = decodeRecord(record)
		}
		if !errors.Is(err, ErrNewer) {
			t.Errorf("%s: Load: %v", name, err)
		}
		if err := save("new")(k); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: Save: %v", name, err)
		}
		if err := remove(k); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: Delete: %v", name, err)
		}
		if !maps.Equal(r.items, before) {
			t.Errorf("%s: changed to %v", name, r.items)
		}
	}
}

// The backup holds where the head is not whole, and only there.
func TestKeychainFallsBack(t *testing.T) {
	for _, n := range []int{100, 5000, 70000} {
		for name, spoil := range map[string]func(string) (string, bool){
			"gone":    func(string) (string, bool) { return "", false },
			"emptied": func(string) (string, bool) { return "", true },
			"torn":    func(item string) (string, bool) { return item[:len(item)/2], true },
			"another": func(string) (string, bool) { return "hunter2", true },
		} {
			r := exactly("windows")
			k := newFakeKeychain("windows", r)
			k.dataDir = filepath.Join(t.TempDir(), "records")
			old, head := recordOf("old", n), service+":"+testKey+".a.0"
			for _, record := range [][]byte{old, recordOf("new", n)} {
				roundTrip(t, k, record)
			}
			item, keep := spoil(r.items[head])
			if r.items[head] = item; !keep {
				delete(r.items, head)
			}
			if got, err := k.Load(t.Context(), testKey); err != nil || string(got) != string(old) {
				t.Errorf("%d bytes, head %s: %d came back, %v", n, name, len(got), err)
			}
			roundTrip(t, k, recordOf("newer", n))
			assertDeleted(t, k, r)
		}
	}
}

// A head that came into being between the looks is the one in force.
func TestKeychainLooksTwiceBeforeItFallsBack(t *testing.T) {
	r := &fakeRing{}
	k := newFakeKeychain("linux", r)
	for _, label := range []string{"1", "2"} {
		roundTrip(t, k, recordOf(label, 100))
	}
	first := true
	r.get = func(user string, _ *string) (bool, error) {
		missing := first && strings.HasSuffix(user, ".a.0")
		first = first && !missing
		return missing, keyring.ErrNotFound
	}
	if got, err := k.Load(t.Context(), testKey); err != nil || string(got) != string(recordOf("2", 100)) {
		t.Errorf("%q, %v", got, err)
	}
}

// A record whose parts are lost is damaged: the one before has a refresh token
// that may be spent. A new login replaces it.
func TestKeychainDamage(t *testing.T) {
	for _, n := range []int{5000, 70000} {
		for name, spoil := range map[string]func(t *testing.T, r *fakeRing, dir string){
			"gone": func(t *testing.T, r *fakeRing, dir string) {
				delete(r.items, service+":"+testKey+".b.2")
				if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
					t.Fatal(err)
				}
			},
			"changed": func(t *testing.T, r *fakeRing, dir string) {
				if part := service + ":" + testKey + ".b.1"; r.items[part] != "" {
					r.items[part] = "x"
					return
				}
				if err := os.WriteFile(filepath.Join(dir, fileName(testKey, "b")), []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
		} {
			r := exactly("windows")
			k := newFakeKeychain("windows", r)
			k.dataDir = filepath.Join(t.TempDir(), "records")
			for _, label := range []string{"1", "2"} {
				roundTrip(t, k, recordOf(label, n))
			}
			spoil(t, r, k.dataDir)
			if err := load(k); errors.As(err, new(*DamagedError)) == false {
				t.Errorf("%d bytes, %s: %v", n, name, err)
			}
			roundTrip(t, k, recordOf("3", n))
			roundTrip(t, k, recordOf("4", n))
			assertDeleted(t, k, r)
		}
	}
}

// What is in a slot's item but was never a record is given to the caller, who
// tells, and is replaced.
func TestKeychainWithForeignItem(t *testing.T) {
	for _, item := range []string{
		"hunter2", "OL1 h 0000 {}", string(seal(headCodec, []byte("{"))), string(seal(headCodec, []byte("null"))), string(seal(headCodec, []byte(`{"slot":"c","parts":1}`))),
		string(seal(headCodec, []byte(`{"slot":"a","parts":1000000}`))), string(seal(headCodec, []byte(`{"slot":"a"}`))), string(seal(backupCodec, []byte("x"))),
	} {
		r := &fakeRing{items: map[string]string{service + ":" + testKey + ".a.0": item}}
		k := newFakeKeychain("linux", r)
		got, err := k.Load(t.Context(), testKey)
		if err != nil || string(got) != item {
			t.Errorf("%q: loaded %q, %v", item, got, err)
		}
		if _, err := decodeRecord(got); errors.As(err, new(*DamagedError)) == false {
			t.Errorf("%q is %v", item, err)
		}
		roundTrip(t, k, recordOf("new", 100))
		assertDeleted(t, k, r)
	}
}

func TestGenerationsHideTheirSecrets(t *testing.T) {
	g, err := keptIn(slotA, []byte("hunter2"), 0, []byte("sixteen byte key"))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%v %+v %#v %s %q %x %d", *g, *g, *g, *g, *g.place, g.place, g)
	for _, secret := range []string{"sixteen", "c2l4dGVlbi", "7369787465", "115 105 120"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
}

// FuzzHeads reads items of any content: no call follows from what is not a head
// or a backup as they are written.
func FuzzHeads(f *testing.F) {
	head, err := keptIn(slotB, []byte("x"), 3, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, payload := range []string{"0 0 " + head.item, "1 27 " + string(recordOf("x", 60)), "999 0 x", "-1 +2 " + head.item} {
		f.Add(backupCodec, payload)
	}
	f.Add(headCodec, head.item[len("OL1 h ")+33:])
	f.Fuzz(func(t *testing.T, codec, payload string) {
		item := string(seal(codec, []byte(payload)))
		if g, err := parseHead(item); err == nil && (g.item != item || g.parts(slotA) > mostParts || g.parts(slotB) > mostParts) {
			t.Errorf("%q is a head with too many parts", item)
		}
		b, err := parseBackup(item)
		if err != nil {
			return
		}
		if b.parts[slotA] > mostParts || b.parts[slotB] > mostParts || !strings.HasSuffix(item, b.previous.item) {
			t.Errorf("%q is a backup with %v parts of %q", item, b.parts, b.previous.item)
		}
	})
}
