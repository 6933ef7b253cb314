package auth_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/auth/authtest"
)

func TestAnAccessTokenIsWhatRFC9068Says(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		header, claims := parts(t, tokens.AccessToken)
		kid, _ := s.signingKey(t)
		want(t, "typ", header["typ"], "at+jwt")
		want(t, "alg", header["alg"], "ES256")
		want(t, "kid", header["kid"], any(kid))
		want(t, "header members", len(header), 3)
		want(t, "iss", claims["iss"], any(authtest.Settings().Issuer))
		want(t, "aud", fmt.Sprint(claims["aud"]), authtest.Settings().Audience)
		want(t, "sub", claims["sub"], any(tokens.User.ID.String()))
		want(t, "sid", claims["sid"], any(tokens.Session.ID.String()))
		want(t, "gen", claims["gen"], any(1.0))
		want(t, "roles", fmt.Sprint(claims["roles"]), "[USER]")
		want(t, "lifetime", claims["exp"].(float64)-claims["iat"].(float64), 300)
		want(t, "claims", len(claims), 9)
		if _, err := uuid.Parse(claims["jti"].(string)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnAccessTokenWorksUntilItExpiresAndNotAMomentLonger(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		s.clock.Advance(5*time.Minute - time.Microsecond)
		s.mustAuthenticate(t, tokens.AccessToken)
		s.clock.Advance(time.Microsecond)
		s.wantUnauthenticated(t, tokens.AccessToken, auth.TokenExpired)
	})
}

func TestWhatATokenSaysIsHeldToTheClockEachTime(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		s.mustAuthenticate(t, tokens.AccessToken)
		s.clock.Advance(-31 * time.Second) // the clock was wrong, and is set
		s.wantUnauthenticated(t, tokens.AccessToken, auth.TokenInvalid)
		s.clock.Advance(31 * time.Second)
		s.mustAuthenticate(t, tokens.AccessToken)
	})
}

func TestARefreshDoesNotInvalidateAnAccessTokenInFlight(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		second := s.mustRefresh(t, first.RefreshToken)
		s.mustRefresh(t, second.RefreshToken)
		s.mustAuthenticate(t, first.AccessToken)
	})
}

func TestAForgedAccessTokenIsInvalid(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		kid, key := s.signingKey(t)
		header := func(change func(map[string]any)) map[string]any {
			h := map[string]any{"typ": "at+jwt", "alg": "ES256", "kid": kid}
			change(h)
			return h
		}
		_, genuine := parts(t, tokens.AccessToken)
		claims := func(change func(map[string]any)) map[string]any {
			c := map[string]any{}
			for name, value := range genuine {
				c[name] = value
			}
			change(c)
			return c
		}
		same := func(map[string]any) {}

		s.mustAuthenticate(t, sign(t, key, header(same), claims(same))) // so that what follows is refused for what it says
		s.mustAuthenticate(t, sign(t, key, header(func(h map[string]any) { h["typ"] = "application/AT+JWT" }), claims(same)))

		forged := map[string]auth.Secret{}
		for _, member := range []string{"iss", "aud", "sub", "exp", "iat", "jti", "sid", "gen", "roles"} {
			forged["without "+member] = sign(t, key, header(same), claims(func(c map[string]any) { delete(c, member) }))
			forged["null "+member] = sign(t, key, header(same), claims(func(c map[string]any) { c[member] = nil }))
			forged["object "+member] = sign(t, key, header(same), claims(func(c map[string]any) { c[member] = map[string]any{} }))
		}
		for name, change := range map[string]func(map[string]any){
			"another issuer": func(c map[string]any) { c["iss"] = authtest.Settings().Issuer + "/" }, "another audience": func(c map[string]any) { c["aud"] = authtest.Settings().Issuer },
			"no audience": func(c map[string]any) { c["aud"] = []string{} }, "a number for an audience": func(c map[string]any) { c["aud"] = 1 },
			"another subject": func(c map[string]any) { c["sub"] = uuid.NewString() }, "no session id": func(c map[string]any) { c["sid"] = "x" },
			"issued in the future":   func(c map[string]any) { c["iat"] = s.clock.Now().Add(31 * time.Second).Unix() },
			"not before":             func(c map[string]any) { c["nbf"] = s.clock.Now().Add(time.Minute).Unix() },
			"expired and foreign":    func(c map[string]any) { c["exp"] = 1; c["iss"] = "x" },
			"expired without a name": func(c map[string]any) { c["exp"] = 1; delete(c, "jti") },
		} {
			forged[name] = sign(t, key, header(same), claims(change))
		}
		another, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		forged["another key"] = sign(t, another, header(same), claims(same))
		for name, change := range map[string]func(map[string]any){
			"typ JWT": func(h map[string]any) { h["typ"] = "JWT" }, "no typ": func(h map[string]any) { delete(h, "typ") },
			"typ dpop": func(h map[string]any) { h["typ"] = "dpop+jwt" }, "no kid": func(h map[string]any) { delete(h, "kid") },
			"another kid": func(h map[string]any) { h["kid"] = "../" + kid }, "a number for a kid": func(h map[string]any) { h["kid"] = 1 },
			"crit": func(h map[string]any) { h["crit"] = []string{"exp"} }, "jku": func(h map[string]any) { h["jku"] = "https://example.com" },
			"jwk": func(h map[string]any) { h["jwk"] = map[string]any{} }, "x5u": func(h map[string]any) { h["x5u"] = "https://example.com" },
			"x5c": func(h map[string]any) { h["x5c"] = []string{} }, "zip": func(h map[string]any) { h["zip"] = "DEF" },
			"alg none": func(h map[string]any) { h["alg"] = "none" }, "alg nOnE": func(h map[string]any) { h["alg"] = "nOnE" },
			"alg ES384": func(h map[string]any) { h["alg"] = "ES384" }, "alg RS256": func(h map[string]any) { h["alg"] = "RS256" },
		} {
			forged[name] = sign(t, key, header(change), claims(same))
		}
		public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		confused := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims(same)))
		confused.Header["typ"], confused.Header["kid"] = "at+jwt", kid
		text, err := confused.SignedString(public)
		if err != nil {
			t.Fatal(err)
		}
		forged["HS256 with the public key"] = auth.Secret(text)

		token := tokens.AccessToken.Reveal()
		dot := strings.LastIndex(token, ".")
		for name, text := range map[string]string{
			"empty": "", "no signature": token[:dot+1], "no dots": strings.ReplaceAll(token, ".", ""), "four parts": token + ".x", "a space": " " + token,
			"a line end": token[:20] + "\n" + token[20:], "padding": token + "=", "trailing bits": token[:len(token)-1] + nextInAlphabet(token[len(token)-1]),
			"too long": token[:dot] + strings.Repeat("A", 5000) + token[dot:], "dots": strings.Repeat(".", 1000000), "a refresh token": tokens.RefreshToken.Reveal(),
		} {
			forged[name] = auth.Secret(text)
		}
		for name, token := range forged {
			t.Run(name, func(t *testing.T) { s.wantUnauthenticated(t, token, auth.TokenInvalid) })
		}
		s.mustAuthenticate(t, tokens.AccessToken)
	})
}

func TestAServerWhoseClockIsBehindTakesATokenOfOneThatIsAhead(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		s.clock.Advance(-5 * time.Second)
		s.mustAuthenticate(t, tokens.AccessToken)
	})
}

// parts returns the header and the claims of a token.
func parts(t *testing.T, token auth.Secret) (header, claims map[string]any) {
	t.Helper()
	segments := strings.Split(token.Reveal(), ".")
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(segments[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// sign makes a token that says anything.
func sign(t *testing.T, key *ecdsa.PrivateKey, header, claims map[string]any) auth.Secret {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims(claims))
	token.Header = header
	text, err := token.SigningString()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := jwt.SigningMethodES256.Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return auth.Secret(text + "." + base64.RawURLEncoding.EncodeToString(signature))
}

// nextInAlphabet returns the base64url digit that differs from another in its last bit only, which
// lenient decoders drop.
func nextInAlphabet(digit byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, digit)^1])
}

// signingKey opens the signing key as it is documented to be sealed: AES-256-GCM, its nonce in front,
// under a key that HKDF-SHA256 makes of the secret, bound to its place.
func (s *service) signingKey(t *testing.T) (kid string, key *ecdsa.PrivateKey) {
	t.Helper()
	keys, err := s.store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sealing, err := hkdf.Key(sha256.New, authtest.Secret, nil, "latchkey key ring seal v1", 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	for _, sealed := range keys {
		if sealed.Kind != "signing" {
			continue
		}
		plain, err := aead.Open(nil, sealed.Sealed[:12], sealed.Sealed[12:], fmt.Appendf(nil, "signing|%d|%s", sealed.Number, sealed.ID))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(plain)
		if err != nil {
			t.Fatal(err)
		}
		return sealed.ID, parsed.(*ecdsa.PrivateKey)
	}
	t.Fatal("no signing key")
	return "", nil
}
