package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"github.com/oauth-login/oauth-login/grant"
	"github.com/oauth-login/oauth-login/store"
)

// keyFlags say what the client itself proves who it is with, and what its tokens
// are bound to. Keys stay in the files that they are in.
func (o *options) keyFlags(f *pflag.FlagSet) {
	f.StringVar(&o.clientAuth, "client-auth", "", "`METHOD` of client authentication: none, client_secret_basic, client_secret_post, client_secret_jwt, "+
		"private_key_jwt, tls_client_auth or self_signed_tls_client_auth; default: what fits the secret, key or certificate and the provider")
	o.certificateFlags(f)
	f.StringVar(&o.clientKeyID, "client-key-id", "", "`ID` of that key at the provider (kid); default: that of a JWK")
	f.BoolVar(&o.dpop, "dpop", false, "bind the tokens to a key of this login, so that they are of no use without it (RFC 9449)")
}

// certificateFlags name files that prove who the client is.
func (o *options) certificateFlags(f *pflag.FlagSet) {
	f.StringVar(&o.clientKey, "client-key", "", "`FILE` with the private key of the client (PEM or JWK)")
	f.StringVar(&o.clientCert, "client-cert", "", "`FILE` with the TLS certificate of the client (PEM); its key is in there too, or that of --client-key")
}

// withFiles returns a profile with the files and the provider that flags name in
// place of those that are remembered of it.
func (o *options) withFiles(profile store.Profile) store.Profile {
	profile.Provider = cmp.Or(o.provider, profile.Provider)
	profile.CACert = cmp.Or(o.caCert, profile.CACert)
	profile.ClientKey = cmp.Or(o.clientKey, profile.ClientKey)
	profile.ClientCert = cmp.Or(o.clientCert, profile.ClientCert)
	return profile
}

// reach gives a client what it needs to reach the issuer of a login, and to prove
// who it is.
func (p *program) reach(ctx context.Context, o *options, client *grant.Client, profile store.Profile) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{}
	transport.Proxy, transport.OnProxyConnectResponse = viaProxy, checkProxy
	if profile.CACert != "" {
		roots, err := p.readCertificates(ctx, profile.CACert)
		if err != nil {
			return err
		}
		transport.TLSClientConfig.RootCAs = roots
	} else {
		// What came from a server that only this file vouches for is not to be
		// found where it does not, nor the other way round.
		client.MetadataCache = p.metadataCache(o)
	}
	if o.httpTimeout <= 0 {
		return usageError("--http-timeout has to be more than zero", "")
	}
	client.HTTPClient = &http.Client{Transport: p.watched(o, transport, profile.ClientCert != ""), Timeout: o.httpTimeout}
	if profile.ClientKey != "" {
		if err := p.readClientKey(ctx, o, client, profile.ClientKey); err != nil {
			return err
		}
	}
	if profile.ClientCert == "" {
		return nil
	}
	certificate, err := p.readClientCertificate(ctx, profile.ClientCert, client.Key)
	if err != nil {
		return err
	}
	// Also to a server that names authorities that it does not come from: it may be
	// registered itself (RFC 8705, section 2.2).
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &certificate, nil
	}
	client.UseMTLSEndpointAliases = true // RFC 8705, section 5
	if client.TokenEndpointAuthMethod == "" {
		client.Key = nil // it is that of the certificate, which is how the client authenticates
	}
	return nil
}

func (p *program) readClientKey(ctx context.Context, o *options, client *grant.Client, name string) error {
	const hint = "--client-key names a file with a private key: PEM (PKCS #8, PKCS #1 or SEC 1) or a JSON Web Key"
	data, err := p.readInput(ctx, name)
	if err != nil {
		return usageError("the client key cannot be read: "+err.Error(), hint)
	}
	key, kid, alg, err := grant.ParsePrivateKey(data)
	if err != nil {
		return usageError("the file "+name+" is no client key: "+err.Error(), hint)
	}
	p.warnOfReaders(name)
	client.Key, client.KeyID = key, cmp.Or(o.clientKeyID, kid, client.KeyID)
	client.RequestObjectSigningAlg = cmp.Or(alg, client.RequestObjectSigningAlg)
	if client.TokenEndpointAuthMethod == "" || client.TokenEndpointAuthMethod == "private_key_jwt" {
		client.TokenEndpointAuthSigningAlg = alg
	}
	return nil
}

// readClientCertificate returns the chain in a file, with the key in it or else
// the given one.
func (p *program) readClientCertificate(ctx context.Context, name string, key crypto.Signer) (tls.Certificate, error) {
	data, err := p.readInput(ctx, name)
	if err != nil {
		return tls.Certificate{}, usageError("the client certificate cannot be read: "+err.Error(), certificateHint)
	}
	if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		if key, _, _, err = grant.ParsePrivateKey(data); err != nil {
			return tls.Certificate{}, usageError("the key in "+name+" cannot be used: "+err.Error(), certificateHint)
		}
		p.warnOfReaders(name)
	}
	certificate, problem := clientCertificate(data, key)
	if problem != "" {
		return tls.Certificate{}, usageError("the file "+name+" "+problem, certificateHint)
	}
	return certificate, nil
}

const certificateHint = "--client-cert names a file with a certificate in PEM form, and --client-key one with its key, unless that is in the same file"

// clientCertificate returns what is wrong in words that follow the name of the
// file.
func clientCertificate(data []byte, key crypto.Signer) (certificate tls.Certificate, problem string) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate.Certificate = append(certificate.Certificate, block.Bytes)
		}
	}
	if len(certificate.Certificate) == 0 {
		return certificate, "holds no certificate in PEM form"
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		return certificate, "holds a certificate that cannot be read: " + err.Error()
	}
	if key == nil {
		return certificate, "holds a certificate without its key"
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	switch {
	case !ok || !public.Equal(leaf.PublicKey):
		return certificate, "holds a certificate of another key"
	case time.Now().After(leaf.NotAfter):
		return certificate, "holds a certificate that has expired, on " + leaf.NotAfter.Format(time.DateOnly)
	}
	certificate.PrivateKey, certificate.Leaf = key, leaf
	return certificate, ""
}
