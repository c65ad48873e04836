package issuer

import (
	"net/http"
	"net/url"
)

// consentView is what the consent page shows.
type consentView struct {
	frame
	Action, Interaction, CSRF string
	Client, Username          string
	UserCode                  string // of a request from a device
	Scopes                    []scopeView
}

type scopeView struct{ Name, Meaning string }

func (i *Issuer) showConsent(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	query := r.URL.Query()
	it, s := i.interaction(r, query), i.session(r)
	if it == nil {
		i.refuse(w, expired)
		return
	}
	if it.needsSignIn(s) {
		i.goTo(w, r, signInPath, query.Get("interaction"))
		return
	}
	view := consentView{
		Action:      i.base + consentPath,
		Interaction: query.Get("interaction"),
		CSRF:        s.csrf,
		Client:      it.request.client.Name,
		Username:    s.user.name,
	}
	view.Title = "Allow access"
	if it.request.device != nil {
		view.UserCode = it.request.device.user
	}
	for _, scope := range it.request.scopes {
		view.Scopes = append(view.Scopes, scopeView{scope, meaningOf(scope)})
	}
	i.render(w, http.StatusOK, "consent", &view, it.request.redirectURI)
}

// meaningOf says what a person allows with a scope.
func meaningOf(scope string) string {
	switch scope {
	case scopeOpenID:
		return "know who you are"
	case scopeProfile:
		return "see your name"
	case scopeEmail:
		return "see your email address"
	default:
		return "stay signed in when you are away"
	}
}

// acceptConsent answers the authorization request. A second click gets the same answer as the first one, because the
// browser shows the last one only.
func (i *Issuer) acceptConsent(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	form, err := readForm(w, r)
	if err != nil {
		i.refuse(w, "The form cannot be read.")
		return
	}
	it, s := i.interaction(r, form), i.session(r)
	if it == nil || it.needsSignIn(s) || !sameSecret(s.csrf, form.Get("csrf")) {
		i.refuse(w, expired)
		return
	}
	decision := form.Get("decision")
	if decision != "allow" && decision != "deny" {
		i.refuse(w, "The form holds no decision.")
		return
	}
	it.once.Do(func() { it.answer = i.decide(it.request, s, decision == "allow") })
	http.Redirect(w, r, it.answer, http.StatusSeeOther)
}

// decide returns the URL of the authorization response (RFC 6749, sections 4.1.2 and 4.1.2.1), or of the last page for a
// request from a device.
func (i *Issuer) decide(req *authRequest, s *session, allowed bool) string {
	g := &grant{client: req.client, user: s.user, scopes: req.scopes, resources: req.resources, nonce: req.nonce, authTime: s.authTime}
	if !allowed {
		g = nil
	}
	if req.device != nil {
		i.ledger.decideDevice(req.device, g)
		return i.base + deviceDonePath
	}
	response := url.Values{"error": {"access_denied"}, "error_description": {"the user denied access"}}
	if g != nil {
		response = url.Values{"code": {i.ledger.newCode(g, req.redirectURI, req.challenge, req.jkt)}}
	}
	var state []string
	if req.state != "" {
		state = []string{req.state}
	}
	return i.authorizationResponse(req.redirectURI, state, response)
}
