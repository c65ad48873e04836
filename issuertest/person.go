package issuertest

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/oauth-login/oauth-login/internal/issuer"
)

// lastLook is how long the person goes on when the program is through with the
// login: it may be so before the last page is read.
const lastLook = time.Second

// A Page is what the person saw last.
type Page struct {
	// URL is its address, without a query.
	URL string
	// Status is 200, or says what is wrong.
	Status int
	// Body is the document, up to 1 MiB of it.
	Body string
}

// SignInAs changes who signs in from now on. Any name of 1 to 64 printable
// characters is somebody.
func (i *Issuer) SignInAs(user string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.user = user
}

// Refuse has the person say no from now on, or yes again. The program gets the
// error access_denied (RFC 6749, section 4.1.2.1).
func (i *Issuer) Refuse(refuse bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refuses = refuse
}

// Open opens a URL in a browser of its own and does there what the person does:
// signs in, and allows what the program asks for. It is for loopback.Options.Open,
// and takes the address of a device flow as well. It returns when the last page is
// there.
//
// The error says why the person got no further. A provider that shows an error
// page, to the person and not to the program, fails the test, too: nobody will ever
// answer the program then.
func (i *Issuer) Open(ctx context.Context, url string) error {
	ctx, stop := outlast(ctx)
	defer stop()
	page, err := i.visitor().Visit(ctx, url)
	if err != nil {
		return err
	}
	address, _, _ := strings.Cut(page.URL, "?") // a query could hold a code
	i.mu.Lock()
	i.lastPage = Page{URL: address, Status: page.Status, Body: string(page.Body)}
	i.mu.Unlock()
	if !i.isOwn(page.URL) || page.Status < http.StatusBadRequest {
		return nil
	}
	err = fmt.Errorf("the provider does not go on, with status %d: %s", page.Status, textOf(page.Body))
	if i.failed != nil {
		i.failed("issuertest: %v", err)
	}
	return err
}

// Redirect does what Open does, but for the last step: it returns the address that
// the browser is sent to with the answer, for a program that takes it from somebody
// else than a browser. See grant.Flow.Complete. A person who says no is answered for
// in that address, too.
func (i *Issuer) Redirect(ctx context.Context, url string) (redirectURL string, err error) {
	visitor := i.visitor()
	visitor.Stay = true
	page, err := visitor.Visit(ctx, url)
	if err != nil {
		return "", err
	}
	if redirectURL = page.Header.Get("Location"); redirectURL != "" {
		return redirectURL, nil
	}
	return "", fmt.Errorf("the provider sends the browser nowhere, with status %d: %s", page.Status, textOf(page.Body))
}

// LastPage returns the page where the last Open ended: that of the program, if all
// went well. Login waits for Open, so it is there when Login has returned.
func (i *Issuer) LastPage() Page {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.lastPage
}

// visitor is the person with a new browser.
func (i *Issuer) visitor() *issuer.Visitor {
	i.mu.Lock()
	defer i.mu.Unlock()
	return &issuer.Visitor{User: i.user, Deny: i.refuses, RootCAs: i.roots}
}

// outlast returns a context that ends a little later.
func outlast(ctx context.Context) (longer context.Context, stop func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(lastLook)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() {
		unhook()
		cancel()
	}
}

var tag = regexp.MustCompile(`<[^>]*>`)

// textOf returns what a page of the provider says, without its head.
func textOf(page []byte) string {
	_, main, _ := strings.Cut(string(page), "<main>")
	return strings.Join(strings.Fields(html.UnescapeString(tag.ReplaceAllString(main, " "))), " ")
}
