package grant_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// An impatientServer has a token endpoint, and closes connections that nothing is
// sent on after a while.
type impatientServer struct {
	*httptest.Server
	mu       sync.Mutex
	opened   map[string]time.Time // by remote address, TLS included
	requests []string             // method and path
	used     time.Time            // when the connection of the token request was opened
	closed   int
}

func startImpatient(t *testing.T, secure bool, patience time.Duration) *impatientServer {
	t.Helper()
	s := &impatientServer{opened: map[string]time.Time{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		s.used = s.opened[r.RemoteAddr]
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"t","token_type":"bearer"}`)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ReadHeaderTimeout, s.Config.ReadTimeout, s.Config.IdleTimeout = patience, patience, patience
	s.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch state {
		case http.StateNew:
			s.opened[conn.RemoteAddr().String()] = time.Now()
		case http.StateClosed:
			s.closed++
		}
	}
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *impatientServer) connections() (opened, closed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.opened), s.closed
}

// clientOf returns one that trusts the server, with its transport changed.
func (s *impatientServer) clientOf(t *testing.T, change func(*http.Transport)) *grant.Client {
	t.Helper()
	client := &grant.Client{
		ClientID: "toy", AllowInsecureRequests: true,
		Server: &grant.AuthorizationServer{Issuer: s.URL, AuthorizationEndpoint: s.URL + "/authorize", TokenEndpoint: s.URL + "/token"},
	}
	transport := &http.Transport{ForceAttemptHTTP2: true}
	if s.TLS != nil {
		transport.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
	}
	if change != nil {
		change(transport)
	}
	client.HTTPClient = &http.Client{Transport: transport}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// keepWarm runs KeepWarm and returns what ends it.
func keepWarm(t *testing.T, flow *grant.Flow) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { flow.KeepWarm(ctx) })
	stop = func() {
		cancel()
		keeping.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func answerOf(t *testing.T, flow *grant.Flow) url.Values {
	t.Helper()
	return url.Values{"code": {"c"}, "state": {query(t, flow).Get("state")}}
}

// TestWarmAfterASlowPerson: the person takes 7 s, the provider closes after 5 s
// what nothing is sent on. The token request goes out at once all the same, on a
// connection that was opened before, TLS included, and no other request is made.
func TestWarmAfterASlowPerson(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("TLS %v, HTTP/2 %v", secure, http2), func(t *testing.T) {
				t.Parallel()
				s := startImpatient(t, secure, 5*time.Second)
				client := s.clientOf(t, func(transport *http.Transport) { transport.ForceAttemptHTTP2 = http2 })
				flow, err := client.Authorize(t.Context(), redirect)
				if err != nil {
					t.Fatal(err)
				}
				stop := keepWarm(t, flow)
				time.Sleep(7 * time.Second)
				came := time.Now()
				before, _ := s.connections()
				if before != 2 {
					t.Errorf("%d connections were opened, want one, and another one when that was closed", before)
				}
				if _, err := flow.Exchange(t.Context(), answerOf(t, flow)); err != nil {
					t.Fatal(err)
				}
				stop()
				if after, _ := s.connections(); after != before || s.used.After(came) {
					t.Errorf("%d connections, want no more than the %d that were open", after, before)
				}
				if !slices.Equal(s.requests, []string{"POST /token"}) {
					t.Errorf("requests %q", s.requests)
				}
			})
		}
	}
}

// TestWarmLeavesNothingOpen, used or not.
func TestWarmLeavesNothingOpen(t *testing.T) {
	for _, use := range []bool{false, true} {
		s := startImpatient(t, true, time.Minute)
		flow, err := s.clientOf(t, nil).Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		stop := keepWarm(t, flow)
		time.Sleep(200 * time.Millisecond)
		if use {
			if _, err := flow.Exchange(t.Context(), answerOf(t, flow)); err != nil {
				t.Fatal(err)
			}
		}
		stop()
		waitForClosed(t, s, 1)
	}
}

// waitForClosed waits until all connections are closed, of which there were n.
func waitForClosed(t *testing.T, s *impatientServer, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	opened, closed := s.connections()
	for ; (opened != n || closed != n) && time.Now().Before(deadline); opened, closed = s.connections() {
		time.Sleep(10 * time.Millisecond)
	}
	if opened != n || closed != n {
		t.Errorf("%d connections were opened, %d closed, want %d", opened, closed, n)
	}
}

// TestWarmIsModest: it does not come back to a server that closes at once, and opens
// nothing where the transport has its own ways.
func TestWarmIsModest(t *testing.T) {
	proxy, _ := url.Parse("http://127.0.0.1:1")
	tests := []struct {
		name     string
		secure   bool
		patience time.Duration
		change   func(*http.Transport)
		want     int
	}{
		{"a server that closes at once", false, time.Millisecond, nil, 1},
		{"a proxy", true, time.Minute, func(t *http.Transport) { t.Proxy = http.ProxyURL(proxy) }, 0},
		{"TLS of its own", true, time.Minute, func(t *http.Transport) {
			t.DialTLSContext = func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
		}, 0},
		{"HTTP/2 alone", true, time.Minute, func(t *http.Transport) {
			t.Protocols = new(http.Protocols)
			t.Protocols.SetHTTP2(true)
		}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := startImpatient(t, test.secure, test.patience)
			flow, err := s.clientOf(t, test.change).Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			keepWarm(t, flow)
			time.Sleep(1500 * time.Millisecond)
			if n, _ := s.connections(); n != test.want {
				t.Errorf("%d connections, want %d", n, test.want)
			}
		})
	}
}

// A listTransport is a transport of an embedder's that lists what is sent.
type listTransport struct {
	base http.RoundTripper
	list *sync.Map
}

func (l *listTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	l.list.Store(req.Method+" "+req.URL.Path, true)
	return l.base.RoundTrip(req)
}

func (l *listTransport) Unwrap() http.RoundTripper { return l.base }

func (l *listTransport) Wrap(base http.RoundTripper) http.RoundTripper {
	return &listTransport{base, l.list}
}

// TestWarmWithinATransport: one that wraps another one takes the open connection, TLS
// and HTTP/2 or not, sees the request, and hides no certificate.
func TestWarmWithinATransport(t *testing.T) {
	for _, layers := range []int{0, 1, 2} {
		s := startImpatient(t, true, time.Minute)
		client := s.clientOf(t, func(t *http.Transport) {
			t.TLSClientConfig = t.TLSClientConfig.Clone()
			t.TLSClientConfig.Certificates = []tls.Certificate{{}}
		})
		client.TokenEndpointAuthMethod = "tls_client_auth"
		list := new(sync.Map)
		for range layers {
			client.HTTPClient.Transport = &listTransport{client.HTTPClient.Transport, list}
		}
		flow, err := client.Authorize(t.Context(), redirect)
		if err != nil {
			t.Fatal(err)
		}
		stop := keepWarm(t, flow)
		time.Sleep(200 * time.Millisecond)
		came := time.Now()
		if _, err := flow.Exchange(t.Context(), answerOf(t, flow)); err != nil {
			t.Fatal(err)
		}
		stop()
		if n, _ := s.connections(); n != 1 || s.used.After(came) {
			t.Errorf("%d layers: %d connections, want the one that was open", layers, n)
		}
		waitForClosed(t, s, 1)
		if _, listed := list.Load("POST /token"); listed != (layers > 0) {
			t.Errorf("%d layers: the token request was seen: %v", layers, listed)
		}
	}
	client := newClient(nil)
	client.HTTPClient = &http.Client{Transport: &listTransport{&http.Transport{}, new(sync.Map)}}
	client.TokenEndpointAuthMethod = "tls_client_auth"
	if _, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"}); !errors.Is(err, grant.ErrArgument) {
		t.Errorf("without a certificate: %v", err)
	}
}

// TestWarmChecksTheServer: what waits was checked as what is opened later.
func TestWarmChecksTheServer(t *testing.T) {
	s := startImpatient(t, true, time.Minute)
	flow, err := s.clientOf(t, func(t *http.Transport) { t.TLSClientConfig = &tls.Config{} }).Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	keepWarm(t, flow)
	time.Sleep(200 * time.Millisecond)
	if _, err := flow.Exchange(t.Context(), answerOf(t, flow)); err == nil || len(s.requests) > 0 {
		t.Errorf("error %v after requests %q", err, s.requests)
	}
}
