package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// What others are to read, such as a trace, shows what is known to be harmless: the
// names below. Every other value is hidden behind a fingerprint, by which equal ones
// are recognised.
//
// The fingerprint of a secret that is long and random by its specification is the start
// of its SHA-256. Others may be short enough to be guessed, such as a code that people
// type in, or a name; their fingerprint is made with a key of this run, and says
// nothing to anybody else.

// shownNames are the parameters and members whose values are shown.
const shownNames = `
	access_type active acr_values application_type audience authorization_details_types claims_locales client_assertion_type client_id
	client_id_issued_at client_name client_secret_expires_at code_challenge_method correlation_id display dpop_bound_access_tokens error
	error_codes error_description expires_in grant_type grant_types hd id_token_signed_response_alg interval max_age prompt
	refresh_expires_in refresh_token_expires_in request_object_signing_alg resource_name response_mode response_type response_types scope
	software_id software_version timestamp token_endpoint_auth_method token_endpoint_auth_signing_alg token_type token_type_hint trace_id
	ui_locales userinfo_signed_response_alg
	alg crv enc kid kty use`

// addressNames are those with URLs, of which the query is not shown but for the names
// above.
var addressNames = []string{"authorization_servers", "iss", "issuer", "resource", "service_documentation"}

// randomNames are secrets that nobody can guess; guessableNames those that somebody
// might.
const (
	randomNames = `
		access_token actor_token assertion client_assertion code code_challenge code_verifier device_code id_token id_token_hint nonce
		refresh_token registration_access_token request request_uri response session_state state subject_token token`
	guessableNames = "client_secret login_hint logout_hint password user_code"
)

// isWord reports whether a name is among those that stand in a text.
func isWord(names, name string) bool { return slices.Contains(strings.Fields(names), name) }

const (
	longEnough  = 20  // bytes of a secret that cannot be guessed
	longestName = 48  // bytes of a name that is shown
	longestText = 500 // bytes of a value that is shown
)

// A redactor hides secrets. It is safe for concurrent use.
type redactor struct {
	key [32]byte // of this run

	mu    sync.Mutex
	known map[string]string // secrets that were hidden, and what stands for them
}

func newRedactor() *redactor {
	r := &redactor{known: map[string]string{}}
	rand.Read(r.key[:]) // never fails
	return r
}

// value is the value of a parameter or member as it may be shown.
func (r *redactor) value(name, value string) string {
	switch {
	case value == "":
		return ""
	case isAddress(name):
		return r.address(value)
	case isShown(name):
		return r.text(value)
	}
	return r.hide(name, value)
}

func isShown(name string) bool {
	return isWord(shownNames, name) || strings.HasSuffix(name, "_supported")
}

func isAddress(name string) bool {
	if isWord(randomNames, name) || name == "verification_uri_complete" {
		return false
	}
	for _, suffix := range []string{"_endpoint", "_uri", "_uris", "_url"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return slices.Contains(addressNames, name)
}

// hide returns what stands for a value.
func (r *redactor) hide(name, value string) string {
	random := isWord(randomNames, name)
	fingerprint := ""
	if random && len(value) >= longEnough {
		sum := sha256.Sum256([]byte(value))
		fingerprint = "sha256:" + hex.EncodeToString(sum[:4])
	} else {
		mac := hmac.New(sha256.New, r.key[:])
		mac.Write([]byte(value))
		fingerprint = "hidden:" + hex.EncodeToString(mac.Sum(nil)[:4])
	}
	if random || isWord(guessableNames, name) {
		r.remember(value, fingerprint)
	}
	return fingerprint
}

// remember has a secret hidden wherever else it turns up, such as in the description
// of an error.
func (r *redactor) remember(secret, fingerprint string) {
	const tooShort = 6 // it would be found in words
	if len(secret) < tooShort {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[secret] = fingerprint
	r.known[url.QueryEscape(secret)] = fingerprint
	r.known[url.PathEscape(secret)] = fingerprint
}

// text is a text that is harmless but for secrets that it repeats, and for what is in
// the addresses and the JWTs that it quotes.
func (r *redactor) text(text string) string {
	if strings.Contains(text, "://") {
		text = quotedAddress().ReplaceAllStringFunc(text, r.address)
	}
	if strings.Contains(text, jwtStart) {
		text = quotedJWT().ReplaceAllStringFunc(text, func(jwt string) string { return r.hide("token", jwt) })
	}
	return printableUpTo(longestText, r.withoutKnown(text))
}

// jwtStart is {" in base64url: the beginning of the header of a JWT (RFC 7519, section
// 3.1).
const jwtStart = "eyJ"

func quotedAddress() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s"'<>]+`)
}
func quotedJWT() *regexp.Regexp {
	return regexp.MustCompile(jwtStart + `[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){1,4}`)
}

// withoutKnown hides the secrets that a text repeats.
func (r *redactor) withoutKnown(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var secrets, pairs []string
	for secret := range r.known {
		if strings.Contains(text, secret) {
			secrets = append(secrets, secret)
		}
	}
	// One may be the beginning of another, of which the rest would be left.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range secrets {
		pairs = append(pairs, secret, r.known[secret])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// name is the name of a parameter or member, which its sender has chosen: some put a key
// there, and no name that is known is long and has a digit.
func (r *redactor) name(name string) string {
	isKey := len(name) >= longEnough && strings.ContainsAny(name, "0123456789")
	if isKey || len(name) > longestName || printable(name) != name {
		return r.hide("", name)
	}
	return r.text(name)
}

// address is a URL without credentials, and with its query as pairs does it.
func (r *redactor) address(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Host == "" && u.Scheme != "" {
		return r.hide("", raw)
	}
	text := r.path(r.withoutKnown(u.EscapedPath()))
	if u.Host != "" {
		text = u.Scheme + "://" + u.Host + text
	}
	if u.User != nil {
		if password, ok := u.User.Password(); ok {
			r.hide("password", password)
		}
		text = strings.Replace(text, "://", "://"+r.hide("password", u.User.String())+"@", 1)
	}
	text = printableUpTo(longestText, r.withoutKnown(text))
	if u.RawQuery != "" {
		text += "?" + r.query(u.RawQuery)
	}
	if u.Fragment != "" {
		text += "#" + r.query(u.EscapedFragment()) // some providers answer there
	}
	return text
}

// path hides what some servers put into the path of a URL: the ID of a session, as a
// parameter (RFC 3986, section 3.3), and tokens.
func (r *redactor) path(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segment, parameters, found := strings.Cut(segment, ";")
		if isToken(segment) {
			segment = r.hide("", segment)
		}
		if found {
			segment += ";" + r.hide("", parameters)
		}
		segments[i] = segment
	}
	return strings.Join(segments, "/")
}

// isToken reports whether a part of a path is longer than names and the IDs of tenants
// are, which may be UUIDs.
func isToken(segment string) bool {
	const longestID = 36
	isOther := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~%=", r))
	}
	return len(segment) > longestID && strings.ContainsAny(segment, "0123456789") && !strings.ContainsFunc(segment, isOther)
}

// query is the query of a URL.
func (r *redactor) query(raw string) string {
	pairs, ok := r.pairs(raw)
	if !ok {
		return r.hide("", raw)
	}
	for i, pair := range pairs {
		if name, value, found := strings.Cut(pair, "="); found {
			pairs[i] = name + "=" + strings.NewReplacer("%", "%25", "&", "%26", "#", "%23", " ", "+").Replace(value)
		}
	}
	return strings.Join(pairs, "&")
}

// pairs are the parameters of a query or form in their order, each as name=value; a
// word alone may be a secret. It returns false for what is none.
func (r *redactor) pairs(raw string) (pairs []string, ok bool) {
	if _, err := url.ParseQuery(raw); err != nil || !strings.Contains(raw, "=") {
		return nil, false
	}
	for range 2 { // the second time, all secrets are known
		pairs = nil
		for pair := range strings.SplitSeq(raw, "&") {
			name, value, assigned := strings.Cut(pair, "=")
			name, _ = url.QueryUnescape(name) // was parsed above
			value, _ = url.QueryUnescape(value)
			switch {
			case name != "" && assigned:
				pairs = append(pairs, r.name(name)+"="+r.value(name, value))
			case name != "":
				pairs = append(pairs, r.hide("", name))
			}
		}
	}
	return pairs, true
}

// json is a JSON text, with a line for each member of an object, in the order of
// their names. It returns false for what is none.
func (r *redactor) json(data []byte) (text string, ok bool) {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		return "", false
	}
	r.member("", value) // then all secrets are known
	members, ok := r.member("", value).(map[string]any)
	if !ok {
		return compact(r.member("", value)), true
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		lines = append(lines, "  "+compact(name)+": "+compact(members[name]))
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n}", true
}

// compact is JSON on one line.
func compact(value any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (r *redactor) member(name string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		members := make(map[string]any, len(value))
		for name, inner := range value {
			members[r.name(name)] = r.member(name, inner)
		}
		return members
	case []any:
		elements := make([]any, len(value))
		for i, inner := range value {
			elements[i] = r.member(name, inner)
		}
		return elements
	case string:
		return r.value(name, value)
	case json.Number:
		if !isShown(name) {
			return r.hide(name, value.String())
		}
	}
	return value // true, false and null tell nothing
}

// credentials are those of an Authorization header: the scheme is shown.
func (r *redactor) credentials(header string) string {
	scheme, secret, ok := strings.Cut(header, " ")
	switch {
	case !ok || len(scheme) > longestName:
		return r.hide("token", header)
	case !strings.EqualFold(scheme, "Basic"):
		return r.text(scheme) + " " + r.hide("token", secret)
	}
	// RFC 6749, section 2.3.1: both are encoded as in a form.
	if pair, err := base64.StdEncoding.DecodeString(secret); err == nil {
		_, password, _ := strings.Cut(string(pair), ":")
		r.hide("client_secret", password) // as it is for others
		if plain, err := url.QueryUnescape(password); err == nil {
			r.hide("client_secret", plain)
		}
	}
	return "Basic " + r.hide("client_secret", secret)
}
