package grant_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	noEndpoint  = "OAUTH_MISSING_SERVER_METADATA metadata.endpoint"
	badEndpoint = "OAUTH_INVALID_SERVER_METADATA metadata.endpoint"
	notHTTPS    = "OAUTH_HTTP_REQUEST_FORBIDDEN url.scheme"
	badScheme   = "OAUTH_REQUEST_PROTOCOL_FORBIDDEN url.scheme"
)

var userAgent = regexp.MustCompile(`^[a-z-]+/v\d+\.\d+\.\d+$`)

// The order of the checks is that of R119: what the caller got wrong comes
// before what the server lacks, and nothing is sent.
func TestAuthorizationCodeGrantRequestOrder(t *testing.T) {
	tests := []struct {
		name                        string
		query                       string // "" leaves the callback parameters out
		redirectURI, verifier       string
		noServer, noClient          bool
		noIssuer, noClientID, noEnd bool
		header                      http.Header
		want                        string
	}{
		{name: "AC-01 no token_endpoint", query: "code=c", redirectURI: "r", verifier: "v", noEnd: true, want: noEndpoint},
		{name: "AC-02 no callback parameters, no token_endpoint", redirectURI: "r", verifier: "v", noEnd: true, want: "argument"},
		{name: "AC-03 empty callback parameters, no token_endpoint", query: "x=", redirectURI: "r", verifier: "v", noEnd: true, want: missingCode},
		{name: "R001 no server", query: "code=c", redirectURI: "r", verifier: "v", noServer: true, want: "argument"},
		{name: "R002 no client", query: "code=c", redirectURI: "r", verifier: "v", noClient: true, want: "argument"},
		{name: "R001 no issuer", query: "code=c", redirectURI: "r", verifier: "v", noIssuer: true, want: "argument"},
		{name: "R002 no client_id", query: "code=c", redirectURI: "r", verifier: "v", noClientID: true, want: "argument"},
		{name: "R119 no redirect_uri, no code", query: "x=", verifier: "v", want: "argument"},
		{name: "R119 no code, no verifier", query: "x=", redirectURI: "r", want: missingCode},
		{name: "R120 empty code", query: "code=", redirectURI: "r", verifier: "v", want: missingCode},
		{name: "R121 no verifier, no endpoint", query: "code=c", redirectURI: "r", noEnd: true, want: "argument"},
		{name: "R016 Authorization header", query: "code=c", redirectURI: "r", verifier: "v", header: http.Header{"authorization": {"x"}}, want: "argument"},
		{name: "all there", query: "code=c", redirectURI: "r", verifier: "v", want: "ok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(tokenBody(""))
			as, client := newServer(), newClient(p)
			var callback grant.CallbackParameters
			if test.query != "" {
				callback = validated(t, as, client, test.query)
			}
			if test.noIssuer {
				as.Issuer = ""
			}
			if test.noClientID {
				client.ClientID = ""
			}
			if test.noEnd {
				as.TokenEndpoint = ""
			}
			if test.noServer {
				as = nil
			}
			if test.noClient {
				client = nil
			}
			_, err := grant.AuthorizationCodeGrantRequest(t.Context(), as, client, callback, test.redirectURI, test.verifier,
				&grant.TokenEndpointRequestOptions{Header: test.header})
			wantOutcome(t, err, test.want)
			if sent := len(p.requests("/token")); err != nil && sent != 0 {
				t.Errorf("%d requests were sent", sent)
			}
		})
	}
}

// A sender makes one of the requests to a token endpoint.
type sender struct {
	name string
	own  url.Values // what the library sets
	send func(ctx context.Context, t *testing.T, as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error)
}

var senders = []sender{
	{"code", url.Values{"grant_type": {"authorization_code"}, "code": {"authorization_code"}, "redirect_uri": {"redirect_uri"}, "code_verifier": {"verifier"}},
		func(ctx context.Context, t *testing.T, as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error) {
			callback := validated(t, as, client, "code=authorization_code&state=s&iss="+url.QueryEscape(as.Issuer)+"&foo=bar")
			return grant.AuthorizationCodeGrantRequest(ctx, as, client, callback, "redirect_uri", "verifier", opts)
		}},
	{"refresh", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"refresh_token"}},
		func(ctx context.Context, t *testing.T, as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error) {
			return grant.RefreshTokenGrantRequest(ctx, as, client, "refresh_token", opts)
		}},
	{"device", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {"device_code"}},
		func(ctx context.Context, t *testing.T, as *grant.AuthorizationServer, client *grant.Client, opts *grant.TokenEndpointRequestOptions) (*http.Response, error) {
			return grant.DeviceCodeGrantRequest(ctx, as, client, "device_code", opts)
		}},
}

// R016, R020, R022, R122, R123, H06.
func TestTokenRequest(t *testing.T) {
	tests := []struct {
		name   string
		opts   *grant.TokenEndpointRequestOptions
		form   url.Values // beyond what the library sets
		header map[string]string
	}{
		{name: "AC-04 RT-03 DEV-24 no options"},
		{name: "AC-05 AC-06 AC-07 RT-04 RT-05 RT-06 DEV-25 DEV-26 DEV-27 resource", opts: &grant.TokenEndpointRequestOptions{AdditionalParameters: url.Values{"resource": {"urn:example:resource"}}},
			form: url.Values{"resource": {"urn:example:resource"}}},
		{name: "R022 several resources", opts: &grant.TokenEndpointRequestOptions{AdditionalParameters: url.Values{"resource": {"urn:b", "urn:a"}}},
			form: url.Values{"resource": {"urn:b", "urn:a"}}},
		{name: "R122 nothing overrides the library", opts: &grant.TokenEndpointRequestOptions{AdditionalParameters: url.Values{
			"grant_type": {"x", "y"}, "code": {"x"}, "redirect_uri": {"x"}, "code_verifier": {"x"}, "refresh_token": {"x"}, "device_code": {"x"}}}},
		{name: "R089 H06 no smuggled credentials", opts: &grant.TokenEndpointRequestOptions{AdditionalParameters: url.Values{
			"client_id": {"x"}, "client_secret": {"x"}, "client_assertion": {"x"}, "client_assertion_type": {"x"}}}},
		{name: "AC-08 AC-09 AC-10 RT-07 RT-08 RT-09 DEV-28 DEV-29 DEV-30 headers", opts: &grant.TokenEndpointRequestOptions{Header: http.Header{"accept": {"text/html"}, "user-agent": {"foo"}, "foo": {"bar"}}},
			header: map[string]string{"User-Agent": "foo", "Foo": "bar"}},
		{name: "R016 the content type is ours", opts: &grant.TokenEndpointRequestOptions{Header: http.Header{"content-type": {"text/plain"}}}},
	}
	for _, sender := range senders {
		for _, test := range tests {
			t.Run(sender.name+" "+test.name, func(t *testing.T) {
				p := newProvider(tokenBody(""))
				before := cloneOptions(test.opts)
				if _, err := sender.send(t.Context(), t, newServer(), newClient(p), test.opts); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(test.opts, before) {
					t.Errorf("the options were changed to %+v", test.opts)
				}
				r := p.one(t, "/token")
				want := url.Values{"client_id": {clientID}}
				for _, values := range []url.Values{test.form, sender.own} {
					for name, list := range values {
						want[name] = list
					}
				}
				for name := range want {
					if !reflect.DeepEqual(r.form[name], want[name]) {
						t.Errorf("form has %s=%v, want %v", name, r.form[name], want[name])
					}
				}
				for name := range r.form {
					if want[name] == nil && (test.opts == nil || sender.own[name] != nil || isCredential(name)) {
						t.Errorf("form has %s=%v, want none", name, r.form[name])
					}
				}
				if r.method != "POST" || r.header.Get("Accept") != "application/json" ||
					r.header.Get("Content-Type") != "application/x-www-form-urlencoded;charset=UTF-8" || r.header.Get("Authorization") != "" {
					t.Errorf("%s with headers %v", r.method, r.header)
				}
				if test.header["User-Agent"] == "" && !userAgent.MatchString(r.header.Get("User-Agent")) {
					t.Errorf("User-Agent %q", r.header.Get("User-Agent"))
				}
				for name, value := range test.header {
					if r.header.Get(name) != value {
						t.Errorf("header %s: %q, want %q", name, r.header.Get(name), value)
					}
				}
			})
		}
	}
}

func isCredential(name string) bool {
	return name == "client_secret" || name == "client_assertion" || name == "client_assertion_type"
}

func cloneOptions(opts *grant.TokenEndpointRequestOptions) *grant.TokenEndpointRequestOptions {
	if opts == nil {
		return nil
	}
	parameters := url.Values{}
	for name, list := range opts.AdditionalParameters {
		parameters[name] = append([]string(nil), list...)
	}
	if opts.AdditionalParameters == nil {
		parameters = nil
	}
	return &grant.TokenEndpointRequestOptions{AdditionalParameters: parameters, Header: opts.Header.Clone()}
}

// R017: the two spellings of a header are one header.
func TestHeaderSpellings(t *testing.T) {
	p := newProvider(tokenBody(""))
	client := newClient(p)
	client.Header = http.Header{"X-Client": {"1"}, "X-Both": {"client"}}
	opts := &grant.TokenEndpointRequestOptions{Header: http.Header{"x-call": {"a"}, "X-Call": {"b"}, "x-both": {"call"}}}
	if _, err := senders[1].send(t.Context(), t, newServer(), client, opts); err != nil {
		t.Fatal(err)
	}
	header := p.one(t, "/token").header
	if got := header.Values("X-Call"); len(got) != 2 {
		t.Errorf("X-Call: %q", got)
	}
	if header.Get("X-Client") != "1" || !reflect.DeepEqual(header.Values("X-Both"), []string{"call"}) {
		t.Errorf("headers %v", header)
	}
}

// R125: a request succeeds with any status, and no status makes it follow.
func TestTokenRequestReturnsAnyStatus(t *testing.T) {
	for _, status := range []int{200, 201, 302, 303, 307, 308, 400, 401, 404, 500, 503} {
		for _, location := range []string{issuer + "/elsewhere", "https://evil.example/", "/token", "http://[::1", ""} {
			p := newProvider("")
			p.token = always(status, "{}", "Location", location)
			resp, err := senders[0].send(t.Context(), t, newServer(), newClient(p), nil)
			if err != nil || resp.StatusCode != status {
				t.Errorf("status %d, Location %q: %v, %v", status, location, resp, err)
			}
			if sent := len(p.seen); sent != 1 {
				t.Errorf("status %d, Location %q: %d requests", status, location, sent)
			}
		}
	}
}

// Errors of the transport pass through, and those of the context are what
// errors.Is says they are, whatever cause the context was given.
func TestTokenRequestPassesErrorsThrough(t *testing.T) {
	broken := errors.New("the cable is cut")
	cause := errors.New("interrupted")
	tests := []struct {
		name    string
		ctx     func(ctx context.Context) (context.Context, context.CancelFunc)
		answer  endpoint
		want    error
		elapsed time.Duration
	}{
		{"network", nil, func(*http.Request) (*http.Response, error) { return nil, broken }, broken, 0},
		{"canceled before", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, untilDone, context.Canceled, 0},
		{"canceled with a cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(time.Second, func() { cancel(cause) })
			return ctx, func() { cancel(nil) }
		}, untilDone, context.Canceled, time.Second},
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 2*time.Second)
		}, untilDone, context.DeadlineExceeded, 2 * time.Second},
		{"our own timeout", nil, untilDone, context.DeadlineExceeded, 30 * time.Second},
		{"slow body", nil, func(req *http.Request) (*http.Response, error) {
			resp := response(200, "")
			resp.Body = slowBody{req.Context()}
			return resp, nil
		}, context.DeadlineExceeded, 30 * time.Second},
		{"body that breaks off", nil, func(*http.Request) (*http.Response, error) {
			resp := response(200, "")
			resp.Body = brokenBody{broken}
			return resp, nil
		}, broken, 0},
	}
	for _, test := range tests {
		t.Run(test.name, inBubble(func(t *testing.T) {
			p := newProvider("")
			p.token = test.answer
			ctx := t.Context()
			if test.ctx != nil {
				var cancel context.CancelFunc
				ctx, cancel = test.ctx(ctx)
				defer cancel()
			}
			as, start := newServer(), time.Now()
			as.TokenEndpoint += "?key=visible"
			_, err := senders[1].send(ctx, t, as, newClient(p), nil)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if e, ok := errors.AsType[*url.Error](err); !ok || strings.Contains(err.Error(), "refresh_token") || strings.Contains(err.Error(), "visible") ||
				e.Timeout() != errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%T: %v", e, err)
			}
			if elapsed := time.Since(start); elapsed != test.elapsed {
				t.Errorf("it took %v, want %v", elapsed, test.elapsed)
			}
		}))
	}
}

func untilDone(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, context.Cause(req.Context()) // as http.Transport does
}

type slowBody struct{ ctx context.Context }

func (b slowBody) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (slowBody) Close() error               { return nil }

type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }
func (brokenBody) Close() error               { return nil }

// The HTTP client of a call wins over the one of the client.
func TestHTTPClientOfACall(t *testing.T) {
	p, unused := newProvider(tokenBody("")), newProvider("")
	opts := &grant.TokenEndpointRequestOptions{HTTPClient: &http.Client{Transport: p}}
	if _, err := senders[0].send(t.Context(), t, newServer(), newClient(unused), opts); err != nil {
		t.Fatal(err)
	}
	p.one(t, "/token")
	as := newServer()
	for _, process := range []func(resp *http.Response) error{
		func(resp *http.Response) error {
			_, err := grant.ProcessAuthorizationCodeResponse(t.Context(), as, newClient(unused), resp, &grant.ProcessAuthorizationCodeOptions{HTTPClient: opts.HTTPClient})
			return err
		},
		func(resp *http.Response) error {
			_, err := grant.ProcessRefreshTokenResponse(t.Context(), newServer(), newClient(unused), resp, &grant.ProcessRefreshTokenOptions{HTTPClient: opts.HTTPClient})
			return err
		},
	} {
		wantOutcome(t, process(response(200, tokenBody(mint("ES256", idClaims(nil))))), "ok")
	}
	if len(p.requests("/jwks")) != 2 || len(unused.seen) != 0 {
		t.Errorf("%d and %d requests", len(p.seen), len(unused.seen))
	}
}

// A nil context is the caller's mistake, not a panic.
func TestNilContext(t *testing.T) {
	var none context.Context
	_, err := senders[1].send(none, t, newServer(), newClient(newProvider("")), nil)
	wantOutcome(t, err, "argument")
}
