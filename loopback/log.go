package loopback

import (
	"context"
	"log/slog"
	"strings"
)

// logging returns a Notify that also tells a logger, which may be nil. Where an
// event has the authorization URL, the line has not, as the state is in it.
func logging(ctx context.Context, logger *slog.Logger, notify func(Event)) func(Event) {
	if logger == nil {
		return notify
	}
	return func(e Event) {
		logEvent(ctx, logger, e)
		if notify != nil {
			notify(e)
		}
	}
}

func logEvent(ctx context.Context, logger *slog.Logger, e Event) {
	level := slog.LevelDebug
	if e.Kind == BrowserFailed {
		level = slog.LevelWarn
	}
	logger.LogAttrs(ctx, level, e.Kind.String(), e.attrs()...)
}

// LogValue returns what has happened, without URL, as the state is in it.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(append([]slog.Attr{slog.String("kind", e.Kind.String())}, e.attrs()...)...)
}

func (e Event) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("redirect_uri", e.RedirectURI)}
	switch e.Kind {
	case BrowserStarted:
		attrs = append(attrs, slog.String("browser", e.Browser))
	case Ignored:
		attrs = append(attrs, slog.String("reason", e.Reason))
	case Waiting:
		attrs = append(attrs, slog.Any("ignored", e.Ignored))
	}
	if e.Err != nil {
		text := e.Err.Error()
		if e.URL != "" {
			text = strings.ReplaceAll(text, e.URL, "[the URL]") // from Options.Open, perhaps
		}
		attrs = append(attrs, slog.String("error", text))
	}
	return attrs
}

// String says in a few words what has happened.
func (k EventKind) String() string {
	switch k {
	case Listening:
		return "listening for the redirect"
	case AuthorizationURL:
		return "sending the person to the provider"
	case BrowserFailed:
		return "the browser could not be opened"
	case BrowserStarted:
		return "a browser is being opened"
	case Ignored:
		return "a request was ignored"
	case Waiting:
		return "still waiting for the redirect"
	case Received:
		return "the redirect is here"
	case Done:
		return "the login is over"
	}
	return "unknown event"
}
