package grant

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// A DeviceAuthorization is the answer of the device authorization endpoint (RFC
// 8628, section 3.2), after all checks.
type DeviceAuthorization struct {
	// DeviceCode is what the token endpoint is asked with.
	DeviceCode Secret
	// UserCode is what the person types in at VerificationURI. It is text from
	// the server.
	UserCode string
	// VerificationURI is the page to open on another device: https, or http on a
	// loopback host where that is allowed.
	VerificationURI string
	// VerificationURIComplete is the same with the user code in it, "" when the
	// server gave none.
	VerificationURIComplete string
	// Expiry is when both codes end, by this machine's clock.
	Expiry time.Time
	// Interval is the least time between two token requests: 5 seconds, unless
	// the server says otherwise.
	Interval time.Duration
}

// Format prints a placeholder for every verb.
func (DeviceAuthorization) Format(f fmt.State, _ rune) {
	io.WriteString(f, "device authorization "+redacted)
}

// LogValue returns a placeholder.
func (DeviceAuthorization) LogValue() slog.Value {
	return slog.StringValue("device authorization " + redacted)
}

// DeviceAuthorizationRequest asks for a device code and a user code: RFC 8628,
// section 3.1. parameters are those of the request, such as scope; client
// credentials among them are dropped. The response has any status; hand it to
// ProcessDeviceAuthorizationResponse.
func DeviceAuthorizationRequest(ctx context.Context, as *AuthorizationServer, client *Client,
	parameters url.Values, opts *TokenEndpointRequestOptions) (*http.Response, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &TokenEndpointRequestOptions{}
	}
	form := url.Values{}
	for name, values := range parameters {
		if !isCredential(name) {
			form[name] = slices.Clone(values)
		}
	}
	form.Set("client_id", client.ClientID) // also beside an Authorization header
	return post(ctx, as, client, "device_authorization_endpoint", "application/json", form, opts)
}

// ProcessDeviceAuthorizationOptions are the options of
// ProcessDeviceAuthorizationResponse (RFC 8628, section 3.2). The zero value
// serves.
type ProcessDeviceAuthorizationOptions struct {
	// AllowInsecureRequests allows verification URIs with http, to loopback hosts
	// only and not for an https issuer.
	AllowInsecureRequests bool
}

// ProcessDeviceAuthorizationResponse checks the answer to
// DeviceAuthorizationRequest: RFC 8628, section 3.2. Verification URIs that are
// not https are refused, so that nobody is shown or opens what is none.
//
// A refusal of the server is an *Error, one of ours a *CheckError.
func ProcessDeviceAuthorizationResponse(as *AuthorizationServer, client *Client,
	resp *http.Response, opts *ProcessDeviceAuthorizationOptions) (*DeviceAuthorization, error) {
	if err := assertBoth(as, client); err != nil {
		return nil, err
	}
	if resp == nil {
		return nil, argumentError("the response is nil")
	}
	if opts == nil {
		opts = &ProcessDeviceAuthorizationOptions{}
	}
	d, err := processDeviceAuthorization(resp, as.insecure(opts.AllowInsecureRequests))
	if err != nil {
		return nil, scrub(err, sentSecrets(resp.Request)...)
	}
	return d, nil
}

func processDeviceAuthorization(resp *http.Response, insecure bool) (*DeviceAuthorization, error) {
	sent := sentAt(resp) // the codes live from then on
	if err := checkStatus(resp, http.StatusOK, endpointDeviceAuthorization, checkDeviceStatus); err != nil {
		return nil, err
	}
	body, err := readObject(resp, checkDeviceBody)
	if err != nil {
		return nil, err
	}
	d, err := newDeviceAuthorization(body, sent, insecure)
	if err != nil {
		return nil, scrub(err, receivedSecrets(body)...)
	}
	return d, nil
}

// newDeviceAuthorization reads the members of the answer.
func newDeviceAuthorization(body object, sent time.Time, insecure bool) (*DeviceAuthorization, error) {
	deviceCode, err := required(body, "device_code", checkDeviceCode)
	if err != nil {
		return nil, err
	}
	d := &DeviceAuthorization{DeviceCode: Secret(deviceCode)}
	if d.UserCode, err = required(body, "user_code", checkDeviceUserCode); err != nil {
		return nil, err
	}
	name := "verification_uri"
	if !body.has(name) && body.has("verification_url") {
		name = "verification_url" // Google's name for it, from drafts of RFC 8628
	}
	if d.VerificationURI, err = verificationURI(body, name, insecure); err != nil {
		return nil, err
	}
	if name := "verification_uri_complete"; body.has(name) {
		if d.VerificationURIComplete, err = verificationURI(body, name, insecure); err != nil {
			return nil, err
		}
	}
	life, err := lifetime(body, checkDeviceExpiresIn)
	if err != nil {
		return nil, err
	}
	d.Expiry = sent.Add(life).UTC() // without the monotonic clock, as that of a Token
	d.Interval, err = pollingInterval(body)
	return d, err
}

// verificationURI reads a URI that a person or a browser will open, so it must
// not be anything but a page: no javascript:, no file:. It is shown in terminals
// too, so it must not move their cursor or reorder what they show.
func verificationURI(body object, name string, insecure bool) (string, error) {
	value, err := required(body, name, checkDeviceVerificationURI)
	if err != nil {
		return "", err
	}
	u, err := parseEndpoint(value)
	if err != nil || !hasURICharacters(value) {
		return "", &CheckError{Check: checkDeviceVerificationURI, Code: codeInvalidResponse,
			Reason: name + " is not an absolute URL without credentials"}
	}
	return value, checkScheme(u, insecure)
}

// leastInterval is the shortest time between two polls, whatever the server says.
const leastInterval = 100 * time.Millisecond

// pollingInterval: "If no value is provided, clients MUST use 5 as the default"
// (RFC 8628, section 3.2).
func pollingInterval(body object) (time.Duration, error) {
	if !body.has("interval") {
		return defaultInterval, nil
	}
	seconds, ok := body.number("interval")
	if !ok || seconds <= 0 {
		return 0, &CheckError{Check: checkDeviceInterval, Code: codeInvalidResponse,
			Reason: "interval is not a number of seconds"}
	}
	// A server cannot make us flood the token endpoint.
	return max(time.Duration(math.Min(seconds, century)*float64(time.Second)), leastInterval), nil
}
