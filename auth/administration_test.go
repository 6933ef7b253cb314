package auth_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db/dbtest"
)

// addAdmin makes an administrator and signs that user in.
func (s *service) addAdmin(t *testing.T, email string) (*auth.Tokens, auth.Actor) {
	t.Helper()
	user, err := s.AddUser(t.Context(), email, password, auth.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	return s.mustLogin(t, email), auth.Actor{UserID: &user.ID, Client: client}
}

// list returns the addresses of users, page by page.
func (s *service) list(t *testing.T, search string, first int) string {
	t.Helper()
	var pages []string
	var after *string
	for {
		page, err := s.Users(t.Context(), search, first, after)
		if err != nil {
			t.Fatal(err)
		}
		var addresses []string
		for _, user := range page.Users {
			addresses = append(addresses, user.Email)
		}
		pages = append(pages, strings.Join(addresses, " "))
		if !page.More {
			return strings.Join(pages, ", ")
		}
		cursor, err := page.Users[len(page.Users)-1].Cursor()
		if err != nil {
			t.Fatal(err)
		}
		after = &cursor
	}
}

func TestUsersAreListedInOrderInPartsAndByTheBeginningOfTheAddress(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		for _, address := range []string{"c@example.com", "a_b@example.com", "B@example.com", "a-b@example.com", "Ünal@example.com", "ab@example.com", "a%@example.com"} {
			if _, err := s.AddUser(t.Context(), address, password, auth.RoleUser); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "all", s.list(t, "", 3), "a%@example.com a-b@example.com a_b@example.com, ab@example.com B@example.com c@example.com, Ünal@example.com")
		for search, found := range map[string]string{
			"a": "a%@example.com a-b@example.com a_b@example.com ab@example.com", "A_": "a_b@example.com", "a%": "a%@example.com", "b@EX": "B@example.com",
			"u\u0308N": "Ünal@example.com", "%": "", "x": "", "'": "",
		} {
			want(t, search, s.list(t, search, 100), found)
		}
		for _, search := range []string{"a\x00", "\xff", strings.Repeat("a", 255)} {
			if _, err := s.Users(t.Context(), search, 10, nil); err == nil {
				t.Errorf("%q was searched for", search)
			}
		}
		for _, cursor := range []string{"*", "_w", "AA"} { // no base64, no text, NUL
			_, err := s.Users(t.Context(), "", 10, &cursor)
			if invalid, ok := errors.AsType[*auth.InvalidInputError](err); !ok || invalid.Field != "after" {
				t.Errorf("%q: got %v, want an invalid cursor", cursor, err)
			}
		}
	})
}

func TestARoleCountsAtOnceAndIsRecordedWithWhoGaveIt(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		_, admin := s.addAdmin(t, "root@example.com")
		tokens := s.mustSignUp(t, email)
		role := func() bool { return s.mustAuthenticate(t, tokens.AccessToken).Has(auth.RoleAdmin) }
		want(t, "an administrator", role(), false)
		for range 2 { // doing it twice is no error, and recorded once
			if err := s.SetRole(t.Context(), admin, tokens.User.ID, auth.RoleAdmin); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "an administrator, with the same token", role(), true)
		if err := s.SetRole(t.Context(), auth.Actor{}, tokens.User.ID, auth.RoleUser); err != nil {
			t.Fatal(err)
		}
		want(t, "an administrator, with the same token", role(), false)
		page, err := s.Events(t.Context(), &tokens.User, 10, nil)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[auth.EventKind]auth.Event{}
		for _, event := range page.Events {
			kinds[event.Kind] = event
		}
		want(t, "events", len(page.Events), 3)
		want(t, "by whom", *kinds[auth.AdminWasGranted].ActorID, *admin.UserID)
		want(t, "from where", *kinds[auth.AdminWasGranted].IP, client.IP)
		want(t, "by an operator", kinds[auth.AdminWasRevoked].ActorID == nil, true)
	})
}

func TestAUserWhoIsEnabledAgainSignsInAnewAndOldSessionsStayDead(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		_, admin := s.addAdmin(t, "root@example.com")
		before := s.mustSignUp(t, email)
		ended, err := s.DisableUser(t.Context(), admin, before.User.ID)
		if err != nil || ended != 1 {
			t.Fatalf("ended %d, %v, want 1", ended, err)
		}
		// One that was committed right after DisableUser looked for sessions.
		mustExec(t, s.sql(t), `UPDATE sessions SET revoked_at = NULL, revoke_reason = NULL, revocation_id = NULL WHERE user_id = '`+before.User.ID.String()+`'`)
		for range 2 {
			if err := s.EnableUser(t.Context(), admin, before.User.ID); err != nil {
				t.Fatal(err)
			}
		}
		s.wantEnded(t, before.RefreshToken, auth.UserDisabled)
		s.wantUnauthenticated(t, before.AccessToken, auth.SessionEnded)
		s.mustLogin(t, email)
		want(t, "account", s.events(t, before.User), "SIGN_UP\nUSER_DISABLED 1\nUSER_ENABLED\nLOGIN")
	})
}

func TestAnAdministratorEndsAllSessionsOfAUser(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		own, admin := s.addAdmin(t, "root@example.com")
		first, second := s.mustSignUp(t, email), s.mustLogin(t, email)
		for _, count := range []int{2, 0} {
			ended, err := s.RevokeUserSessions(t.Context(), admin, first.User.ID)
			if err != nil || ended != count {
				t.Fatalf("ended %d, %v, want %d", ended, err, count)
			}
		}
		s.wantEnded(t, first.RefreshToken, auth.Admin)
		s.wantEnded(t, second.RefreshToken, auth.Admin)
		s.mustAuthenticate(t, own.AccessToken)
		want(t, "account", s.events(t, first.User), "SIGN_UP\nLOGIN\nSESSIONS_ENDED ADMIN 2")
	})
}

func TestTheLastAdministratorStays(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		ada := s.mustSignUp(t, email)
		if _, err := s.DisableUser(t.Context(), auth.Actor{}, ada.User.ID); err != nil { // where there never was one
			t.Fatal(err)
		}
		tokens, admin := s.addAdmin(t, "root@example.com")
		disabled, _ := s.addAdmin(t, "disabled@example.com") // who does not count
		if _, err := s.DisableUser(t.Context(), admin, disabled.User.ID); err != nil {
			t.Fatal(err)
		}
		for _, actor := range []auth.Actor{admin, {}} {
			if err := s.SetRole(t.Context(), actor, *admin.UserID, auth.RoleUser); !errors.Is(err, auth.ErrLastAdmin) {
				t.Fatalf("got %v, want the last administrator to stay", err)
			}
			if _, err := s.DisableUser(t.Context(), actor, *admin.UserID); !errors.Is(err, auth.ErrLastAdmin) {
				t.Fatalf("got %v, want the last administrator to stay", err)
			}
		}
		want(t, "still one", s.mustAuthenticate(t, tokens.AccessToken).Has(auth.RoleAdmin), true)
	})
}

func TestOfAdministratorsWhoBarEachOtherAtOnceOneStays(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		clock := authtest.NewClock()
		servers := []*service{newService(t, authtest.Options{URL: url, Clock: clock}), newService(t, authtest.Options{URL: url, Clock: clock})}
		_, ada := servers[0].addAdmin(t, email)
		_, grace := servers[0].addAdmin(t, "grace@example.com")
		for range 30 {
			for _, actor := range []auth.Actor{ada, grace} {
				if err := servers[0].SetRole(t.Context(), auth.Actor{}, *actor.UserID, auth.RoleAdmin); err != nil {
					t.Fatal(err)
				}
			}
			var done atomic.Int32
			var group sync.WaitGroup
			for i, pair := range [][2]auth.Actor{{ada, grace}, {grace, ada}} {
				group.Go(func() {
					err := servers[i].SetRole(t.Context(), pair[0], *pair[1].UserID, auth.RoleUser)
					switch {
					case err == nil:
						done.Add(1)
					case !errors.Is(err, auth.ErrForbidden) && !errors.Is(err, auth.ErrLastAdmin):
						t.Error(err)
					}
				})
			}
			group.Wait()
			want(t, "barred", done.Load(), 1)
		}
	})
}

func TestWhoIsNoAdministratorAnyMoreDoesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.addAdmin(t, "root@example.com")
		_, former := s.addAdmin(t, "former@example.com")
		if err := s.SetRole(t.Context(), auth.Actor{}, *former.UserID, auth.RoleUser); err != nil {
			t.Fatal(err)
		}
		victim := s.mustSignUp(t, email)
		_, disable := s.DisableUser(t.Context(), former, victim.User.ID)
		_, revoke := s.RevokeUserSessions(t.Context(), former, victim.User.ID)
		for _, err := range []error{
			disable, revoke, s.SetRole(t.Context(), former, *former.UserID, auth.RoleAdmin), s.EnableUser(t.Context(), former, victim.User.ID),
		} {
			if !errors.Is(err, auth.ErrForbidden) {
				t.Fatalf("got %v, want it forbidden", err)
			}
		}
		s.mustAuthenticate(t, victim.AccessToken)
		_, unknown := s.DisableUser(t.Context(), auth.Actor{}, uuid.New())
		for _, err := range []error{unknown, s.SetRole(t.Context(), auth.Actor{}, uuid.New(), auth.RoleAdmin)} {
			if !errors.Is(err, auth.ErrNotFound) {
				t.Fatalf("got %v, want not found", err)
			}
		}
	})
}
