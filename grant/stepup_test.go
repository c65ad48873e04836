package grant_test

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauth-login/oauth-login/grant"
)

func TestParseStepUp(t *testing.T) {
	const scope = `Bearer error="insufficient_scope", scope=`
	const level = `Bearer error="insufficient_user_authentication"`
	for name, test := range map[string]struct {
		status int // 403 unless it says otherwise
		header []string
		want   *grant.StepUp
	}{
		"RFC 6750, section 3":               {header: []string{scope + `"read  write"`}, want: &grant.StepUp{Scopes: []string{"read", "write"}}},
		"status 401":                        {401, []string{scope + `"read"`}, &grant.StepUp{Scopes: []string{"read"}}},
		"status 200":                        {200, []string{scope + `"read"`}, nil},
		"RFC 9470, section 3, figure 2":     {401, []string{level + `, error_description="A different authentication level is required", acr_values="myACR"`}, &grant.StepUp{Scopes: []string{}, ACRValues: "myACR"}},
		"RFC 9470, section 3, figure 3":     {401, []string{level + `, error_description="More recent authentication is required", max_age="5"`}, &grant.StepUp{Scopes: []string{}, MaxAge: new(5)}},
		"max_age without quotes":            {401, []string{level + `, max_age=0`}, &grant.StepUp{Scopes: []string{}, MaxAge: new(0)}},
		"everything":                        {401, []string{level + `, acr_values="a  b", max_age=7, scope=x`}, &grant.StepUp{Scopes: []string{"x"}, ACRValues: "a b", MaxAge: new(7)}},
		"DPoP":                              {401, []string{strings.Replace(scope, "Bearer", "dpop", 1) + `x, algs="ES256"`}, &grant.StepUp{Scopes: []string{"x"}}},
		"second challenge":                  {401, []string{"Basic realm=x", scope + `x`}, &grant.StepUp{Scopes: []string{"x"}}},
		"another scheme":                    {header: []string{strings.Replace(scope, "Bearer", "Basic", 1) + `x`}},
		"another error":                     {401, []string{`Bearer error="invalid_token", scope=x, acr_values=y`}, nil},
		"no error":                          {401, []string{`Bearer scope=x`}, nil},
		"no scope":                          {header: []string{strings.TrimSuffix(scope, ", scope=")}},
		"empty scope":                       {header: []string{scope + `" "`}},
		"no level":                          {401, []string{level}, nil},
		"negative max_age":                  {401, []string{level + `, max_age="-1"`}, nil},
		"max_age that is no number":         {401, []string{level + `, max_age="1 h", acr_values=x`}, nil},
		"max_age that is too large":         {401, []string{level + `, max_age="99999999999"`}, nil},
		"control characters":                {header: []string{scope + "\"x\x1b[0m\""}},
		"a quote in a scope":                {header: []string{scope + `"x\"y"`}},
		"a letter that is not ASCII in acr": {401, []string{level + `, acr_values="ä"`}, nil},
		"too long":                          {header: []string{scope + `"` + strings.Repeat("x", 5000) + `"`}},
		"malformed, and then one that is all right": {header: []string{scope + `"` + `\"` + `"`, scope + "x"}, want: &grant.StepUp{Scopes: []string{"x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			resp := &http.Response{StatusCode: test.status, Header: http.Header{"Www-Authenticate": test.header}}
			if test.status == 0 {
				resp.StatusCode = 403
			}
			if got := grant.ParseStepUp(resp); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
	if grant.ParseStepUp(nil) != nil {
		t.Error("no response demands something")
	}
}

// What the authorization request says when an API demands more.
func TestAuthorizeStepUp(t *testing.T) {
	for name, test := range map[string]struct {
		setup  func(*grant.Client)
		demand *grant.StepUp
		want   map[string]string // of the authorization request; "" for none
	}{
		"nothing":                        {nil, nil, map[string]string{"scope": "openid profile", "acr_values": "", "max_age": ""}},
		"scopes":                         {nil, &grant.StepUp{Scopes: []string{"profile", "admin"}}, map[string]string{"scope": "openid profile admin", "acr_values": "", "max_age": ""}},
		"acr_values":                     {nil, &grant.StepUp{ACRValues: "gold silver"}, map[string]string{"scope": "openid profile", "acr_values": "gold silver"}},
		"acr_values in place of its own": {func(c *grant.Client) { c.ACRValues = "bronze" }, &grant.StepUp{ACRValues: "gold"}, map[string]string{"acr_values": "gold"}},
		"max_age":                        {nil, &grant.StepUp{MaxAge: new(0)}, map[string]string{"max_age": "0"}},
		"a larger max_age than its own":  {func(c *grant.Client) { c.MaxAge = new(5) }, &grant.StepUp{MaxAge: new(60)}, map[string]string{"max_age": "5"}},
		"a smaller max_age than its own": {func(c *grant.Client) { c.MaxAge = new(60) }, &grant.StepUp{MaxAge: new(5)}, map[string]string{"max_age": "5"}},
		"without openid":                 {func(c *grant.Client) { c.Scopes = []string{"read"} }, &grant.StepUp{MaxAge: new(5), ACRValues: "gold"}, map[string]string{"scope": "read", "max_age": "5", "acr_values": "gold", "nonce": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := newOIDC()
			if test.setup != nil {
				test.setup(client)
			}
			flow, err := client.Authorize(grant.WithStepUp(t.Context(), test.demand), redirect)
			if err != nil {
				t.Fatal(err)
			}
			params := query(t, flow)
			for parameter, want := range test.want {
				if got := params.Get(parameter); got != want || params.Has(parameter) != (want != "") {
					t.Errorf("%s is %q, want %q", parameter, got, want)
				}
			}
			if len(client.Scopes) > 2 {
				t.Error("the client was changed")
			}
		})
	}
	_, client := newOIDC()
	_, err := client.Authorize(grant.WithStepUp(t.Context(), &grant.StepUp{MaxAge: new(-1)}), redirect)
	wantOutcome(t, err, "argument")
}

// A login that an API demands is held to that.
func TestExchangeStepUp(t *testing.T) {
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		demand *grant.StepUp
		claims members
		want   string
	}{
		"recent":            {&grant.StepUp{MaxAge: new(60)}, members{"auth_time": now}, "ok"},
		"too long ago":      {&grant.StepUp{MaxAge: new(60)}, members{"auth_time": now - 200}, timestamp + "auth_time"},
		"nobody knows when": {&grant.StepUp{MaxAge: new(60)}, nil, badClaim + "auth_time"},
		"scopes":            {&grant.StepUp{Scopes: []string{"admin"}}, nil, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			p, client := newOIDC()
			flow, err := client.Authorize(grant.WithStepUp(t.Context(), test.demand), redirect)
			if err != nil {
				t.Fatal(err)
			}
			signedIn(t, p, flow, test.claims)
			token, err := flow.Exchange(t.Context(), redirectOf(t, flow))
			wantOutcome(t, err, test.want)
			if err == nil && !client.Meets(token, test.demand) {
				t.Errorf("the token does not meet the demand: %q", token.Scopes)
			}
		})
	}
}

// The device grant asks for the same.
func TestAuthorizeDeviceStepUp(t *testing.T) {
	p, client := newOIDC()
	p.others["/device"] = always(200, `{"device_code":"d","user_code":"u","verification_uri":"https://op.example.com/","expires_in":60}`)
	ctx := grant.WithStepUp(t.Context(), &grant.StepUp{Scopes: []string{"admin"}, ACRValues: "gold", MaxAge: new(9)})
	if _, err := client.AuthorizeDevice(ctx); err != nil {
		t.Fatal(err)
	}
	form := p.one(t, "/device").form
	if got := form.Get("scope") + "|" + form.Get("acr_values") + "|" + form.Get("max_age"); got != "openid profile admin|gold|9" {
		t.Errorf("asked for %s", got)
	}
}

func TestMeets(t *testing.T) {
	p, client := newOIDC()
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		claims members
		demand *grant.StepUp
		skew   time.Duration
		want   bool
	}{
		"nothing":                   {nil, nil, 0, true},
		"scopes":                    {nil, &grant.StepUp{Scopes: []string{"openid", "profile"}}, 0, true},
		"a scope that is missing":   {nil, &grant.StepUp{Scopes: []string{"openid", "admin"}}, 0, false},
		"acr":                       {members{"acr": "silver"}, &grant.StepUp{ACRValues: "gold silver"}, 0, true},
		"another acr":               {members{"acr": "gol"}, &grant.StepUp{ACRValues: "gold silver"}, 0, false},
		"an empty acr":              {members{"acr": ""}, &grant.StepUp{ACRValues: "gold"}, 0, false},
		"no acr":                    {nil, &grant.StepUp{ACRValues: "gold"}, 0, true},
		"an acr that nobody wants":  {members{"acr": "bronze"}, &grant.StepUp{Scopes: []string{"openid"}}, 0, true},
		"recent":                    {members{"auth_time": now - 10}, &grant.StepUp{MaxAge: new(0)}, 0, true},
		"long ago":                  {members{"auth_time": now - 100}, &grant.StepUp{MaxAge: new(60)}, 0, false},
		"long ago by another clock": {members{"auth_time": now}, &grant.StepUp{MaxAge: new(60)}, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			flow, err := client.Authorize(t.Context(), redirect)
			if err != nil {
				t.Fatal(err)
			}
			signedIn(t, p, flow, test.claims)
			token, err := flow.Exchange(t.Context(), redirectOf(t, flow))
			if err != nil {
				t.Fatal(err)
			}
			judge := &grant.Client{ClockSkew: test.skew}
			if got := judge.Meets(token, test.demand); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
	if client.Meets(nil, nil) || !client.Meets(&grant.Token{}, &grant.StepUp{ACRValues: "x", MaxAge: new(1)}) {
		t.Error("no token meets nothing, and one without an ID token what only that could tell")
	}
	if grant.StepUpOf(context.Background()) != nil {
		t.Error("a context demands something")
	}
}
