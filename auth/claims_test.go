package auth_test

import (
	"encoding/json"
	"strings"
	"testing"

	"latchkey/auth"
	"latchkey/auth/authtest"
)

func TestExtraClaimsStandInEveryAccessTokenBesideTheRegisteredOnes(t *testing.T) {
	extra, err := auth.ParseExtraClaims([]byte(` {"https://hasura.io/jwt/claims": {"x-hasura-default-role": "{{user.role}}",
		"x-hasura-allowed-roles": ["{{user.role}}", "anonymous"], "x-hasura-user-id": "{{user.id}}"}, "session": "<{{session.id}}>", "n": 1.0}
	`))
	if err != nil {
		t.Fatal(err)
	}
	settings := authtest.Settings()
	settings.ExtraClaims = extra
	eachWith(t, authtest.Options{Settings: &settings}, func(t *testing.T, s *service) {
		session := s.mustSignUp(t, email)
		for _, tokens := range []*auth.Tokens{session, s.mustRefresh(t, session.RefreshToken)} {
			s.mustAuthenticate(t, tokens.AccessToken)
			var claims struct {
				Sub, Session string
				N            float64
				Hasura       struct {
					Role  string   `json:"x-hasura-default-role"`
					Roles []string `json:"x-hasura-allowed-roles"`
					User  string   `json:"x-hasura-user-id"`
				} `json:"https://hasura.io/jwt/claims"`
			}
			if err := json.Unmarshal(partOf(t, tokens.AccessToken, 1), &claims); err != nil {
				t.Fatal(err)
			}
			want(t, "sub", claims.Sub, tokens.User.ID.String())
			want(t, "user", claims.Hasura.User, tokens.User.ID.String())
			want(t, "role", claims.Hasura.Role, "USER")
			want(t, "roles", strings.Join(claims.Hasura.Roles, " "), "USER anonymous")
			want(t, "session", claims.Session, "<"+tokens.Session.ID.String()+">")
			want(t, "number", claims.N, 1)
		}
	})
}

func TestExtraClaimsThatCannotBeAreRefusedWithoutBeingRepeated(t *testing.T) {
	for text, problem := range map[string]string{
		``:                          "is not a JSON object",
		`null`:                      "is not a JSON object",
		`["canary"]`:                "is not a JSON object",
		`{"a": 1} {"canary": 2}`:    "has something behind the JSON object",
		`{"exp": 99999999999}`:      "has the claim exp, which is Latchkey's own",
		`{"roles": ["ADMIN"]}`:      "has the claim roles, which is Latchkey's own",
		`{"Roles": ["canary"]}`:     "has the claim roles, which is Latchkey's own",
		`{"a": 1, "a": "canary"}`:   "has a name twice, or is not in UTF-8",
		"{\"a\": \"canary\xff\"}":   "has a name twice, or is not in UTF-8",
		`{"{{user.id}}": "canary"}`: "has a placeholder in the name of a claim",
		`{"a": "{{user.canary}}"}`:  "has a placeholder other than {{user.id}}, {{user.role}} and {{session.id}}",
		`{"a": "` + strings.Repeat("{{user.id}}", 57) + `"}`: "has more than 2048 bytes",
	} {
		_, err := auth.ParseExtraClaims([]byte(text))
		if err == nil {
			t.Fatalf("%s was taken", text)
		}
		want(t, "problem", err.Error(), problem)
	}
	if _, err := auth.ParseExtraClaims([]byte(`{}`)); err != nil {
		t.Fatal(err)
	}
}
