module github.com/oauth-login/oauth-login

go 1.26.0

require (
	filippo.io/age v1.3.2 // encrypts the file store
	github.com/go-chi/chi/v5 v5.5.0 // the receiver's routes; its core only, as chi/middleware runs an init
	github.com/go-jose/go-jose/v4 v4.1.9 // keys and signatures of ID tokens
	github.com/godbus/dbus/v5 v5.2.4 // asks whether there is a keychain before go-keyring is called
	github.com/gofrs/flock v0.13.2 // locks that end with their process
	github.com/pkg/browser v0.0.0-20240102092130-5ac0b6a4141c // opens the system's browser
	github.com/spf13/cobra v1.10.2 // verbs and completion
	github.com/spf13/pflag v1.0.9 // cobra's flags
	github.com/zalando/go-keyring v0.2.8 // the keychain of each operating system
	golang.org/x/oauth2 v0.38.0 // its Token and TokenSource, at the seam to other code
	golang.org/x/sys v0.50.0 // where Windows keeps what belongs to a user, and a terminal that shows nothing but still takes Ctrl-C
	golang.org/x/term v0.48.0 // whether somebody is there, and a passphrase without an echo
	rsc.io/qr v0.2.0 // the page of --device as a code for a telephone
)

// Only for tests.
require github.com/rogpeppe/go-internal v1.16.0 // testscript

require (
	filippo.io/hpke v0.4.0 // indirect
	github.com/danieljoos/wincred v1.2.3 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	golang.org/x/crypto v0.55.0 // indirect
	golang.org/x/tools v0.49.0 // indirect
)
