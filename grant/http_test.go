package grant_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// serve runs a provider on a socket and returns its metadata and a client that
// uses the package's own HTTP client.
func serve(t *testing.T, token http.HandlerFunc) (*grant.AuthorizationServer, *grant.Client) {
	t.Helper()
	server := httptest.NewServer(token)
	t.Cleanup(server.Close)
	as := &grant.AuthorizationServer{Issuer: server.URL, TokenEndpoint: server.URL + "/token", AuthorizationEndpoint: server.URL + "/authorize"}
	client := &grant.Client{Server: as, ClientID: clientID, AllowInsecureRequests: true}
	t.Cleanup(client.CloseIdleConnections)
	return as, client
}

func TestRealResponses(t *testing.T) {
	const good = `{"access_token":"token"}`
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"good", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, good) }, "ok"},
		{"T13 gzip", func(w http.ResponseWriter, _ *http.Request) { zip(w, strings.NewReader(good)) }, "ok"},
		{"T13 gzip bomb", func(w http.ResponseWriter, _ *http.Request) { zip(w, io.LimitReader(zeros{}, 16<<20)) }, "OAUTH_INVALID_RESPONSE response.size"},
		{"endless body", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, zeros{}) }, "OAUTH_INVALID_RESPONSE response.size"},
		{"just 1 MiB", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, good+strings.Repeat(" ", 1<<20-len(good)))
		}, "ok"},
		{"a byte more", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, good+strings.Repeat(" ", 1<<20-len(good)+1))
		}, "OAUTH_INVALID_RESPONSE response.size"},
		{"R021 redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, notConform},
		{"redirect without a location", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(302) }, notConform},
		{"204", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, notConform},
		{"early hints", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); io.WriteString(w, good) }, "ok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var requests atomic.Int32
			_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1); r.URL.Path != "/token" {
					t.Errorf("the request was sent on to %s", r.URL)
				}
				test.answer(w, r)
			})
			_, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "refresh token"})
			wantOutcome(t, err, test.want)
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// The request functions bound the answer, whoever processes it.
func TestRawResponseIsBounded(t *testing.T) {
	as, client := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, zeros{}) })
	_, err := senders[1].send(t.Context(), t, as, client, &grant.TokenEndpointRequestOptions{AllowInsecureRequests: true})
	wantOutcome(t, err, "OAUTH_INVALID_RESPONSE response.size")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func zip(w http.ResponseWriter, r io.Reader) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	io.Copy(z, r)
	z.Close()
}

// An error of the network names the endpoint and nothing that was sent.
func TestRealNetworkErrors(t *testing.T) {
	hangUp := func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"hangs up": hangUp,
		"hangs up within the body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
		},
		"header bomb": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 1000 {
				w.Header().Set(fmt.Sprint("Header-", i), strings.Repeat("x", 1000))
			}
		},
		"no gzip": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "plain")
		},
	} {
		var requests atomic.Int32
		as, client := serve(t, func(w http.ResponseWriter, r *http.Request) { requests.Add(1); answer(w, r) })
		as.TokenEndpoint += "?tenant=hidden"
		_, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "refresh token"})
		if e, ok := errors.AsType[*url.Error](err); !ok || !strings.HasSuffix(e.URL, "/token") || grant.LoginRequired(err) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			wantNoSecrets(t, name, err.Error(), "refresh token", "refresh+token", "hidden")
		}
		if n := requests.Load(); n != 1 {
			t.Errorf("%s: %d requests with one refresh token", name, n)
		}
	}
}

// What the caller's HTTP client would do with cookies and redirects is not
// done, and the client is left as it was.
func TestCallersHTTPClient(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	as, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" {
			t.Error("a cookie was sent")
		}
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(302)
	})
	u, err := url.Parse(as.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(u, []*http.Cookie{{Name: "a", Value: "1"}})
	client.HTTPClient = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		t.Error("a redirect was to be followed")
		return nil
	}}
	_, err = client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"})
	wantOutcome(t, err, notConform)
	if len(jar.Cookies(u)) != 1 || client.HTTPClient.Jar != jar || client.HTTPClient.Timeout != 0 {
		t.Error("the caller's client was changed")
	}
}

func TestCallersTimeout(t *testing.T) {
	inBubble(func(t *testing.T) {
		p := newProvider("")
		p.token = untilDone
		client := newClient(p)
		client.Server, client.HTTPClient.Timeout = newServer(), 5*time.Second
		start := time.Now()
		_, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"})
		if took := time.Since(start); took != 5*time.Second || err == nil || !strings.Contains(err.Error(), "no answer within 5s") {
			t.Errorf("after %v: %v", took, err)
		}
	})(t)
}

// A transport that does not care for the context is left behind, and what it
// brings later is closed.
func TestTransportThatIgnoresTheContext(t *testing.T) {
	inBubble(func(t *testing.T) {
		body := make(hourlyBody, 1)
		for name, answer := range map[string]endpoint{
			"no response": func(*http.Request) (*http.Response, error) { time.Sleep(time.Hour); return nil, errors.New("no route") },
			"a late response": func(*http.Request) (*http.Response, error) {
				time.Sleep(time.Hour)
				return &http.Response{StatusCode: 200, Body: body}, nil
			},
			"a body without an end": func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: body}, nil
			},
		} {
			p := newProvider("")
			p.token = answer
			client := newClient(p)
			client.Server = newServer()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := client.Refresh(ctx, &grant.Token{RefreshToken: "r"})
			if took := time.Since(start); took != 6*time.Second || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: after %v: %v", name, took, err)
			}
			start = time.Now()
			_, err = client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"})
			if took := time.Since(start); took != 35*time.Second || !strings.Contains(fmt.Sprint(err), "no answer within 30s") {
				t.Errorf("%s: after %v: %v", name, took, err)
			}
			time.Sleep(3 * time.Hour)
			synctest.Wait()
		}
		if n := len(body); n != 1 {
			t.Error("the body was not closed")
		}
	})(t)
}

// hourlyBody is a body that takes an hour for a byte. It notes that it was closed.
type hourlyBody chan bool

func (hourlyBody) Read(p []byte) (int, error) { time.Sleep(time.Hour); return 0, io.EOF }

func (b hourlyBody) Close() error {
	select {
	case b <- true:
	default:
	}
	return nil
}

// A transport may take headers that ours would not.
func TestHeaderLimitOfOtherTransports(t *testing.T) {
	for size, want := range map[int]string{60 << 10: "ok", 70 << 10: "OAUTH_INVALID_RESPONSE response.size"} {
		_, client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for i := range 10 {
				w.Header().Set(fmt.Sprint("Header-", i), strings.Repeat("x", size/10))
			}
			io.WriteString(w, `{"access_token":"token"}`)
		})
		transport := &http.Transport{MaxResponseHeaderBytes: 10 << 20}
		client.HTTPClient = &http.Client{Transport: transport}
		t.Cleanup(transport.CloseIdleConnections)
		_, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"})
		wantOutcome(t, err, want)
	}
}

// A transport that breaks its contract is an error, not a panic.
func TestBrokenTransport(t *testing.T) {
	for name, answer := range map[string]endpoint{
		"nothing": func(*http.Request) (*http.Response, error) { return nil, nil },
		"no body": func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil },
	} {
		p := newProvider("")
		p.token = answer
		if _, err := senders[1].send(t.Context(), t, newServer(), newClient(p), nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("the request came with %s", r.Proto)
		}
		io.WriteString(w, `{"access_token":"token","token_type":"Bearer"}`)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}, ForceAttemptHTTP2: true}
	client := newClient(transport)
	client.Server = &grant.AuthorizationServer{Issuer: server.URL, TokenEndpoint: server.URL + "/token"}
	t.Cleanup(client.CloseIdleConnections)
	_, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"})
	wantOutcome(t, err, "ok")
}

// A certificate that nobody signed is refused: there is no way around it.
func TestUnknownCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	client := &grant.Client{Issuer: server.URL, ClientID: clientID}
	t.Cleanup(client.CloseIdleConnections)
	_, err := client.Authorize(t.Context(), redirect)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("got %v", err)
	}
}

// A whole login and a refresh over sockets leave no goroutine behind.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	var server *httptest.Server
	var nonce atomic.Value
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case oidcPlace:
			io.WriteString(w, members{"issuer": server.URL, "authorization_endpoint": server.URL + "/authorize", "token_endpoint": server.URL + "/token",
				"jwks_uri": server.URL + "/jwks", "id_token_signing_alg_values_supported": []string{"ES256"}}.json())
		case "/jwks":
			io.WriteString(w, jwks(jwkES))
		case "/token":
			io.WriteString(w, members{"access_token": "t", "refresh_token": "r", "id_token": mint("ES256", idClaims(members{"iss": server.URL, "nonce": nonce.Load()}))}.json())
		}
	}))
	client := &grant.Client{Issuer: server.URL, ClientID: clientID, Scopes: []string{"openid"}, AllowInsecureRequests: true}
	flow, err := client.Authorize(t.Context(), redirect)
	if err != nil {
		t.Fatal(err)
	}
	nonce.Store(query(t, flow).Get("nonce"))
	token, err := flow.Exchange(t.Context(), redirectOf(t, flow))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Refresh(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if _, err := grant.Discover(t.Context(), server.URL, &grant.DiscoverOptions{AllowInsecureRequests: true}); err != nil {
		t.Fatal(err)
	}
	client.CloseIdleConnections()
	server.Close()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// The content type of an answer is named in the error, if it is one.
func TestContentTypeInErrors(t *testing.T) {
	const none = "of no known content type"
	for contentType, want := range map[string]string{
		"text/html": "text/html", "text/html; charset=utf-8": "text/html", " Text/HTML ;x": "Text/HTML", "a!#$/~z": "a!#$/~z",
		"": none, "text": none, "text/": none, "/html": none, "text/ht ml": none, "text/h\u00e4": none, "text/\u0161": none, "text/html/x": none, "te(xt/html": none,
		"text/" + strings.Repeat("x", 95): "text/" + strings.Repeat("x", 95), "text/" + strings.Repeat("x", 96): none,
	} {
		_, err := processors[0].process(t, newServer(), newClient(nil), response(200, "<html>", "Content-Type", contentType))
		check, ok := errors.AsType[*grant.CheckError](err)
		if !ok || !strings.HasSuffix(check.Reason, " "+want) {
			t.Errorf("%q: %v, want %s", contentType, err, want)
		}
	}
}

// A client keeps its connection until it is told to close it.
func TestConnections(t *testing.T) {
	states := make(chan http.ConnState, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"access_token":"token"}`) }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew || state == http.StateClosed {
			states <- state
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	as := &grant.AuthorizationServer{Issuer: server.URL, TokenEndpoint: server.URL + "/token"}
	client := &grant.Client{Server: as, ClientID: clientID, AllowInsecureRequests: true}
	for range 3 {
		if _, err := client.Refresh(t.Context(), &grant.Token{RefreshToken: "r"}); err != nil {
			t.Fatal(err)
		}
	}
	client.CloseIdleConnections()
	for _, want := range []http.ConnState{http.StateNew, http.StateClosed} {
		select {
		case got := <-states:
			if got != want {
				t.Errorf("a connection is %v, want %v", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no connection is %v", want)
		}
	}
}
