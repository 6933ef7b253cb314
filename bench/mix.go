package main

import "math/rand/v2"

// The mix: what people who are signed in make their clients ask. Tokens that live five minutes and pages that ask a few
// questions a minute make about one refresh of ten questions; signing in and out is rare.
const (
	mixRefresh = 8 // of a hundred requests
	mixLogin   = 1
	mixSignOut = 1

	mixInWords = "of a hundred requests 90 are me, 8 refreshToken, 1 login and 1 sign-out"
)

// mostVisits is how many sessions begun by logins a connection keeps before it ends one.
const mostVisits = 16

// mixing is a client of the mix. Sessions that its logins begin are those that its sign-outs end.
type mixing struct {
	*walker
	email  func() string // of who signs in next
	random *rand.Rand
	visits []*session
}

// Do implements load.Client.
func (m *mixing) Do() (string, error) {
	switch dice := m.random.IntN(100); {
	case dice < mixRefresh:
		return m.refresh(m.turn())
	case dice < mixRefresh+mixLogin+mixSignOut:
		login := dice < mixRefresh+mixLogin
		if login && len(m.visits) < mostVisits || len(m.visits) == 0 {
			s, err := m.login(m.email())
			if err == nil {
				m.visits = append(m.visits, s)
			}
			return "login", err
		}
		s := m.visits[0]
		m.visits = m.visits[1:]
		return m.signOut(s)
	}
	return m.me(m.turn())
}
