// Package token is the format of the access tokens: what stands in one, and when one is good. It is one for the servers
// and for the services that verify tokens elsewhere (package verify).
package token

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const (
	// Type is the `typ` of an access token (RFC 9068 §2.1).
	Type = "at+jwt"
	// MaxClockSkew is how far ahead the clock of the server that issued a token may be.
	MaxClockSkew = 30 * time.Second

	maxSize = 4 << 10
)

// Claims are those of an access token: RFC 9068 §2.2, the session, and the session's generation.
type Claims struct {
	jwt.RegisteredClaims
	SessionID  uuid.UUID `json:"sid"`
	Generation uint32    `json:"gen"`
	Roles      []string  `json:"roles"`

	kid string
	all json.RawMessage
}

// KeyID returns the `kid` of the key that signed the token.
func (c *Claims) KeyID() string { return c.kid }

// UnmarshalJSON implements json.Unmarshaler.
func (c *Claims) UnmarshalJSON(text []byte) error {
	type plain Claims
	if err := json.Unmarshal(text, (*plain)(c)); err != nil {
		return err
	}
	c.all = bytes.Clone(text)
	return nil
}

// Claim reads a further claim, such as CLAIMS_FILE adds, into what a pointer points to, and reports whether it is there.
func (c *Claims) Claim(name string, into any) (bool, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(c.all, &members); err != nil {
		return false, err
	}
	value, ok := members[name]
	if !ok {
		return false, nil
	}
	return true, json.Unmarshal(value, into)
}

var (
	// ErrInvalid says that a text is no access token of this issuer, for this audience, by one of its keys.
	ErrInvalid = errors.New("not a valid access token")
	// ErrExpired says that it was one.
	ErrExpired = errors.New("the access token has expired")
	// ErrUnknownKey is what a Verifier's Key returns for a `kid` that it does not know.
	ErrUnknownKey = errors.New("unknown key")
)

// Verifier verifies access tokens offline. New makes one. It is safe for concurrent use.
type Verifier struct {
	key    func(kid string) (*ecdsa.PublicKey, error)
	now    func() time.Time
	parser *jwt.Parser
}

// New returns a Verifier of the tokens of an issuer for an audience. Key returns the public key with an id, which it must
// know by itself, or ErrUnknownKey; now is the time.
func New(issuer, audience string, key func(kid string) (*ecdsa.PublicKey, error), now func() time.Time) *Verifier {
	return &Verifier{key: key, now: now, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}), // RFC 8725 §3.1
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(now),
	)}
}

// Verify returns the claims of an access token. Whether its session is live they do not say.
// Errors: ErrInvalid, ErrExpired, ErrUnknownKey.
func (v *Verifier) Verify(text string) (*Claims, error) {
	if !isCompactJWS(text) {
		return nil, ErrInvalid
	}
	var claims Claims
	parsed, err := v.parser.ParseWithClaims(text, &claims, v.keyOf)
	if errors.Is(err, ErrUnknownKey) {
		return nil, ErrUnknownKey
	}
	expired := errors.Is(err, jwt.ErrTokenExpired)
	if err != nil && !expired || claims.check(v.now()) != nil {
		return nil, ErrInvalid
	}
	if expired {
		// The parser joins what is wrong with the claims: only a token that is otherwise good is "expired".
		for _, other := range []error{
			jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenNotValidYet,
			jwt.ErrTokenRequiredClaimMissing, jwt.ErrTokenUsedBeforeIssued,
		} {
			if errors.Is(err, other) {
				return nil, ErrInvalid
			}
		}
		return nil, ErrExpired
	}
	claims.kid, _ = parsed.Header["kid"].(string)
	return &claims, nil
}

// check requires the claims that the parser does not (RFC 9068 §2.2).
func (c *Claims) check(now time.Time) error {
	switch {
	case c.ExpiresAt == nil, c.IssuedAt == nil, c.ID == "", c.SessionID == uuid.Nil, c.Generation == 0, len(c.Roles) == 0:
		return errors.New("a claim is missing")
	case c.IssuedAt.After(now.Add(MaxClockSkew)):
		return errors.New("issued in the future")
	}
	_, err := uuid.Parse(c.Subject)
	return err
}

// keyOf picks the key by its exact name and refuses headers that would have a verifier look elsewhere for
// one, or understand more than this one does (RFC 8725 §3.10, §3.11; RFC 7515 §4.1.11).
func (v *Verifier) keyOf(parsed *jwt.Token) (any, error) {
	for _, name := range []string{"crit", "jku", "jwk", "x5u", "x5c", "zip", "b64"} {
		if _, present := parsed.Header[name]; present {
			return nil, fmt.Errorf("header %s is not accepted", name)
		}
	}
	typ, _ := parsed.Header["typ"].(string)
	if typ = strings.ToLower(typ); typ != Type && typ != "application/"+Type {
		return nil, errors.New("not an access token")
	}
	kid, _ := parsed.Header["kid"].(string)
	return v.key(kid)
}

// isCompactJWS reports whether a text has the alphabet, the dots and at most the length of a token of
// ours. Decoders are more lenient.
func isCompactJWS(text string) bool {
	return len(text) <= maxSize && strings.Count(text, ".") == 2 &&
		!strings.ContainsFunc(text, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
		})
}
