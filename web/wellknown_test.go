package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"latchkey/auth"
)

func TestAccessTokensAreVerifiedByThePublishedKeys(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		if _, err := s.service.RotateKey(t.Context(), auth.SigningKey, false); err != nil {
			t.Fatal(err)
		}
		published := s.get(t, "/.well-known/jwks.json", "Origin", "https://anybody.example.net")
		want(t, "status", published.Status, http.StatusOK)
		want(t, "for pages of any origin", published.Header.Get("Access-Control-Allow-Origin"), "*")
		want(t, "may be kept", published.Header.Get("Cache-Control"), "public, max-age=300")
		want(t, "type", published.Header.Get("Content-Type"), "application/json; charset=utf-8")
		for _, private := range []string{`"d"`, `"k"`, `"p"`, `"q"`} {
			want(t, private, strings.Contains(published.Body, private), false)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(published.Body), &set); err != nil {
			t.Fatal(err)
		}
		want(t, "current and next", len(set.Keys), 2)
		token := s.signUp(t).AccessToken
		parsed, err := jwt.NewParser(jwt.WithTimeFunc(s.clock.Now)).Parse(token, func(token *jwt.Token) (any, error) {
			for _, key := range set.Keys {
				want(t, "key", fmt.Sprint(key.Use, " ", key.Algorithm, " ", key.IsPublic()), "sig ES256 true")
				if key.KeyID == token.Header["kid"] {
					return key.Key, nil
				}
			}
			return nil, fmt.Errorf("no key")
		})
		want(t, "verified", err == nil && parsed.Valid, true)

		again := s.get(t, "/.well-known/jwks.json", "If-None-Match", published.Header.Get("ETag"))
		want(t, "known already", fmt.Sprint(again.Status, again.Body), "304")
		key, err := s.service.RotateKey(t.Context(), auth.SigningKey, true)
		if err != nil {
			t.Fatal(err)
		}
		changed := s.get(t, "/.well-known/jwks.json", "If-None-Match", published.Header.Get("ETag"))
		want(t, "changed", changed.Status == http.StatusOK && strings.Contains(changed.Body, key.ID), true)
	})
}

func TestTheMetadataSayWhatIsTrueAndNoMore(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		const both = `"issuer":"https://auth.example.com","jwks_uri":"https://auth.example.com/.well-known/jwks.json"`
		for path, body := range map[string]string{
			"/.well-known/oauth-authorization-server": "{" + both + "}",
			"/.well-known/openid-configuration":       "{" + both + `,"subject_types_supported":["public"]}`,
		} {
			found := s.get(t, path)
			want(t, path, found.Body, body)
			want(t, "for pages of any origin", found.Header.Get("Access-Control-Allow-Origin"), "*")
			want(t, "may be kept", found.Header.Get("Cache-Control"), "public, max-age=300")
		}
	})
}
