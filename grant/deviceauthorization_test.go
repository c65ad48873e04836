package grant_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

const (
	deviceStatus = "OAUTH_RESPONSE_IS_NOT_CONFORM device_authorization_response.status"
	badDevice    = "OAUTH_INVALID_RESPONSE device_authorization_response."
	deviceCode   = "DEVICE-code+4720"
	userCode     = "WDJB-MJHT"
)

// deviceBody is an answer of the device authorization endpoint.
func deviceBody(changes members) members {
	return members{
		"device_code": deviceCode, "user_code": userCode, "verification_uri": "https://op.example.com/go",
		"verification_uri_complete": "https://op.example.com/go?code=" + userCode, "expires_in": 300, "interval": 5,
	}.with(changes)
}

func TestDeviceAuthorizationRequestOrder(t *testing.T) {
	without, plain := newServer(), newServer()
	without.DeviceAuthorizationEndpoint, plain.DeviceAuthorizationEndpoint = "", "http://op.example.com/device"
	tests := []struct {
		name   string
		as     *grant.AuthorizationServer
		client *grant.Client
		header http.Header
		want   string
	}{
		{"DEV-01 no endpoint", without, newClient(nil), nil, noEndpoint},
		{"R012 http", plain, newClient(nil), nil, notHTTPS},
		{"R001 no server", nil, newClient(nil), nil, "argument"},
		{"R002 no client", newServer(), nil, nil, "argument"},
		{"R016 Authorization header", newServer(), newClient(nil), http.Header{"authorization": {"x"}}, "argument"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := grant.DeviceAuthorizationRequest(t.Context(), test.as, test.client, nil, &grant.TokenEndpointRequestOptions{Header: test.header})
			wantOutcome(t, err, test.want)
		})
	}
}

func TestDeviceAuthorizationRequest(t *testing.T) {
	parameters := url.Values{"resource": {"urn:b", "urn:a"}, "scope": {"openid"}, "client_id": {"x"}, "client_secret": {"x"}}
	opts := &grant.TokenEndpointRequestOptions{
		AdditionalParameters: url.Values{"scope": {"other"}, "foo": {"bar"}, "client_assertion": {"x"}},
		Header:               http.Header{"accept": {"text/html"}, "user-agent": {"foo"}, "foo": {"bar"}},
	}
	for name, auth := range map[string]grant.ClientAuth{"none": nil, "basic": grant.ClientSecretBasic("s")} {
		p := newProvider("")
		p.others = map[string]endpoint{"/device": always(500, "")}
		opts.ClientAuth = auth
		resp, err := grant.DeviceAuthorizationRequest(t.Context(), newServer(), newClient(p), parameters, opts)
		if err != nil || resp.StatusCode != 500 {
			t.Fatal(resp, err)
		}
		r := p.one(t, "/device")
		// DEV-02, DEV-03, DEV-04 and R230: client_id is in the body also beside Basic, nothing smuggled is.
		want := url.Values{"resource": {"urn:b", "urn:a"}, "scope": {"openid"}, "client_id": {clientID}, "foo": {"bar"}}
		if !reflect.DeepEqual(r.form, want) {
			t.Errorf("%s: form %v, want %v", name, r.form, want)
		}
		if _, _, basic := (&http.Request{Header: r.header}).BasicAuth(); basic != (auth != nil) {
			t.Errorf("%s: headers %v", name, r.header)
		}
		// DEV-05, DEV-06, DEV-07
		if r.method != "POST" || r.header.Get("Accept") != "application/json" || r.header.Get("User-Agent") != "foo" || r.header.Get("Foo") != "bar" {
			t.Errorf("%s: %s with %v", name, r.method, r.header)
		}
	}
	if len(parameters) != 4 || len(opts.AdditionalParameters) != 3 || opts.AdditionalParameters.Get("scope") != "other" {
		t.Errorf("R022: the arguments were changed to %v and %v", parameters, opts.AdditionalParameters)
	}
}

func TestDeviceAuthorizationResponse(t *testing.T) {
	tests := []struct {
		name     string
		body     string
		status   int // 0 means 200
		header   []string
		issuer   string
		insecure bool
		want     string
	}{
		{name: "DEV-13 all members", body: deviceBody(nil).json(), want: "ok"},
		{name: "DEV-14 no verification_uri_complete", body: deviceBody(members{"verification_uri_complete": nil}).json(), want: "ok"},
		{name: "DEV-15 no interval", body: deviceBody(members{"interval": nil}).json(), want: "ok"},
		{name: "DEV-09 404", status: 404, want: deviceStatus},
		{name: "DEV-10 half an object", body: `{"`, want: "OAUTH_PARSE_ERROR device_authorization_response.body"},
		{name: "DEV-11 null", body: `null`, want: badDevice + "body"},
		{name: "DEV-12 array", body: `[]`, want: badDevice + "body"},
		{name: "R231 201", status: 201, body: deviceBody(nil).json(), want: deviceStatus},
		{name: "R103 refused", status: 400, body: `{"error":"invalid_scope"}`, want: "refused invalid_scope"},
		{name: "R101 challenge", status: 401, header: []string{"WWW-Authenticate", `Basic error="x"`}, want: "refused x"},
		{name: "R105 error in a 200", body: `{"error":"x"}`, want: badDevice + "device_code"},
		{name: "R104 500", status: 500, body: `{"error":"x"}`, want: deviceStatus},
		{name: "R021 302", status: 302, header: []string{"Location", "https://evil.example/"}, want: deviceStatus},
		{name: "HTML", body: "<html>", header: []string{"Content-Type", "text/html"}, want: "OAUTH_RESPONSE_IS_NOT_JSON device_authorization_response.body"},

		{name: "DEV-16 no device_code", body: deviceBody(members{"device_code": nil}).json(), want: badDevice + "device_code"},
		{name: "R003 device_code empty", body: deviceBody(members{"device_code": ""}).json(), want: badDevice + "device_code"},
		{name: "DEV-17 no user_code", body: deviceBody(members{"user_code": nil}).json(), want: badDevice + "user_code"},
		{name: "R003 user_code number", body: deviceBody(members{"user_code": 5}).json(), want: badDevice + "user_code"},
		{name: "DEV-18 no verification_uri", body: deviceBody(members{"verification_uri": nil}).json(), want: badDevice + "verification_uri"},
		{name: "DEV-20 verification_uri_complete null", body: deviceBody(members{"verification_uri_complete": null}).json(), want: badDevice + "verification_uri"},
		{name: "R231 verification_uri_complete empty", body: deviceBody(members{"verification_uri_complete": ""}).json(), want: badDevice + "verification_uri"},
		{name: "Google's verification_url", body: deviceBody(members{"verification_uri": nil, "verification_url": "https://op.example.com/go"}).json(), want: "ok"},
		{name: "Google's name does not replace a wrong one", body: deviceBody(members{"verification_uri": null, "verification_url": "https://op.example.com/go"}).json(), want: badDevice + "verification_uri"},

		{name: "H09 a word", body: deviceBody(members{"verification_uri": "verification_uri"}).json(), want: badDevice + "verification_uri"},
		{name: "H09 javascript", body: deviceBody(members{"verification_uri": "javascript://op.example.com/%0aalert(1)"}).json(), want: notHTTPS},
		{name: "H09 javascript, insecure", issuer: "http://127.0.0.1", insecure: true, body: deviceBody(members{"verification_uri": "javascript://op.example.com/%0aalert(1)"}).json(), want: badScheme},
		{name: "H09 a control character of a terminal", body: deviceBody(members{"verification_uri": "https://op.example.com/\u009b2J"}).json(), want: badDevice + "verification_uri"},
		{name: "H09 reordered text", body: deviceBody(members{"verification_uri_complete": "https://op.example.com/\u202emoc.live"}).json(), want: badDevice + "verification_uri"},
		{name: "H09 a blank", body: deviceBody(members{"verification_uri": "https://op.example.com/a b"}).json(), want: badDevice + "verification_uri"},
		{name: "H09 opaque", body: deviceBody(members{"verification_uri": "javascript:alert(1)"}).json(), want: badDevice + "verification_uri"},
		{name: "H09 file", body: deviceBody(members{"verification_uri": "file:///etc/passwd"}).json(), want: badDevice + "verification_uri"},
		{name: "H09 http", body: deviceBody(members{"verification_uri": "http://op.example.com/go"}).json(), want: notHTTPS},
		{name: "H09 http to a loopback host", body: deviceBody(members{"verification_uri": "http://127.0.0.1/go"}).json(), want: notHTTPS},
		{name: "H09 http to a loopback host, allowed", issuer: "http://127.0.0.1", insecure: true, body: deviceBody(members{"verification_uri": "http://127.0.0.1/go"}).json(), want: "ok"},
		{name: "H09 http to a loopback host of an https issuer", insecure: true, body: deviceBody(members{"verification_uri": "http://127.0.0.1/go"}).json(), want: notHTTPS},
		{name: "H09 http to another host, allowed", issuer: "http://127.0.0.1", insecure: true, body: deviceBody(members{"verification_uri": "http://op.example.com/go"}).json(), want: notHTTPS},
		{name: "H09 complete javascript", body: deviceBody(members{"verification_uri_complete": "javascript:alert(1)"}).json(), want: badDevice + "verification_uri"},
		{name: "H09 complete http", body: deviceBody(members{"verification_uri_complete": "http://op.example.com/go"}).json(), want: notHTTPS},
		{name: "H09 credentials", body: deviceBody(members{"verification_uri": "https://op.example.com@evil.example/go"}).json(), want: badDevice + "verification_uri"},

		{name: "DEV-19 no expires_in", body: deviceBody(members{"expires_in": nil}).json(), want: badDevice + "expires_in"},
		{name: "R231 expires_in null", body: deviceBody(members{"expires_in": null}).json(), want: badDevice + "expires_in"},
		{name: "R231 expires_in 0", body: deviceBody(members{"expires_in": 0}).json(), want: "ok"},
		{name: "R130 expires_in text", body: deviceBody(members{"expires_in": "300"}).json(), want: "ok"},
		{name: "H11 expires_in words", body: deviceBody(members{"expires_in": "300s"}).json(), want: badDevice + "expires_in"},
		{name: "DEV-21 interval null", body: deviceBody(members{"interval": null}).json(), want: badDevice + "interval"},
		{name: "R231 interval 0", body: deviceBody(members{"interval": 0}).json(), want: badDevice + "interval"},
		{name: "R231 interval text", body: deviceBody(members{"interval": "5"}).json(), want: badDevice + "interval"},
		{name: "R231 interval negative", body: deviceBody(members{"interval": -1}).json(), want: badDevice + "interval"},
		{name: "R231 interval with a fraction", body: deviceBody(members{"interval": 0.5}).json(), want: "ok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.status == 0 {
				test.status = 200
			}
			resp := response(test.status, test.body, test.header...)
			body := &closeCounter{Reader: resp.Body}
			resp.Body = body
			as := newServer()
			if test.issuer != "" {
				as.Issuer = test.issuer
			}
			d, err := grant.ProcessDeviceAuthorizationResponse(as, newClient(nil), resp,
				&grant.ProcessDeviceAuthorizationOptions{AllowInsecureRequests: test.insecure})
			wantOutcome(t, err, test.want)
			if body.closed == 0 {
				t.Error("T17: the body was not closed")
			}
			if err == nil && (string(d.DeviceCode) != deviceCode || d.UserCode != userCode || !strings.HasSuffix(d.VerificationURI, "/go")) {
				t.Errorf("got %+v", *d)
			}
		})
	}
	as, client := newServer(), newClient(nil)
	for name, call := range map[string]func() (*grant.DeviceAuthorization, error){
		"DEV-08 no response": func() (*grant.DeviceAuthorization, error) {
			return grant.ProcessDeviceAuthorizationResponse(as, client, nil, nil)
		},
		"R001": func() (*grant.DeviceAuthorization, error) {
			return grant.ProcessDeviceAuthorizationResponse(nil, client, response(200, ""), nil)
		},
		"R002": func() (*grant.DeviceAuthorization, error) {
			return grant.ProcessDeviceAuthorizationResponse(as, nil, response(200, ""), nil)
		},
	} {
		if _, err := call(); outcome(err) != "argument" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Times are counted from when the request was sent, and absurd ones are cut.
func TestDeviceAuthorizationTimes(t *testing.T) {
	inBubble(func(t *testing.T) {
		const century = 100 * 365 * 24 * time.Hour
		for _, test := range []struct {
			changes            members
			life, interval     time.Duration
			complete, verified string
		}{
			{nil, 300 * time.Second, 5 * time.Second, "https://op.example.com/go?code=" + userCode, "https://op.example.com/go"},
			{members{"interval": nil, "verification_uri_complete": nil, "expires_in": 1.5}, 1500 * time.Millisecond, 5 * time.Second, "", "https://op.example.com/go"},
			{members{"interval": 1e-9, "verification_uri_complete": nil}, 300 * time.Second, 100 * time.Millisecond, "", "https://op.example.com/go"},
			{members{"interval": 1e300, "expires_in": 1e300}, century, century, "https://op.example.com/go?code=" + userCode, "https://op.example.com/go"},
		} {
			p := newProvider("")
			p.others = map[string]endpoint{"/device": delayed(10*time.Second, always(200, deviceBody(test.changes).json()))}
			as, client, start := newServer(), newClient(p), time.Now()
			resp, err := grant.DeviceAuthorizationRequest(t.Context(), as, client, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			d, err := grant.ProcessDeviceAuthorizationResponse(as, client, resp, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d.Expiry.Sub(start) != test.life || d.Interval != test.interval || d.VerificationURIComplete != test.complete || d.VerificationURI != test.verified {
				t.Errorf("%v, %v, %q, %q", d.Expiry.Sub(start), d.Interval, d.VerificationURIComplete, d.VerificationURI)
			}
		}
	})(t)
}

func FuzzDeviceAuthorization(f *testing.F) {
	for _, changes := range []members{nil, {"verification_uri": "javascript:alert(1)"}, {"interval": 0.1, "expires_in": "7"}, {"verification_uri": nil, "verification_url": "https://x.example/"}} {
		f.Add(deviceBody(changes).json())
	}
	f.Add(`{"device_code":"a","user_code":"b","verification_uri":"https://c","expires_in":1}x`)
	f.Fuzz(func(t *testing.T, body string) {
		d, err := grant.ProcessDeviceAuthorizationResponse(newServer(), newClient(nil), response(200, body), nil)
		if err != nil {
			return
		}
		if d.DeviceCode == "" || d.UserCode == "" || d.Interval <= 0 {
			t.Errorf("%q: %q, %q, %v", body, string(d.DeviceCode), d.UserCode, d.Interval)
		}
		for _, uri := range []string{d.VerificationURI, d.VerificationURIComplete} {
			u, err := url.Parse(uri)
			if uri != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
				t.Errorf("%q: the URI %q", body, uri)
			}
		}
		// What was accepted means the same when it is written plainly.
		plain := members{"device_code": string(d.DeviceCode), "user_code": d.UserCode, "verification_uri": d.VerificationURI,
			"expires_in": 300, "interval": d.Interval.Seconds()}
		if d.VerificationURIComplete != "" {
			plain["verification_uri_complete"] = d.VerificationURIComplete
		}
		again, err := grant.ProcessDeviceAuthorizationResponse(newServer(), newClient(nil), response(200, plain.json()), nil)
		if err != nil {
			t.Fatalf("%q became %s: %v", body, plain.json(), err)
		}
		again.Expiry = d.Expiry
		if difference := again.Interval - d.Interval; difference.Abs() > time.Millisecond && d.Interval < time.Hour {
			t.Errorf("%q: the interval %v became %v", body, d.Interval, again.Interval)
		}
		if again.Interval = d.Interval; !reflect.DeepEqual(again, d) {
			t.Errorf("%q became %s", body, plain.json())
		}
	})
}
