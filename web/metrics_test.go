package web_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"latchkey/auth"
	"latchkey/db/dbtest"
)

// value returns what Prometheus is told of a metric with its labels.
func (s *server) value(t *testing.T, metric string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(metric) + ` (\S+)$`).FindStringSubmatch(s.scrape(t))
	if found == nil {
		t.Fatalf("there is no %s", metric)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestOperationsAreCountedByRootFieldAndOutcome(t *testing.T) {
	s := newExplorable(t, dbtest.SQLite(t))
	tokens := s.signUp(t)
	s.mutate(t, loginMutation, map[string]any{"email": email, "password": "not " + password}, "")
	s.ask(t, `{ a: me { id } b: me { sessions { id } } __typename }`, nil, tokens.AccessToken)
	s.ask(t, `{ me { id } }`, nil, "")
	s.ask(t, `{ users { pageInfo { hasNextPage } } }`, nil, tokens.AccessToken)
	s.ask(t, `{ __schema { queryType { name } } __typename }`, nil, "")
	s.ask(t, `mutation { revokeSession(input: {sessionId: "`+tokens.Session.ID+`", refreshToken: "x"}) { revoked } }`, nil, tokens.AccessToken)
	for metric, count := range map[string]float64{
		`latchkey_operations_total{field="signUp",outcome="ok"}`:                    1,
		`latchkey_operations_total{field="login",outcome="INVALID_CREDENTIALS"}`:    1,
		`latchkey_operations_total{field="me",outcome="ok"}`:                        2,
		`latchkey_operations_total{field="me",outcome="UNAUTHENTICATED"}`:           1,
		`latchkey_operations_total{field="users",outcome="FORBIDDEN"}`:              1,
		`latchkey_operations_total{field="introspection",outcome="ok"}`:             1,
		`latchkey_operations_total{field="revokeSession",outcome="BAD_USER_INPUT"}`: 1,
		`latchkey_operation_duration_seconds_count{field="me"}`:                     3,
	} {
		want(t, metric, s.value(t, metric), count)
	}
	want(t, "fields that are not at the root", strings.Contains(s.scrape(t), `field="sessions"`), false)
	took := s.value(t, `latchkey_operation_duration_seconds_sum{field="signUp"}`)
	want(t, "a password's hash takes milliseconds", took > 0.005 && took < 10, true)
}

func TestWhatBecomesOfRefreshesIsCounted(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		first := s.signUp(t)
		second := s.refresh(t, first.RefreshToken)
		s.refresh(t, first.RefreshToken)
		s.me(t, second.AccessToken)
		s.refresh(t, second.RefreshToken)
		s.clock.Advance(time.Minute)
		s.refresh(t, first.RefreshToken)
		s.refresh(t, second.RefreshToken)
		s.refresh(t, "lkr1.x")
		for outcome, count := range map[auth.RefreshOutcome]float64{
			auth.Rotated: 2, auth.Retried: 1, auth.Reused: 1, auth.RolledBack: 0, auth.EndedAlready: 1, auth.NotOurs: 1,
		} {
			want(t, string(outcome), s.value(t, `latchkey_refreshes_total{outcome="`+string(outcome)+`"}`), count)
		}
	})
}

func TestWhatAServerHoldsIsMeasured(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for range 11 {
			s.mutate(t, loginMutation, map[string]any{"email": email, "password": password}, "")
		}
		tokens := s.mutate(t, signUpMutation, map[string]any{"email": "grace@example.com", "password": password}, "")
		s.me(t, s.refresh(t, tokens.RefreshToken).AccessToken)
		s.clock.Advance(time.Hour)
		want(t, "no clean-up yet", s.value(t, "latchkey_clean_up_last_success_timestamp_seconds"), 0)
		s.clock.Advance(100 * 24 * time.Hour)
		if _, err := s.service.CleanUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		pool := map[bool]string{true: "read", false: "write"}[strings.HasPrefix(s.databaseURL, "sqlite:")]
		for metric, holds := range map[string]func(float64) bool{
			`latchkey_throttled_total{budget="account"}`:                 func(v float64) bool { return v == 1 },
			`latchkey_throttled_total{budget="address"}`:                 func(v float64) bool { return v == 0 },
			"latchkey_password_hashes_running":                           func(v float64) bool { return v == 0 },
			"latchkey_password_hashes_waiting":                           func(v float64) bool { return v == 0 },
			"latchkey_password_hash_slots":                               func(v float64) bool { return v >= 1 },
			"latchkey_confirmations_pending":                             func(v float64) bool { return v == 1 },
			"latchkey_cleaned_up_rows_total":                             func(v float64) bool { return v > 0 },
			"latchkey_clean_up_last_success_timestamp_seconds":           func(v float64) bool { return v == float64(s.clock.Now().Unix()) },
			`latchkey_key_age_seconds{kind="signing"}`:                   func(v float64) bool { return v == (101*24-23)*3600 },
			`latchkey_key_age_seconds{kind="refresh"}`:                   func(v float64) bool { return v == (101*24-23)*3600 },
			`latchkey_database_connections_max{pool="` + pool + `"}`:     func(v float64) bool { return v >= 4 },
			`latchkey_database_connections{pool="write",state="in_use"}`: func(v float64) bool { return v == 0 },
			`latchkey_database_connections{pool="write",state="idle"}`:   func(v float64) bool { return v >= 1 },
			`latchkey_database_connection_waits_total{pool="write"}`:     func(v float64) bool { return v >= 0 },
		} {
			want(t, metric, holds(s.value(t, metric)), true)
		}
		want(t, "version", strings.Contains(s.scrape(t), `latchkey_build_info{go_version="go1.`), true)
		s.get(t, "/readyz")
		want(t, "ready", s.value(t, "latchkey_ready"), 1)
	})
}
