package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// troubled is a Secret Service that does what no real one can be brought to do at will: its person takes their time or says no, and it
// loses what it said it had stored. It is as much of the API, version 0.2, as a client needs that keeps text in the login collection.
type troubled struct {
	locked   bool          // until the person answers the prompt
	answer   string        // to the prompt: "unlock", "dismiss", or "" for none
	after    time.Duration // how long the answer takes
	forgets  bool          // what it is given
	prompted int           // how often it has asked

	bus   *dbus.Conn
	mu    sync.Mutex
	items map[dbus.ObjectPath]*secretItem
}

const (
	secretPrompt  = dbus.ObjectPath("/org/freedesktop/secrets/prompt/1")
	secretSession = dbus.ObjectPath("/org/freedesktop/secrets/session/1")
	noPrompt      = dbus.ObjectPath("/")
)

// start gives the service its name on the bus of k, which has no daemon.
func (s *troubled) start(t *testing.T, k *keyring) {
	t.Helper()
	s.bus, s.items = k.bus, map[dbus.ObjectPath]*secretItem{}
	for path, objects := range map[dbus.ObjectPath]map[string]any{
		secretPath:      {"org.freedesktop.Secret.Service": secretRoot{s}, "org.freedesktop.DBus.Properties": secretProperties{s}},
		loginCollection: {"org.freedesktop.Secret.Collection": secretCollection{s}, "org.freedesktop.DBus.Properties": secretProperties{s}},
		secretPrompt:    {"org.freedesktop.Secret.Prompt": secretPrompter{s}},
		secretSession:   {"org.freedesktop.Secret.Session": secretCloser{}},
	} {
		for name, object := range objects {
			if err := s.bus.Export(object, path, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if reply, err := s.bus.RequestName(secretService, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("the name of the service is not to be had: %v, %v", reply, err)
	}
}

type secretRoot struct{ *troubled }

func (s secretRoot) OpenSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	return dbus.MakeVariant(""), secretSession, nil
}

func (s secretRoot) Unlock(paths []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locked {
		return []dbus.ObjectPath{}, secretPrompt, nil
	}
	return paths, noPrompt, nil
}

type secretProperties struct{ *troubled }

func (s secretProperties) Get(_, name string) (dbus.Variant, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "Locked" {
		return dbus.MakeVariant(s.locked), nil
	}
	return dbus.MakeVariant([]dbus.ObjectPath{loginCollection}), nil
}

type secretPrompter struct{ *troubled }

func (s secretPrompter) Prompt(string) *dbus.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompted++
	if s.answer == "" {
		return nil
	}
	time.AfterFunc(s.after+10*time.Millisecond, func() { // not before the answer to this call
		result := dbus.MakeVariant("")
		if s.answer == "unlock" {
			s.mu.Lock()
			s.locked = false
			s.mu.Unlock()
			result = dbus.MakeVariant([]dbus.ObjectPath{loginCollection})
		}
		s.bus.Emit(secretPrompt, "org.freedesktop.Secret.Prompt.Completed", s.answer == "dismiss", result)
	})
	return nil
}

type secretCloser struct{}

func (secretCloser) Close() *dbus.Error { return nil }

type secretCollection struct{ *troubled }

func (s secretCollection) SearchItems(attributes map[string]string) ([]dbus.ObjectPath, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []dbus.ObjectPath{}
	for path, item := range s.items {
		if item.user == attributes["username"] {
			found = append(found, path)
		}
	}
	return found, nil
}

// secretValue is the structure of the API.
type secretValue struct {
	Session           dbus.ObjectPath
	Parameters, Value []byte
	ContentType       string
}

func (s secretCollection) CreateItem(properties map[string]dbus.Variant, secret secretValue, _ bool) (dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	var attributes map[string]string
	if err := properties["org.freedesktop.Secret.Item.Attributes"].Store(&attributes); err != nil {
		return "/", noPrompt, dbus.MakeFailedError(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := dbus.ObjectPath(fmt.Sprintf("%s/%d", loginCollection, len(s.items)+1))
	if s.forgets {
		return path, noPrompt, nil
	}
	for existing, item := range s.items {
		if item.user == attributes["username"] {
			path = existing
		}
	}
	item := &secretItem{s.troubled, attributes["username"], secret.Value}
	s.items[path] = item
	if err := s.bus.Export(item, path, "org.freedesktop.Secret.Item"); err != nil {
		return "/", noPrompt, dbus.MakeFailedError(err)
	}
	return path, noPrompt, nil
}

type secretItem struct {
	*troubled
	user  string
	value []byte
}

func (i *secretItem) GetSecret(session dbus.ObjectPath) (secretValue, *dbus.Error) {
	return secretValue{session, []byte{}, i.value, "text/plain"}, nil
}

func (i *secretItem) Delete() (dbus.ObjectPath, *dbus.Error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for path, item := range i.items {
		if item == i {
			delete(i.items, path)
		}
	}
	return noPrompt, nil
}
