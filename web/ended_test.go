package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/auth"
	"latchkey/db/dbtest"
)

// endedAnswer is what a service reads.
type endedAnswer struct {
	Cursor      string
	Sessions    []string
	RevokedKeys []string
	KeepFor     int
}

func (s *server) endedSince(t *testing.T, cursor string) endedAnswer {
	t.Helper()
	a := s.get(t, "/sessions/ended?since="+cursor, "Authorization", "Bearer "+serviceKey)
	want(t, "status", a.Status, http.StatusOK)
	want(t, "type", a.Header.Get("Content-Type"), "application/json; charset=utf-8")
	want(t, "not kept", a.Header.Get("Cache-Control"), "no-store")
	var answer endedAnswer
	if err := json.Unmarshal([]byte(a.Body), &answer); err != nil {
		t.Fatal(err)
	}
	want(t, "lists, never null", strings.Contains(a.Body, "null"), false)
	return answer
}

// awaitEnded asks until something is told, for a second: a server reads ten times in one.
func (s *server) awaitEnded(t *testing.T, cursor string, told func(endedAnswer) bool) endedAnswer {
	t.Helper()
	for began := time.Now(); time.Since(began) < time.Second; {
		if answer := s.endedSince(t, cursor); told(answer) {
			return answer
		}
	}
	t.Fatal("not told")
	return endedAnswer{}
}

func TestServicesAreToldWhichSessionsAndKeysEnded(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		tokens := s.signUp(t)
		before := s.endedSince(t, "")
		want(t, "nothing yet", fmt.Sprint(before.Sessions, before.RevokedKeys), "[] []")
		want(t, "longer than access tokens live, by a minute for clocks", before.KeepFor, 360)
		s.ask(t, `mutation { revokeSession { revoked } }`, nil, tokens.AccessToken)
		after := s.awaitEnded(t, before.Cursor, func(a endedAnswer) bool { return slices.Contains(a.Sessions, tokens.Session.ID) })
		want(t, "once", len(s.endedSince(t, after.Cursor).Sessions), 0)

		leaked := s.service.CurrentKey(auth.SigningKey).ID
		if _, err := s.service.RotateKey(t.Context(), auth.SigningKey, true); err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(time.Minute)
		if _, err := s.service.RevokeKey(t.Context(), leaked); err != nil {
			t.Fatal(err)
		}
		s.awaitEnded(t, after.Cursor, func(a endedAnswer) bool { return slices.Contains(a.RevokedKeys, leaked) })
	})
}

func TestOnlyAServiceKeyIsToldWhatEnded(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		tokens := s.signUp(t)
		for _, credential := range []string{"", "Bearer", "Bearer ", "Bearer " + serviceKey[1:], "Bearer " + serviceKey + "x", "Basic " + serviceKey,
			"Bearer " + tokens.AccessToken, "Bearer " + tokens.RefreshToken} {
			var headers []string
			if credential != "" {
				headers = []string{"Authorization", credential}
			}
			a := s.get(t, "/sessions/ended?since=&key="+url.QueryEscape(serviceKey), headers...)
			want(t, credential, fmt.Sprint(a.Status, a.Header.Get("WWW-Authenticate")), "401Bearer")
		}
		post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/sessions/ended", nil)
		if err != nil {
			t.Fatal(err)
		}
		post.Header.Set("Authorization", "Bearer "+serviceKey)
		want(t, "by POST", s.do(t, post).Status, http.StatusMethodNotAllowed)
		want(t, "a key in the log", strings.Contains(s.log.String(), serviceKey), false)
	})
}

func TestWithoutTheDatabaseNothingIsSaidToHaveEnded(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	s := newServer(t, proxy.URL())
	proxy.Refuse()
	a := s.get(t, "/sessions/ended", "Authorization", "Bearer "+serviceKey)
	want(t, "status", fmt.Sprint(a.Status, a.Header.Get("Retry-After"), a.Body), "5032the database does not answer\n")
}
