// Package e2e tests the oauth-login command against real parts: npm's oidc-provider as the authorization server, Debian's Chromium as
// the browser, gnome-keyring or KeePassXC on a private bus as the keychain, Wine's Credential Manager as that of Windows. setup.sh
// installs them, on Debian; a part that is missing fails the test.
//
// A test puts its parts together from these helpers, each of which stops what it started when the test ends:
//
//	p := startProvider(t, providerConfig{})   // an issuer: p.Issuer
//	b := startBrowser(t)                      // somebody to sign in: b.visit(t, url, person{Login: "alice"})
//	k := startKeyring(t)                      // a keychain: k.restart(t), k.lock(t), k.items(t); or startKeePassXC(t)
//	c := newCommand(t, k)                     // the command, in an environment of its own: c.run(t, "token")
//	w := startWine(t)                         // a Windows: w.install(t, "oauth-login", "./cmd/oauth-login", "build")
//
// It is a module of its own, and the product never imports it, so that what it needs stays out of the product's dependencies.
package e2e
