//go:build linux

package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// A fakeService is a Secret Service with faults, as far as go-keyring uses one.
type fakeService struct {
	noCollection bool
	alias        bool   // the collection is not called login, but is the default
	locked       bool   // and says so
	silentUnlock bool   // Unlock asks nothing, whatever it says
	deaf         string // the method that never answers
	answer       string // to a prompt: "dismiss", "" for none, or "kill" for the end of the bus
	createPrompt bool   // CreateItem asks
	createError  string // CreateItem fails
	forgets      bool   // GetSecret gives nothing

	bus     *dbus.Conn
	killBus func()
	over    chan struct{} // closed when the test ends
	unlocks atomic.Int32

	mu    sync.Mutex
	items map[dbus.ObjectPath]*fakeItem
}

type fakeSecret struct {
	Session           dbus.ObjectPath
	Parameters, Value []byte
	ContentType       string
}

const (
	promptPath  = dbus.ObjectPath("/org/freedesktop/secrets/prompt/1")
	sessionPath = dbus.ObjectPath("/org/freedesktop/secrets/session/1")
	noPrompt    = dbus.ObjectPath("/")
	walletPath  = dbus.ObjectPath("/org/freedesktop/secrets/collection/kdewallet")
	aliasPath   = dbus.ObjectPath("/org/freedesktop/secrets/aliases/default")
)

// start runs the service on a bus of its own and returns a child there.
func (s *fakeService) start(t *testing.T, names ...string) *child {
	t.Helper()
	address := startBus(t, "")
	s.bus, s.over, s.items = connect(t, address), make(chan struct{}), map[dbus.ObjectPath]*fakeItem{}
	var pid uint32
	if err := s.bus.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, "org.freedesktop.DBus").Store(&pid); err != nil {
		t.Fatal(err)
	}
	s.killBus = func() { syscall.Kill(int(pid), syscall.SIGKILL) }
	t.Cleanup(func() { close(s.over) })
	for path, objects := range map[dbus.ObjectPath]map[string]any{
		secretsPath:     {secretsInterface: fakeRoot{s}, "org.freedesktop.DBus.Properties": fakeProperties{s, secretsPath}},
		loginCollection: {collectionInterface: fakeCollection{s}, "org.freedesktop.DBus.Properties": fakeProperties{s, loginCollection}},
		walletPath:      {"org.freedesktop.DBus.Properties": fakeProperties{s, walletPath}},
		aliasPath:       {collectionInterface: fakeCollection{s}},
		promptPath:      {"org.freedesktop.Secret.Prompt": fakePrompt{s}},
		sessionPath:     {"org.freedesktop.Secret.Session": fakeSession{}},
	} {
		for iface, object := range objects {
			if err := s.bus.Export(object, path, iface); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range append(names, secretsName) {
		if reply, err := s.bus.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
			t.Fatalf("the name %s: %v, %v", name, reply, err)
		}
	}
	return newChild(t, address)
}

// hear blocks in the method that is deaf.
func (s *fakeService) hear(method string) {
	if s.deaf == method {
		<-s.over
	}
}

type fakeRoot struct{ *fakeService }

func (s fakeRoot) OpenSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	s.hear("OpenSession")
	return dbus.MakeVariant(""), sessionPath, nil
}

func (s fakeRoot) ReadAlias(string) (dbus.ObjectPath, *dbus.Error) {
	if s.alias {
		return walletPath, nil
	}
	return "/", nil
}

func (s fakeRoot) Unlock(paths []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	s.unlocks.Add(1)
	if s.locked && !s.silentUnlock {
		return []dbus.ObjectPath{}, promptPath, nil
	}
	return paths, noPrompt, nil
}

type fakeProperties struct {
	*fakeService
	path dbus.ObjectPath
}

func (s fakeProperties) Get(_, name string) (dbus.Variant, *dbus.Error) {
	s.hear("Get")
	switch {
	case name == "Locked" && (s.noCollection || s.alias != (s.path == walletPath)):
		return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownObject", nil)
	case name == "Locked":
		return dbus.MakeVariant(s.locked), nil
	case s.alias:
		return dbus.MakeVariant([]dbus.ObjectPath{walletPath}), nil
	case s.noCollection:
		return dbus.MakeVariant([]dbus.ObjectPath{}), nil
	}
	return dbus.MakeVariant([]dbus.ObjectPath{loginCollection}), nil
}

type fakePrompt struct{ *fakeService }

func (s fakePrompt) Prompt(string) *dbus.Error {
	time.AfterFunc(10*time.Millisecond, func() { // after the answer to this call
		switch s.answer {
		case "dismiss":
			s.bus.Emit(promptPath, "org.freedesktop.Secret.Prompt.Completed", true, dbus.MakeVariant(""))
		case "kill":
			s.killBus()
		}
	})
	return nil
}

type fakeSession struct{}

func (fakeSession) Close() *dbus.Error { return nil }

type fakeCollection struct{ *fakeService }

func (s fakeCollection) SearchItems(attributes map[string]string) ([]dbus.ObjectPath, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []dbus.ObjectPath{}
	for path, item := range s.items {
		if item.user == attributes["username"] && item.service == attributes["service"] {
			found = append(found, path)
		}
	}
	return found, nil
}

func (s fakeCollection) CreateItem(properties map[string]dbus.Variant, secret fakeSecret, _ bool) (dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	if s.createError != "" {
		return "/", noPrompt, dbus.NewError(s.createError, nil)
	}
	if s.createPrompt {
		return "/", promptPath, nil
	}
	var attributes map[string]string
	if err := properties["org.freedesktop.Secret.Item.Attributes"].Store(&attributes); err != nil {
		return "/", noPrompt, dbus.MakeFailedError(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for path, item := range s.items {
		if item.user == attributes["username"] && item.service == attributes["service"] {
			item.secret = secret.Value
			return path, noPrompt, nil
		}
	}
	path := dbus.ObjectPath(fmt.Sprintf("%s/%d", loginCollection, time.Now().UnixNano()))
	item := &fakeItem{fakeService: s.fakeService, path: path, service: attributes["service"], user: attributes["username"], secret: secret.Value}
	s.items[path] = item
	if err := s.bus.Export(item, path, "org.freedesktop.Secret.Item"); err != nil {
		return "/", noPrompt, dbus.MakeFailedError(err)
	}
	return path, noPrompt, nil
}

type fakeItem struct {
	*fakeService
	path          dbus.ObjectPath
	service, user string
	secret        []byte
}

func (i *fakeItem) GetSecret(session dbus.ObjectPath) (fakeSecret, *dbus.Error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	value := i.secret
	if i.forgets {
		value = []byte{}
	}
	return fakeSecret{session, []byte{}, value, "text/plain"}, nil
}

func (i *fakeItem) Delete() (dbus.ObjectPath, *dbus.Error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.items, i.path)
	return noPrompt, nil
}

func TestSecretService(t *testing.T) {
	s := &fakeService{}
	s.start(t).roundTrip(t)
	if len(s.items) != 0 {
		t.Errorf("left %d items", len(s.items))
	}
}

func TestSecretServiceFaults(t *testing.T) {
	const display = "DISPLAY=:99"
	tests := []struct {
		name    string
		service *fakeService
		env     string
		step    string
		want    Reason
		within  time.Duration
	}{
		{"locked, nobody there", &fakeService{locked: true}, "", "load", Locked, 2 * time.Second},
		{"locked, prompt dismissed", &fakeService{locked: true, answer: "dismiss"}, display, "load", Locked, 2 * time.Second},
		{"locked, prompt unanswered", &fakeService{locked: true}, display, "load", TimedOut, 3 * time.Second},
		{"bus ends during the prompt", &fakeService{locked: true, answer: "kill"}, display, "load", Failed, 2 * time.Second},
		{"no collection, nobody there", &fakeService{noCollection: true}, "", "load", Absent, 2 * time.Second},
		{"says nothing", &fakeService{deaf: "Get"}, "", "load", TimedOut, 3 * time.Second},
		{"says nothing later", &fakeService{deaf: "OpenSession"}, "", "save:x", TimedOut, 3 * time.Second},
		{"write dismissed", &fakeService{createPrompt: true, answer: "dismiss"}, "", "save:x", NotStored, 2 * time.Second},
		{"write dismissed in the probe", &fakeService{createPrompt: true, answer: "dismiss"}, "", "probe", NotStored, 2 * time.Second},
		{"write refused", &fakeService{createError: "org.freedesktop.Secret.Error.IsLocked"}, "", "probe", Locked, 2 * time.Second},
		{"write lost", &fakeService{forgets: true}, "", "probe", NotStored, 2 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := test.service.start(t)
			c.env = append(c.env, test.env)
			c.fails(t, test.step, test.want, test.within)
			if asked := test.service.unlocks.Load() > 0; asked && test.want == Locked && test.env == "" && test.service.locked {
				t.Error("it was asked to unlock, although nobody could answer")
			}
		})
	}
}

// After a timeout the call may hang for ever. Those after it fail at once.
func TestSecretServiceThatHangs(t *testing.T) {
	t.Parallel()
	results := (&fakeService{deaf: "OpenSession"}).start(t).run(t, "save:x", "load", "probe")
	for i, r := range results {
		if r.Reason != TimedOut {
			t.Errorf("%s: %q %s", r.Step, r.Reason, r.Err)
		}
		if i > 0 && r.Took > 100*time.Millisecond {
			t.Errorf("%s took %v", r.Step, r.Took)
		}
	}
}

// KWallet says that it is locked and works without a question. Its collection
// is found by the alias.
func TestKWallet(t *testing.T) {
	for _, name := range []string{"org.kde.kwalletd5", "org.kde.kwalletd6", "org.kde.secretservicecompat"} {
		(&fakeService{alias: true, locked: true, silentUnlock: true}).start(t, name).roundTrip(t)
	}
	(&fakeService{alias: true, locked: true}).start(t).fails(t, "load", Locked, 2*time.Second)
}

// KeePassXC asks although it is not locked: there is time to answer, if somebody
// can.
func TestKeePassXC(t *testing.T) {
	for _, alias := range []bool{false, true} {
		c := (&fakeService{alias: alias, createPrompt: true}).start(t, "org.keepassxc.KeePassXC.MainWindow")
		took := c.run(t, "save:x")[0].Took
		c.env = append(c.env, "WAYLAND_DISPLAY=wayland-0")
		if longer := c.run(t, "save:x")[0].Took; longer-took < 300*time.Millisecond {
			t.Errorf("gave up after %v, and after %v on a desktop", took, longer)
		}
		if r := c.succeeds(t, "ready"); r[0].Value != "true" {
			t.Errorf("it does not ask")
		}
	}
}
