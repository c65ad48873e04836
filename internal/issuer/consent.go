package issuer

import (
	"net/http"
	"net/url"
)

// consentView is what the consent page shows.
type consentView struct {
	Action, Interaction, CSRF string
	Client, Username          string
	UserCode                  string // of a request from a device
	Scopes                    []scopeView
}

type scopeView struct{ Name, Meaning string }

func (consentView) title() string { return "Allow access" }

func (v consentView) write(m *markup) {
	m.add("<p><strong>%s</strong> asks you, <strong>%s</strong>, to let it</p>\n", v.Client, v.Username)
	if v.UserCode != "" {
		m.add("<p>The code on your device has to be <strong>%s</strong>.</p>\n", v.UserCode)
	}
	m.WriteString("<ul>\n")
	for _, scope := range v.Scopes {
		m.add("<li>%s <code>%s</code></li>\n", scope.Meaning, scope.Name)
	}
	m.add(`</ul>
<form method="post" action="%s">
<input type="hidden" name="interaction" value="%s">
<input type="hidden" name="csrf" value="%s">
<div class="buttons"><button type="submit" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="deny" class="quiet">Deny</button></div>
</form>
<p class="note">Allow this only if you have just started to sign in to it.</p>
`, v.Action, v.Interaction, v.CSRF)
}

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
	if it.request.device != nil {
		view.UserCode = it.request.device.user
	}
	for _, scope := range it.request.scopes {
		view.Scopes = append(view.Scopes, scopeView{scope, meaningOf(scope)})
	}
	i.render(w, http.StatusOK, view, it.request.redirectURI)
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
	case scopeOffline:
		return "stay signed in when you are away"
	default:
		return "do what it calls"
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
	g := &grant{client: req.client, user: s.user, scopes: req.scopes, resources: req.resources, nonce: req.nonce, authTime: s.authTime, acr: s.acr}
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
