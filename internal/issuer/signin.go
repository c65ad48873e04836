package issuer

import "net/http"

// expired is what a person reads who comes with a form that is not, or no longer, theirs.
const expired = "This page has expired or belongs to another browser. Start again from the application."

// signInView is what the sign-in page shows.
type signInView struct {
	Action, Interaction, CSRF string
	Client, Username          string
	Problem                   string
}

func (signInView) title() string { return "Sign in" }

func (v signInView) write(m *markup) {
	m.add("<p>to continue to <strong>%s</strong></p>\n", v.Client)
	invalid := m.problem(v.Problem)
	m.add(`<form method="post" action="%s">
<input type="hidden" name="interaction" value="%s">
<input type="hidden" name="csrf" value="%s">
<label for="username">User name</label>
<input type="text" id="username" name="username" value="%s" required maxlength="64" autocomplete="off" autocapitalize="none" spellcheck="false" autofocus`,
		v.Action, v.Interaction, v.CSRF, v.Username)
	m.WriteString(invalid + `>
<label for="password">Password</label>
<input type="password" id="password" name="password" required autocomplete="off" aria-describedby="note">
<div class="buttons"><button type="submit">Sign in</button></div>
</form>
<p class="note" id="note">This issuer runs on your own computer, for demonstration. It accepts any user name with any password: do not type a real one.</p>
`)
}

func (i *Issuer) showSignIn(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	query := r.URL.Query()
	it := i.interaction(r, query)
	if it == nil {
		i.refuse(w, expired)
		return
	}
	i.renderSignIn(w, http.StatusOK, it, signInView{
		Interaction: query.Get("interaction"),
		Username:    it.request.loginHint,
	})
}

// acceptSignIn takes any name with any password.
func (i *Issuer) acceptSignIn(w http.ResponseWriter, r *http.Request) {
	noStore(w)
	form, err := readForm(w, r)
	if err != nil {
		i.refuse(w, "The form cannot be read.")
		return
	}
	it := i.interaction(r, form)
	if it == nil || !sameSecret(it.csrf, form.Get("csrf")) {
		i.refuse(w, expired)
		return
	}
	u, ok := newUser(form.Get("username"))
	if !ok || !form.Has("password") {
		i.renderSignIn(w, http.StatusUnprocessableEntity, it, signInView{
			Interaction: form.Get("interaction"),
			Username:    form.Get("username"),
			Problem:     "Type a user name of 1 to 64 characters and a password.",
		})
		return
	}
	i.visits.signOut(i.cookie(r, sessionCookie))
	i.setCookie(w, sessionCookie, i.visits.signIn(it, u))
	i.goTo(w, r, consentPath, form.Get("interaction"))
}

func (i *Issuer) renderSignIn(w http.ResponseWriter, status int, it *interaction, view signInView) {
	view.Action = i.base + signInPath
	view.CSRF = it.csrf
	view.Client = it.request.client.Name
	i.render(w, status, view)
}
