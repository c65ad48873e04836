package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// viaProxy is http.ProxyFromEnvironment, which sends nothing through a proxy that goes
// to a loopback host. Of addresses that are none it makes a host of the scheme and a
// path of the rest, or passes the proxy over. Here they are an error, and one that does
// not quote them: there may be a password in them.
func viaProxy(req *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	switch {
	case err != nil:
		return nil, errProxyAddress
	case proxy == nil:
		return nil, checkPassedOver(req.URL)
	case proxy.Hostname() == "" || strings.HasSuffix(proxy.Host, ":") || strings.Trim(proxy.Path, "/") != "":
		return nil, errProxyAddress
	}
	return proxy, nil
}

// checkPassedOver is for a request that goes through no proxy: it may be that the
// address of that cannot be read.
func checkPassedOver(u *url.URL) error {
	address := cmp.Or(os.Getenv("HTTPS_PROXY"), os.Getenv("https_proxy"))
	here := u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
	if u.Scheme != "https" || address == "" || here {
		return nil
	}
	_, first := url.Parse(address)
	if _, second := url.Parse("http://" + address); first != nil && second != nil {
		return errProxyAddress
	}
	return nil
}

var errProxyAddress = errors.New("the address of the proxy, in HTTPS_PROXY, is not a URL")

// A proxyError says that a proxy does not let us through.
type proxyError struct {
	proxy, host string // each with its port
	status      int
	known       bool // we have told a name and a password
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %d %s", e.proxy, e.status, http.StatusText(e.status))
}

// checkProxy looks at the answer to CONNECT (RFC 9110, section 9.3.6).
func checkProxy(_ context.Context, proxy *url.URL, asked *http.Request, answer *http.Response) error {
	if answer.StatusCode/100 == 2 {
		return nil
	}
	return &proxyError{proxy: proxy.Host, host: asked.Host, status: answer.StatusCode, known: proxy.User != nil}
}

// hint never has the password in it, and nor has the error.
func (e *proxyError) hint() string {
	switch {
	case e.status != http.StatusProxyAuthRequired:
		return "ask whoever runs the proxy to let " + e.host + " through, or name the host in NO_PROXY if it is reached without the proxy"
	case e.known:
		return "correct the name and the password in HTTPS_PROXY; special characters in them are written as %40 for @, and so on"
	}
	return "the proxy wants a name and a password: HTTPS_PROXY=http://NAME:PASSWORD@" + e.proxy + ", with special characters written as %40 for @, and so on"
}

// seeDoctor begins a hint about what nobody has made a note of.
const seeDoctor = "'oauth-login doctor' looks for the cause, and "

// networkHint says what to do about an error on the way to the provider.
func networkHint(err error) string {
	if e, ok := errors.AsType[*proxyError](err); ok {
		return e.hint()
	}
	if errors.Is(err, errProxyAddress) {
		return "set HTTPS_PROXY to a URL such as http://proxy.example:3128"
	}
	if hint := certificateProblem(err); hint != "" {
		return hint
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "check the host name in --issuer, and the network; a network that has a proxy wants HTTPS_PROXY to be set"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return connectionHint(e)
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		return "the issuer did not answer in time; --http-timeout 60s waits longer"
	}
	return seeDoctor + "--verbose shows each step"
}

// connectionHint is about connections that are not made, or that the other side ends
// with an alert of TLS (RFC 8446, section 6).
func connectionHint(e *net.OpError) string {
	text := ""
	if e.Err != nil {
		text = e.Err.Error()
	}
	switch {
	case e.Op == "proxyconnect":
		return "check the address of the proxy in HTTPS_PROXY, or name hosts that are reached without it in NO_PROXY"
	case e.Op == "remote error" && strings.Contains(text, "certificate"):
		return "the server wants a certificate of the client: name its file with --client-cert; if that is given, the server does not take it"
	case e.Op == "remote error":
		return "the server agrees to no way of encryption; it may want a certificate of the client, which --client-cert names"
	}
	return "check --issuer, the network and the proxy settings (HTTPS_PROXY, NO_PROXY)"
}

// certificateProblem is about certificates of servers that were refused, "" for other
// errors. What it quotes of a certificate may be anybody's words.
func certificateProblem(err error) string {
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return "check the host name in --issuer; what answers there has a certificate for " + namesIn(e.Certificate) + ", and may be something between here and the provider"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "set the clock of this machine, if it is wrong; the certificate is good from " + e.Cert.NotBefore.Format(time.DateOnly) + " to " + e.Cert.NotAfter.Format(time.DateOnly)
	}
	unknown, ok := errors.AsType[x509.UnknownAuthorityError](err)
	if !ok {
		return ""
	}
	top := unknown.Cert
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(e.UnverifiedCertificates) > 0 {
		top = e.UnverifiedCertificates[len(e.UnverifiedCertificates)-1]
	}
	issuer := ""
	if top != nil {
		issuer = ", " + nameIn(top.Issuer.String()) + ","
	}
	return "if your network inspects TLS, or the issuer has a private certificate, give the certificate of its authority" + issuer + " with --ca-cert"
}

// namesIn are the hosts that a certificate is for.
func namesIn(certificate *x509.Certificate) string {
	if certificate == nil || len(certificate.DNSNames) == 0 {
		return "no host name"
	}
	names := nameIn(certificate.DNSNames[0])
	if more := len(certificate.DNSNames) - 1; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return names
}

// nameIn is a name out of a certificate.
func nameIn(name string) string { return quoted(printableUpTo(200, name)) }
