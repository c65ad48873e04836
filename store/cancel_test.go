package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/internal/issuer"
	"github.com/oauth-login/oauth-login/loopback"
	"github.com/oauth-login/oauth-login/store"
)

// atOnce is how long a call may take to return when its context ends.
const atOnce = 100 * time.Millisecond

// A stage is where logins are stuck: a provider, and a server that never answers.
type stage struct {
	t       *testing.T
	iss     *issuer.Issuer
	nowhere *httptest.Server
	reached chan struct{} // has an element when a call is where it is to be cancelled
}

func newStage(t *testing.T) *stage {
	iss, err := issuer.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { iss.Close() })
	s := &stage{t: t, iss: iss, reached: make(chan struct{}, 1)}
	over := make(chan struct{})
	s.nowhere = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
		s.here()
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}))
	t.Cleanup(func() { close(over); s.nowhere.Close() })
	return s
}

func (s *stage) here() {
	select {
	case s.reached <- struct{}{}:
	default:
	}
}

// stuck is here, and waits for the end of the context.
func (s *stage) stuck(ctx context.Context) error {
	s.here()
	<-ctx.Done()
	return ctx.Err()
}

// client is one of the provider, but for an endpoint that never answers.
func (s *stage) client(t *testing.T, change func(as *grant.AuthorizationServer, nowhere string)) *grant.Client {
	t.Helper()
	as, err := grant.Discover(t.Context(), s.iss.URL(), &grant.DiscoverOptions{AllowInsecureRequests: true})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(as)
	if err != nil {
		t.Fatal(err)
	}
	client := &grant.Client{ClientID: "demo", Server: new(grant.AuthorizationServer), Scopes: []string{"openid"}, AllowInsecureRequests: true}
	if err := json.Unmarshal(data, client.Server); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(client.Server, s.nowhere.URL)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// visit is a browser and a person.
func (s *stage) visit(ctx context.Context, address string) error {
	_, err := new(issuer.Visitor).Visit(ctx, address)
	return err
}

func (s *stage) login(ctx context.Context, client *grant.Client, opts loopback.Options) error {
	if opts.Open == nil {
		opts.Open = s.visit
	}
	_, err := loopback.Login(ctx, client, &opts)
	return err
}

// loggedIn is a login whose access token is over.
func (s *stage) loggedIn(t *testing.T, client *grant.Client, in store.Store) *store.Source {
	t.Helper()
	source := &store.Source{Client: client, Store: in}
	if err := source.Save(t.Context(), &grant.Token{AccessToken: "a", RefreshToken: "r", Expiry: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return &store.Source{Client: client, Store: in}
}

// A slowStore is one whose saves and loads take no notice of a context.
type slowStore struct {
	store.Memory
	load, save func()
}

func (s *slowStore) Load(ctx context.Context, key string) ([]byte, error) {
	if s.load != nil {
		s.load()
	}
	return s.Memory.Load(ctx, key)
}

func (s *slowStore) Save(ctx context.Context, key string, record []byte) error {
	if s.save != nil {
		s.save()
	}
	return s.Memory.Save(ctx, key, record)
}

// Wherever a login is when its context ends, the call returns at once, with the
// error of the context.
func TestCancellation(t *testing.T) {
	nowhere := func(set func(*grant.AuthorizationServer) *string) func(*grant.AuthorizationServer, string) {
		return func(as *grant.AuthorizationServer, address string) { *set(as) = address }
	}
	token := nowhere(func(as *grant.AuthorizationServer) *string { return &as.TokenEndpoint })
	for name, run := range map[string]func(s *stage, t *testing.T, ctx context.Context) error{
		"before it begins": func(s *stage, t *testing.T, ctx context.Context) error {
			client := s.client(t, nil)
			s.stuck(ctx)
			return s.login(ctx, client, loopback.Options{})
		},
		"discovery": func(s *stage, t *testing.T, ctx context.Context) error {
			return s.login(ctx, &grant.Client{Issuer: s.nowhere.URL, ClientID: "demo", AllowInsecureRequests: true}, loopback.Options{})
		},
		"discovery that another login waits for": func(s *stage, t *testing.T, ctx context.Context) error {
			client := &grant.Client{Issuer: s.nowhere.URL, ClientID: "demo", AllowInsecureRequests: true}
			other, stop := context.WithCancel(context.WithoutCancel(ctx))
			ended := make(chan struct{})
			t.Cleanup(func() { stop(); <-ended })
			go func() { defer close(ended); client.Discover(other) }()
			<-s.reached // the other one is there; this one is soon
			time.AfterFunc(10*time.Millisecond, s.here)
			return s.login(ctx, client, loopback.Options{})
		},
		"listening": func(s *stage, t *testing.T, ctx context.Context) error {
			return s.login(ctx, s.client(t, nil), loopback.Options{Notify: func(e loopback.Event) {
				if e.Kind == loopback.Listening {
					s.stuck(ctx)
				}
			}})
		},
		"the pushed request": func(s *stage, t *testing.T, ctx context.Context) error {
			client := s.client(t, nowhere(func(as *grant.AuthorizationServer) *string { return &as.PushedAuthorizationRequestEndpoint }))
			client.RequirePushedAuthorizationRequests = true
			return s.login(ctx, client, loopback.Options{})
		},
		"opening the browser": func(s *stage, t *testing.T, ctx context.Context) error {
			return s.login(ctx, s.client(t, nil), loopback.Options{Open: func(ctx context.Context, _ string) error { return s.stuck(ctx) }})
		},
		"waiting for the person": func(s *stage, t *testing.T, ctx context.Context) error {
			return s.login(ctx, s.client(t, nil), loopback.Options{Open: func(context.Context, string) error { s.here(); return nil }})
		},
		"waiting for something to be pasted": func(s *stage, t *testing.T, ctx context.Context) error {
			return s.login(ctx, s.client(t, nil), loopback.Options{NoBrowser: true, Paste: func(ctx context.Context, _ func(string) error) { s.stuck(ctx) }})
		},
		"the token request": func(s *stage, t *testing.T, ctx context.Context) error {
			return s.login(ctx, s.client(t, token), loopback.Options{})
		},
		"the keys": func(s *stage, t *testing.T, ctx context.Context) error {
			return s.login(ctx, s.client(t, nowhere(func(as *grant.AuthorizationServer) *string { return &as.JWKSURI })), loopback.Options{
				Notify: func(e loopback.Event) {
					if e.Kind == loopback.Received {
						time.AfterFunc(20*time.Millisecond, s.here) // the keys were asked for long before
					} else {
						select {
						case <-s.reached:
						default:
						}
					}
				}})
		},
		"saving": func(s *stage, t *testing.T, ctx context.Context) error {
			return s.login(ctx, s.client(t, nil), loopback.Options{Save: func(ctx context.Context, _ *grant.Token) error { return s.stuck(ctx) }})
		},
		"a sign-in, saving in a store that does not care": func(s *stage, t *testing.T, ctx context.Context) error {
			client := s.client(t, nil)
			release := make(chan struct{})
			source := &store.Source{Client: client, Store: &slowStore{save: func() { s.here(); <-release }}}
			source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
				return loopback.Login(ctx, client, &loopback.Options{Open: s.visit, Save: save})
			}
			t.Cleanup(func() { close(release); source.Settle(t.Context()) })
			_, err := source.SignIn(ctx)
			return err
		},
		"looking into a store that does not care": func(s *stage, t *testing.T, ctx context.Context) error {
			release := make(chan struct{})
			t.Cleanup(func() { close(release) })
			_, err := (&store.Source{Client: s.client(t, nil), Store: &slowStore{load: func() { s.here(); <-release }}}).Token(ctx)
			return err
		},
		"a passphrase that nobody types": func(s *stage, t *testing.T, ctx context.Context) error {
			in := &store.EncryptedFile{Dir: t.TempDir() + "/store", Passphrase: func(ctx context.Context, _ bool) (grant.Secret, error) { return "", s.stuck(ctx) }}
			return (&store.Source{Client: s.client(t, nil), Store: in}).Save(ctx, &grant.Token{AccessToken: "a"})
		},
		"waiting for the lock of the login": func(s *stage, t *testing.T, ctx context.Context) error {
			in := new(store.Memory)
			source := s.loggedIn(t, s.client(t, nil), in)
			return s.locked(t, ctx, in, keyOf(source), func() error { _, err := source.Token(ctx); return err })
		},
		"waiting for the lock, to save": func(s *stage, t *testing.T, ctx context.Context) error {
			in := new(store.Memory)
			source := s.loggedIn(t, s.client(t, nil), in)
			return s.locked(t, ctx, in, keyOf(source), func() error { return source.Save(ctx, &grant.Token{AccessToken: "b"}) })
		},
		"waiting for the lock, to sign out": func(s *stage, t *testing.T, ctx context.Context) error {
			in := new(store.Memory)
			source := s.loggedIn(t, s.client(t, nil), in)
			return s.locked(t, ctx, in, keyOf(source), func() error { return source.Delete(ctx) })
		},
		"waiting for the lock of a file": func(s *stage, t *testing.T, ctx context.Context) error {
			source := s.loggedIn(t, s.client(t, nil), new(store.Memory))
			source.LockDir = t.TempDir()
			unlock := s.holdFileLock(t, source)
			defer unlock()
			return s.locked(t, ctx, nil, "", func() error { _, err := source.Token(ctx); return err })
		},
		"waiting for the login of another": func(s *stage, t *testing.T, ctx context.Context) error {
			in := new(store.Memory)
			source := s.loggedIn(t, s.client(t, nil), in)
			source.Login = never(t)
			return s.locked(t, ctx, in, keyOf(source)+".login", func() error { _, err := source.SignIn(ctx); return err })
		},
		"a refresh": func(s *stage, t *testing.T, ctx context.Context) error {
			_, err := s.loggedIn(t, s.client(t, token), new(store.Memory)).Token(ctx)
			return err
		},
		"a refresh without a store": func(s *stage, t *testing.T, ctx context.Context) error {
			_, err := s.client(t, token).Refresh(ctx, &grant.Token{RefreshToken: "r"})
			return err
		},
		"a request to an API": func(s *stage, t *testing.T, ctx context.Context) error {
			source := s.loggedIn(t, s.client(t, nil), new(store.Memory))
			if err := source.Save(ctx, &grant.Token{AccessToken: "a"}); err != nil {
				return err
			}
			return get(ctx, source, s.nowhere.URL)
		},
		"a step-up": func(s *stage, t *testing.T, ctx context.Context) error {
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", wantsScope)
				w.WriteHeader(http.StatusForbidden)
			}))
			t.Cleanup(api.Close)
			client := s.client(t, nil)
			source := &store.Source{Client: client, Store: new(store.Memory)}
			if err := source.Save(ctx, &grant.Token{AccessToken: "a"}); err != nil {
				return err
			}
			source.Login = func(ctx context.Context, save save) (*grant.Token, error) {
				return nil, s.login(ctx, client, loopback.Options{Open: func(context.Context, string) error { s.here(); return nil }})
			}
			return get(ctx, source, api.URL)
		},
		"another device": func(s *stage, t *testing.T, ctx context.Context) error {
			flow, err := s.client(t, nil).AuthorizeDevice(ctx)
			if err != nil {
				return err
			}
			s.here()
			_, err = flow.Wait(ctx)
			return err
		},
		"a token request for another device": func(s *stage, t *testing.T, ctx context.Context) error {
			_, err := s.client(t, nowhere(func(as *grant.AuthorizationServer) *string { return &as.DeviceAuthorizationEndpoint })).AuthorizeDevice(ctx)
			return err
		},
		"userinfo": func(s *stage, t *testing.T, ctx context.Context) error {
			_, err := s.client(t, nowhere(func(as *grant.AuthorizationServer) *string { return &as.UserinfoEndpoint })).Userinfo(ctx, &grant.Token{AccessToken: "a"})
			return err
		},
		"revocation": func(s *stage, t *testing.T, ctx context.Context) error {
			return s.client(t, nowhere(func(as *grant.AuthorizationServer) *string { return &as.RevocationEndpoint })).Revoke(ctx, "a", "")
		},
		"registration": func(s *stage, t *testing.T, ctx context.Context) error {
			_, err := s.client(t, nowhere(func(as *grant.AuthorizationServer) *string { return &as.RegistrationEndpoint })).Register(ctx, nil, nil)
			return err
		},
		"a pending login": func(s *stage, t *testing.T, ctx context.Context) error {
			client := s.client(t, token)
			flow, err := client.Authorize(ctx, "http://127.0.0.1:1/callback")
			if err != nil {
				return err
			}
			_, err = flow.Complete(ctx, "http://127.0.0.1:1/callback?code=c&iss="+url.QueryEscape(s.iss.URL())+"&state="+stateOf(t, flow))
			return err
		},
		"handing a secret URL over": func(s *stage, t *testing.T, ctx context.Context) error {
			return loopback.OpenSecret(ctx, "https://issuer.example/", &loopback.Options{Open: func(context.Context, string) error { s.here(); return nil }})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			took := time.Duration(0)
			for range 5 { // a machine that is busy elsewhere is not what this is about
				if took = cancelled(t, run); took < atOnce || t.Failed() {
					return
				}
			}
			t.Errorf("returned %v after the context had ended", took)
		})
	}
}

// cancelled cancels a call where it is stuck, and returns how long that took.
func cancelled(t *testing.T, run func(*stage, *testing.T, context.Context) error) (took time.Duration) {
	t.Helper()
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan time.Time, 1)
	go func() {
		select {
		case <-s.reached:
		case <-time.After(10 * time.Second):
			t.Error("the call does not come to where it is to be cancelled")
		case <-ctx.Done():
		}
		ended <- time.Now()
		cancel()
	}()
	err := run(s, t, ctx)
	returned := time.Now()
	if ctx.Err() == nil {
		t.Errorf("it returned before that: %v", err)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	cancel()
	return returned.Sub(<-ended)
}

// locked makes a call while somebody else has a lock of the store.
func (s *stage) locked(t *testing.T, ctx context.Context, in *store.Memory, name string, call func() error) error {
	if in != nil {
		unlock, err := in.Lock(ctx, name)
		if err != nil {
			return err
		}
		t.Cleanup(unlock)
	}
	time.AfterFunc(20*time.Millisecond, s.here)
	return call()
}

// holdFileLock takes the lock of a login as another process would, by a Source that
// is in the middle of signing out.
func (s *stage) holdFileLock(t *testing.T, source *store.Source) (unlock func()) {
	other := &store.Source{Client: source.Client, Store: source.Store, LockDir: source.LockDir}
	holding, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		other.SignOut(t.Context(), func(context.Context, *store.Record) error {
			close(holding)
			<-release
			return errors.New("not now")
		})
	}()
	<-holding
	return func() { close(release); <-ended }
}

// keyOf is the key under which a login is stored.
func keyOf(source *store.Source) string {
	return store.Profile{Issuer: source.Client.Server.Issuer, ClientID: source.Client.ClientID, Name: source.Profile}.Key()
}

func get(ctx context.Context, source *store.Source, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := source.HTTPClient().Do(req)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

func stateOf(t *testing.T, flow *grant.Flow) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, flow.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req.URL.Query().Get("state")
}
