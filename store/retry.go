package store

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/oauth-login/oauth-login/grant"
)

// maxRefusal is how much of a refusal is kept while another token is got, in bytes.
const maxRefusal = 64 << 10

// retry answers the refusal of a request that is repeatable by one more, with the
// token that get returns. Whatever stands in the way, the refusal is what the caller
// gets, as it came, and no token; the log has failure, and why. Only the end of the
// context is an error.
func (t *transport) retry(req *http.Request, refusal *http.Response, failure string,
	get func(context.Context) (*grant.Token, error)) (*http.Response, *grant.Token, error) {
	keepBody(refusal) // the connection would not last as long as the person may take
	token, err := get(req.Context())
	if ctxErr := req.Context().Err(); ctxErr != nil {
		refusal.Body.Close()
		return nil, nil, ctxErr
	}
	if token == nil || err != nil {
		t.source.log(req.Context(), slog.LevelWarn, failure, slog.Any("error", err))
		return refusal, nil, nil
	}
	body, ok := bodyAgain(req)
	if !ok {
		return refusal, nil, nil
	}
	discard(refusal.Body)
	resp, err := t.authorized(req, body, token)
	return resp, token, err
}

// repeatable reports whether bodyAgain has a body to return.
func repeatable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// keepBody reads the body of a response into memory, as far as it is of a usual
// size, so that it can be read later.
func keepBody(resp *http.Response) {
	kept, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	var rest io.Reader = resp.Body
	if err != nil {
		rest = failing{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(kept), rest), resp.Body}
}

// failing is the rest of a body that could not be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// bodyAgain returns the body of a request a second time. ok is false where there
// was one that is gone.
func bodyAgain(req *http.Request) (body io.ReadCloser, ok bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req.Body, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	return body, err == nil
}

// discard ends a response in such a way that its connection serves again.
func discard(body io.ReadCloser) {
	io.CopyN(io.Discard, body, 64<<10)
	body.Close()
}
