package grant

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// LogValue returns the issuer and the client ID.
func (c *Client) LogValue() slog.Value {
	if c == nil {
		return slog.StringValue("<nil>")
	}
	return slog.GroupValue(slog.String("issuer", c.issuer()), slog.String("client_id", c.ClientID))
}

// log writes a line about what this client does. The attributes hold no secret:
// values of this package's types redact themselves.
func (c *Client) log(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	if c != nil && c.Logger != nil {
		c.Logger.LogAttrs(ctx, level, message, append([]slog.Attr{slog.Any("client", c)}, attrs...)...)
	}
}

// logToken notes what came of a token request with a grant type (RFC 6749,
// sections 4.1.3 and 6; RFC 8628, section 3.4).
func (c *Client) logToken(ctx context.Context, grantType string, token *Token, err error) {
	if err != nil {
		c.logRefusal(ctx, grantType, err)
		return
	}
	c.log(ctx, slog.LevelInfo, "token received", slog.String("grant_type", grantType), slog.Any("token", token))
}

// logRefusal notes an error if it is a refusal, of the server or of one of our
// checks. One of the network or of the context is in the line of its request.
func (c *Client) logRefusal(ctx context.Context, step string, err error) {
	_, refused := errors.AsType[*Error](err)
	_, unfit := errors.AsType[*CheckError](err)
	if refused || unfit {
		c.log(ctx, slog.LevelWarn, "refused", slog.String("step", step), slog.Any("error", err))
	}
}

// logRequest notes one request and its answer. Its query is left out, as is all
// that it and the answer carry.
func logRequest(logger *slog.Logger, req *http.Request, sent time.Time, resp *http.Response, err error) {
	if logger == nil {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method), slog.String("url", withoutQuery(req)), slog.Duration("took", time.Since(sent)),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	} else {
		attrs = append(attrs, slog.Int("status", resp.StatusCode))
	}
	logger.LogAttrs(req.Context(), slog.LevelDebug, "request", attrs...)
}

// withoutQuery is where a request goes.
func withoutQuery(req *http.Request) string {
	return req.URL.Scheme + "://" + req.URL.Host + req.URL.EscapedPath()
}
