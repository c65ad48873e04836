package main

import (
	"context"
	"errors"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

// deviceLogin signs in with a browser on another device (RFC 8628).
func (p *program) deviceLogin(ctx context.Context, o *options, client *grant.Client,
	save func(context.Context, *grant.Token) error) (*grant.Token, error) {
	flow, err := client.AuthorizeDevice(ctx)
	if err != nil {
		return nil, err
	}
	p.emitDevice(flow)
	p.showCodes(flow)
	token, err := waitForDevice(ctx, o, flow)
	if err != nil {
		return nil, err
	}
	saving, release := grace(ctx) // the codes are spent
	defer release()
	if err := save(saving, token); err != nil {
		return nil, err
	}
	return token, nil
}

// showCodes says what the person has to do. With an address that has the code in
// it, they have to compare the code all the same (RFC 8628, section 3.3.1).
func (p *program) showCodes(flow *grant.DeviceFlow) {
	p.say("Open this page on any device to sign in%s:\n\n%s\n\nand type in this code:\n\n%s\n",
		before(flow.Expiry), flow.VerificationURI, flow.UserCode)
	if flow.VerificationURIComplete != "" {
		p.say("This page has the code already; check that it shows the same:\n\n%s\n", flow.VerificationURIComplete)
		p.showQR(flow.VerificationURIComplete)
	}
}

// waitForDevice waits as long as the codes are good, or as --timeout says.
func waitForDevice(ctx context.Context, o *options, flow *grant.DeviceFlow) (*grant.Token, error) {
	waiting := ctx
	if o.given("timeout") && o.timeout > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	token, err := flow.Wait(waiting)
	if errors.Is(waiting.Err(), context.DeadlineExceeded) && err != nil {
		return nil, &commandError{code: exitTimeout, err: err, text: "nobody has signed in on another device within " + o.timeout.Round(time.Millisecond).String(),
			hint: "run the command again and finish on the other device; --timeout 15m waits longer"}
	}
	return token, err
}
