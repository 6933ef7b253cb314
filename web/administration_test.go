package web_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"latchkey/auth"
)

const done = ` { __typename ... on AdminSuccess { user { id role disabledAt } revokedCount } ... on AdminFailure { code message } } }`

// promote makes the user whose tokens are given an administrator.
func (s *server) promote(t *testing.T, tokens result) {
	t.Helper()
	if err := s.service.SetRole(t.Context(), auth.Actor{}, uuid.MustParse(tokens.User.ID), auth.RoleAdmin); err != nil {
		t.Fatal(err)
	}
}

func (s *server) signUpAs(t *testing.T, email string) result {
	t.Helper()
	return s.mutate(t, signUpMutation, map[string]any{"email": email, "password": password}, "")
}

func TestOnlyAdministratorsAdministerAndFromTheMomentThatTheyAreOnes(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		root, ada := s.signUpAs(t, "root@example.com"), s.signUp(t)
		operations := []string{
			`{ users { edges { node { id } } } }`, `{ user(id: "` + root.User.ID + `") { id } }`,
			`mutation { setRole(input: {userId: "` + root.User.ID + `", role: ADMIN})` + done,
			`mutation { disableUser(input: {userId: "` + root.User.ID + `"})` + done,
			`mutation { enableUser(input: {userId: "` + root.User.ID + `"})` + done,
			`mutation { revokeUserSessions(input: {userId: "` + root.User.ID + `"})` + done,
		}
		before := contents(t, s.databaseURL)
		for _, operation := range operations {
			want(t, operation, s.ask(t, operation, nil, ada.AccessToken).code(), "FORBIDDEN")
			want(t, operation, s.ask(t, operation, nil, "").code(), "UNAUTHENTICATED")
		}
		want(t, "the database", contents(t, s.databaseURL), before)
		s.promote(t, ada)
		for _, operation := range operations {
			want(t, operation, s.ask(t, operation, nil, ada.AccessToken).code(), "")
		}
		want(t, "the sessions of root", s.me(t, root.AccessToken).code(), "UNAUTHENTICATED")
	})
}

func TestWhatAnAdministratorDoesIsAnsweredWithTheUserAsItThenIs(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		root, ada := s.signUpAs(t, "root@example.com"), s.signUp(t)
		s.promote(t, root)
		nobody := uuid.NewString()
		for _, step := range []struct{ mutation, id, want string }{
			{"disableUser", ada.User.ID, "AdminSuccess USER disabled 1"},
			{"disableUser", ada.User.ID, "AdminSuccess USER disabled 0"},
			{"enableUser", ada.User.ID, "AdminSuccess USER enabled 0"},
			{"revokeUserSessions", ada.User.ID, "AdminSuccess USER enabled 0"},
			{"disableUser", nobody, "USER_NOT_FOUND"},
			{"enableUser", nobody, "USER_NOT_FOUND"},
			{"revokeUserSessions", nobody, "USER_NOT_FOUND"},
			{"disableUser", root.User.ID, "LAST_ADMIN"},
		} {
			a := s.ask(t, `mutation { `+step.mutation+`(input: {userId: "`+step.id+`"})`+done, nil, root.AccessToken)
			var r struct {
				Typename, Code string
				User           struct {
					Role       string
					DisabledAt *string
				}
				RevokedCount int
			}
			a.Data[step.mutation] = []byte(strings.Replace(string(a.Data[step.mutation]), "__typename", "typename", 1))
			decode(t, a, step.mutation, &r)
			got := r.Code
			if r.Code == "" {
				state := "enabled"
				if r.User.DisabledAt != nil {
					state = "disabled"
				}
				got = fmt.Sprint(r.Typename, " ", r.User.Role, " ", state, " ", r.RevokedCount)
			}
			want(t, step.mutation, got, step.want)
		}
		a := s.ask(t, `mutation { setRole(input: {userId: "`+root.User.ID+`", role: USER})`+done, nil, root.AccessToken)
		want(t, "the last administrator", strings.Contains(a.Body, `"LAST_ADMIN"`), true)
		a = s.ask(t, `mutation { setRole(input: {userId: "`+ada.User.ID+`", role: ADMIN})`+done, nil, root.AccessToken)
		want(t, "the new role", strings.Contains(a.Body, `"role":"ADMIN"`), true)
		a = s.ask(t, `{ user(id: "`+nobody+`") { id } }`, nil, root.AccessToken)
		want(t, "nobody", string(a.Data["user"])+a.code(), "null")
		a = s.ask(t, `{ user(id: "`+ada.User.ID+`") { email sessionEvents(first: 1) { edges { node { kind actorId ip } } } } }`, nil, root.AccessToken)
		want(t, "by whom", string(a.Data["user"]),
			`{"email":"ada@example.com","sessionEvents":{"edges":[{"node":{"kind":"ADMIN_GRANTED","actorId":"`+root.User.ID+`","ip":"127.0.0.1"}}]}}`)
		a = s.ask(t, `{ users(first: 1, search: "ADA") { edges { node { email sessions { id } } } pageInfo { hasNextPage } } }`, nil, root.AccessToken)
		want(t, "users", string(a.Data["users"]), `{"edges":[{"node":{"email":"ada@example.com","sessions":[]}}],"pageInfo":{"hasNextPage":false}}`)
		a = s.ask(t, `{ user(id: "`+root.User.ID+`") { sessions { current } } }`, nil, root.AccessToken)
		want(t, "one's own session", string(a.Data["user"]), `{"sessions":[{"current":true}]}`)
	})
}
