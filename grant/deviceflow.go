package grant

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	defaultInterval = 5 * time.Second // RFC 8628, section 3.2
	slowDown        = 5 * time.Second // RFC 8628, section 3.5
	maxBackOff      = time.Minute
)

// A DeviceFlow is one login on another device (RFC 8628, section 1), from the
// codes to the token. It is good for one call of Wait. Make one with
// Client.AuthorizeDevice.
type DeviceFlow struct {
	// VerificationURI is the page to open on another device, and UserCode what to
	// type in there. Show both; the code is text from the server, so strip control
	// characters.
	VerificationURI, UserCode string
	// VerificationURIComplete is the same page with the code in it, for a QR code;
	// "" when the server gave none. Show UserCode beside it: the person has to
	// compare it with what the page shows (RFC 8628, section 3.3.1).
	VerificationURIComplete string
	// Expiry is when the codes end, by this machine's clock.
	Expiry time.Time

	client   *Client
	as       *AuthorizationServer
	asked    asked
	dpop     *DPoP         // nil for none
	code     func() Secret // in a function, so that no way of printing shows it
	interval time.Duration
	waited   atomic.Bool
}

// AuthorizeDevice starts a login on another device: RFC 8628, section 3.1. It
// finds the server and asks for the codes, for the scopes and with the parameters
// that Authorize would send, those of WithStepUp too. No nonce is sent.
//
// A server without a device authorization endpoint leads to a *CheckError with
// the code OAUTH_MISSING_SERVER_METADATA. So does one whose verification URI is
// not https, with another code.
func (c *Client) AuthorizeDevice(ctx context.Context) (*DeviceFlow, error) {
	flow, err := c.authorizeDevice(ctx)
	c.logRefusal(ctx, "device_authorization", err)
	return flow, err
}

func (c *Client) authorizeDevice(ctx context.Context) (*DeviceFlow, error) {
	as, err := c.Discover(ctx)
	if err != nil {
		return nil, err
	}
	flow, err := c.deviceFlow(ctx, as)
	c.doubt(ctx, as, err)
	return flow, err
}

func (c *Client) deviceFlow(ctx context.Context, as *AuthorizationServer) (*DeviceFlow, error) {
	asked := c.asks(ctx)
	if err := c.checkDevice(as, asked); err != nil {
		return nil, err
	}
	dpop, err := c.newDPoP(as)
	if err != nil {
		return nil, err
	}
	resp, err := DeviceAuthorizationRequest(ctx, as, c, c.wishes(asked), c.requestOptions())
	if err != nil {
		return nil, err
	}
	d, err := ProcessDeviceAuthorizationResponse(as, c, resp, &ProcessDeviceAuthorizationOptions{AllowInsecureRequests: c.AllowInsecureRequests})
	if err != nil {
		return nil, err
	}
	return &DeviceFlow{
		VerificationURI: d.VerificationURI, VerificationURIComplete: d.VerificationURIComplete,
		UserCode: d.UserCode, Expiry: d.Expiry, interval: d.Interval,
		client: c, as: as, asked: asked, dpop: dpop, code: func() Secret { return d.DeviceCode },
	}, nil
}

// checkDevice finds now what would otherwise fail after the person has signed in.
func (c *Client) checkDevice(as *AuthorizationServer, asked asked) error {
	if err := c.assert(); err != nil {
		return err
	}
	if c.FAPI2 {
		return argumentError("FAPI 2.0 does not have the device grant") // Security Profile, section 5.3.3
	}
	if err := cmp.Or(c.checkParameters(asked), c.checkHS256()); err != nil {
		return err
	}
	names := []string{"token_endpoint"}
	if c.signedIDToken(asked) {
		names = append(names, "jwks_uri")
	}
	return c.checkEndpoints(as, names)
}

// Format prints a placeholder for every verb.
func (f *DeviceFlow) Format(w fmt.State, _ rune) { io.WriteString(w, "device flow "+redacted) }

// LogValue returns a placeholder.
func (f *DeviceFlow) LogValue() slog.Value { return slog.StringValue("device flow " + redacted) }

// Wait asks the server until the person has finished on the other device, and
// returns the verified token: RFC 8628, sections 3.4 and 3.5. It asks no more
// often than the server allows, and less often while the network or the server
// is in trouble. It returns when the context ends, at once.
//
// A refusal is an *Error; its code is "access_denied" when the person said no.
// When the codes end before that, the error is a *CheckError with the code
// OAUTH_TIMEOUT, or an *Error with the code "expired_token".
func (f *DeviceFlow) Wait(ctx context.Context) (*Token, error) {
	if f == nil || f.code == nil {
		return nil, argumentError("the flow does not come from AuthorizeDevice")
	}
	if ctx == nil {
		return nil, argumentError("the context is nil")
	}
	if !f.waited.CompareAndSwap(false, true) {
		return nil, argumentError("the flow has been waited for already")
	}
	token, err := f.poll(ctx)
	if err != nil {
		f.client.doubt(ctx, f.as, err)
		err = scrub(err, string(f.code()))
	} else if token.Scopes == nil {
		token.Scopes = slices.Clone(f.asked.scopes) // RFC 6749, section 5.1: left out when it is what was asked for
	}
	f.client.logToken(ctx, "device_code", token, err)
	return token, err
}

// poll asks until there is an answer that settles it.
func (f *DeviceFlow) poll(ctx context.Context) (*Token, error) {
	pollCtx, cancel := context.WithDeadline(ctx, f.Expiry)
	defer cancel()
	pace := pollingPace{interval: f.interval, pause: f.interval, proves: f.dpop != nil}
	var trouble error // the last one
	for {
		if !sleep(pollCtx, pace.pause) {
			return nil, f.ended(ctx, trouble)
		}
		token, answer, err := f.ask(pollCtx)
		if err == nil {
			return token, nil
		}
		if pollCtx.Err() != nil {
			return nil, f.ended(ctx, trouble)
		}
		if !pace.heed(answer, err) {
			return nil, err
		}
		if trouble = nil; answer == nil || answer.StatusCode >= 500 {
			trouble = err
		}
	}
}

// ask makes one token request. The answer is nil when none came.
func (f *DeviceFlow) ask(ctx context.Context) (*Token, *http.Response, error) {
	opts := f.client.tokenOptions()
	opts.DPoP = f.dpop
	resp, err := DeviceCodeGrantRequest(ctx, f.as, f.client, f.code(), opts)
	if err != nil {
		return nil, nil, err
	}
	token, err := processDeviceCodeResponse(ctx, f.as, f.client, resp, &ProcessDeviceCodeOptions{
		MaxAge: f.asked.checkedMaxAge(), RequireIDToken: f.asked.openID(),
		DPoP: f.dpop, AllowInsecureRequests: f.client.AllowInsecureRequests,
	}, true)
	return token, resp, err
}

// ended says why there is nothing more to wait for.
func (f *DeviceFlow) ended(ctx context.Context, trouble error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for the other device: %w", err)
	}
	return &CheckError{Check: checkDeviceExpired, Code: codeTimeout, Err: trouble,
		Reason: "the codes expired before the person had finished on the other device"}
}

// sleep reports whether the context outlived the pause.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// A pollingPace says how long to pause before the next token request: RFC 8628,
// section 3.5.
type pollingPace struct {
	interval time.Duration // what the server allows
	pause    time.Duration // before the next request
	proves   bool          // requests have a DPoP proof
	nonced   bool          // the last request had the nonce that the one before lacked
}

// heed adapts the pace to a request that failed. It returns false when asking
// again is of no use.
func (p *pollingPace) heed(answer *http.Response, err error) bool {
	refusal, _ := errors.AsType[*Error](err)
	lacked := p.proves && !p.nonced && wantsNonce(err) // RFC 9449, section 8: once
	p.nonced = lacked
	switch {
	case lacked:
		p.pause = p.interval
	case answer == nil && !isNetwork(err):
		return false
	case answer == nil, answer.StatusCode >= 500, answer.StatusCode == http.StatusRequestTimeout:
		// "clients MUST unilaterally reduce their polling frequency before
		// retrying", by doubling the interval for example.
		p.pause = max(p.interval, min(2*p.pause, maxBackOff))
	case refusal != nil && refusal.Code == "authorization_pending":
		p.pause = p.interval
	case refusal != nil && refusal.Code == "slow_down", answer.StatusCode == http.StatusTooManyRequests:
		p.interval += slowDown // "for this and all subsequent requests"
		p.pause = p.interval
	default:
		return false
	}
	p.pause = max(p.pause, retryAfter(answer))
	return true
}

// isNetwork reports whether an error of a request may be gone the next time. A
// certificate that is not trusted stays so.
func isNetwork(err error) bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, checked := errors.AsType[*CheckError](err)
	return !untrusted && !checked && !errors.Is(err, ErrArgument)
}

// retryAfter is how long a server asks to be left alone, 0 when it does not say:
// RFC 9110, section 10.2.3.
func retryAfter(answer *http.Response) time.Duration {
	if answer == nil {
		return 0
	}
	value := answer.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(float64(seconds), century) * float64(time.Second))
	}
	if date, err := http.ParseTime(value); err == nil {
		return time.Until(date)
	}
	return 0
}
