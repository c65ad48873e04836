package issuer

import (
	"net/http"
	"net/url"
)

// signOutView is what a person reads who is to confirm that they want to sign out.
type signOutView struct {
	Action, CSRF, Username string
	Client, Target, State  string // to be sent with the decision
}

func (signOutView) title() string { return "Sign out" }

func (v signOutView) write(m *markup) {
	m.add(`<p>You are signed in as <strong>%s</strong>. Do you want to sign out?</p>
<form method="post" action="%s">
<input type="hidden" name="csrf" value="%s">
<input type="hidden" name="client_id" value="%s">
<input type="hidden" name="post_logout_redirect_uri" value="%s">
<input type="hidden" name="state" value="%s">
<div class="buttons"><button type="submit" name="decision" value="allow">Sign out</button>
<button type="submit" name="decision" value="deny" class="quiet">Stay signed in</button></div>
</form>
`, v.Username, v.Action, v.CSRF, v.Client, v.Target, v.State)
}

// serveSignOut is the end-session endpoint (OpenID Connect RP-Initiated Logout 1.0, section 2). The person is asked,
// unless the client proves with an ID token that it knows who is signed in.
func (i *Issuer) serveSignOut(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	params, err := requestParams(w, r)
	if err != nil {
		i.refuse(w, "The request cannot be read.")
		return
	}
	hint := i.ledger.findIDToken(params.Get("id_token_hint"))
	client, problem := i.signOutClient(params, hint)
	if problem != "" {
		i.refuse(w, problem)
		return
	}
	s := i.session(r)
	switch {
	case s == nil:
		i.signedOut(w, r, params)
	case hint != nil && hint.user == s.user && hint.client == client:
		i.signOut(w, r, params)
	case r.Method != http.MethodPost || !params.Has("decision"):
		view := signOutView{
			Action:   i.base + signOutPath,
			CSRF:     s.csrf,
			Username: s.user.name,
			Target:   params.Get("post_logout_redirect_uri"),
			State:    params.Get("state"),
		}
		if client != nil {
			view.Client = client.ID
		}
		i.render(w, http.StatusOK, view, view.Target)
	case !sameSecret(s.csrf, params.Get("csrf")):
		i.refuse(w, expired)
	case params.Get("decision") != "allow":
		i.say(w, http.StatusOK, "You are still signed in", "You can close this window.")
	default:
		i.signOut(w, r, params)
	}
}

// signOutClient finds the client, if one is named, and checks where it asks to send the browser afterwards (section 3).
func (i *Issuer) signOutClient(params url.Values, hint *grant) (client *Client, problem string) {
	if params.Has("client_id") {
		if client = i.registry.find(params.Get("client_id")); client == nil {
			return nil, "The application that sent you here is not registered (client_id)."
		}
	}
	if hint != nil {
		if client != nil && client != hint.client {
			return nil, "The application that sent you here shows the ID token of another one (id_token_hint)."
		}
		client = hint.client
	}
	target := params.Get("post_logout_redirect_uri")
	if target != "" && (client == nil || !i.registeredURI(client.PostLogoutRedirectURIs, target)) {
		return nil, "The application asks to send you to an address that is not registered for it (post_logout_redirect_uri)."
	}
	return client, ""
}

func (i *Issuer) signOut(w http.ResponseWriter, r *http.Request, params url.Values) {
	i.visits.signOut(i.cookie(r, sessionCookie))
	i.setCookie(w, sessionCookie, "")
	i.signedOut(w, r, params)
}

// signedOut sends the browser back, or says that it is done. Where to has been checked.
func (i *Issuer) signedOut(w http.ResponseWriter, r *http.Request, params url.Values) {
	target := params.Get("post_logout_redirect_uri")
	if target == "" {
		i.say(w, http.StatusOK, "You are signed out", "You can close this window.")
		return
	}
	response := url.Values{}
	if params.Has("state") {
		response.Set("state", params.Get("state"))
	}
	http.Redirect(w, r, addQuery(target, response), http.StatusSeeOther)
}
