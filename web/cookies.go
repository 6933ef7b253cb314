package web

import (
	"math"
	"net/http"
	"time"

	"latchkey/auth"
	"latchkey/graph"
)

// cookies are how the tokens of a session are kept where scripts cannot read them (RFC 6265bis §4.1).
type cookies struct {
	// insecure is for browsers that take no __Host- cookie over plain http, not even from localhost. It is
	// a development switch: without the prefix, a neighbouring host could plant a cookie.
	insecure bool
}

func (c cookies) accessToken() string  { return c.name("latchkey-access") }
func (c cookies) refreshToken() string { return c.name("latchkey-refresh") }
func (c cookies) deviceToken() string  { return c.name("latchkey-device") }

func (c cookies) name(base string) string {
	if c.insecure {
		return base
	}
	return "__Host-" + base
}

// deviceAge is how long a device is remembered, the longest that browsers allow (RFC 6265bis §5.5).
const deviceAge = 400 * 24 * time.Hour

// read returns the value of a cookie, or nil where there is none. Of two cookies of one name a neighbouring
// host may have planted either, so there is none to believe: errTwoCredentials.
func (c cookies) read(r *http.Request, name string) (*auth.Secret, error) {
	found := r.CookiesNamed(name)
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		value := auth.Secret(found[0].Value)
		return &value, nil
	}
	return nil, errTwoCredentials
}

// write does to the client's cookies what an operation decided. It takes back only what the request brought.
func (c cookies) write(w http.ResponseWriter, r *http.Request, changes graph.Cookies) {
	for _, cookie := range []struct {
		name  string
		token *auth.Secret
	}{{c.refreshToken(), changes.RefreshToken}, {c.accessToken(), changes.AccessToken}} {
		switch {
		case cookie.token != nil:
			c.set(w, cookie.name, cookie.token.Reveal(), int(math.Ceil(changes.MaxAge.Seconds())))
		case changes.Clear && len(r.CookiesNamed(cookie.name)) > 0:
			c.set(w, cookie.name, "", -1)
		}
	}
	if changes.DeviceToken != nil {
		c.set(w, c.deviceToken(), changes.DeviceToken.Reveal(), int(deviceAge.Seconds()))
	}
}

// set sets a cookie for so many seconds. That of the access token lives as long as the session and not as
// long as the token, so that a client with an old one is told TOKEN_EXPIRED, and refreshes.
func (c cookies) set(w http.ResponseWriter, name, value string, maxAge int) {
	cookie := &http.Cookie{
		Name: name, Value: value, MaxAge: maxAge, Path: "/",
		Secure: !c.insecure, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
	if maxAge < 0 {
		cookie.Expires = time.Unix(1, 0) // for clients that read no Max-Age
	}
	http.SetCookie(w, cookie)
}
