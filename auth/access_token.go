package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const (
	accessTokenType    = "at+jwt" // RFC 9068 §2.1
	maxAccessTokenSize = 4 << 10
	// maxClockSkew is how far ahead the clock of the server that issued a token may be.
	maxClockSkew = 30 * time.Second
)

// Claims are those of an access token: RFC 9068 §2.2, the session, and the session's generation.
type Claims struct {
	jwt.RegisteredClaims
	SessionID  uuid.UUID `json:"sid"`
	Generation uint32    `json:"gen"`
	Roles      []Role    `json:"roles"`
}

// accessTokenCodec mints access tokens and verifies them, without the database.
type accessTokenCodec struct {
	keys     *KeyRing
	settings Settings
	parser   *jwt.Parser
	now      func() time.Time
}

func newAccessTokenCodec(keys *KeyRing, settings Settings, now func() time.Time) *accessTokenCodec {
	return &accessTokenCodec{
		keys: keys, settings: settings, now: now,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}), // RFC 8725 §3.1
			jwt.WithIssuer(settings.Issuer),
			jwt.WithAudience(settings.Audience),
			jwt.WithExpirationRequired(),
			jwt.WithStrictDecoding(),
			jwt.WithTimeFunc(now),
		),
	}
}

// mint returns an access token for a session as it stands, and when it expires.
func (c *accessTokenCodec) mint(state *SessionState, now time.Time) (Secret, time.Time, error) {
	id, err := newID()
	if err != nil {
		return "", time.Time{}, err
	}
	issuedAt := now.Truncate(time.Second)
	// In whole seconds, as NumericDate is here, and never past the session (RFC 9068 leaves it open).
	expiresAt := earlier(issuedAt.Add(c.settings.AccessTokenTTL), state.ExpiresAt.Truncate(time.Second))
	claims := Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    c.settings.Issuer,
			Subject:   state.UserID.String(),
			Audience:  jwt.ClaimStrings{c.settings.Audience},
			ExpiresAt: jwt.NewNumericDate(expiresAt),
			IssuedAt:  jwt.NewNumericDate(issuedAt),
			ID:        id.String(),
		},
		SessionID:  state.ID,
		Generation: state.Generation,
		Roles:      []Role{state.User.Role},
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, mintedClaims{claims, c.settings.ExtraClaims.fill(state)})
	key := c.keys.known.Load().currentSigningKey(now)
	token.Header["typ"] = accessTokenType
	token.Header["kid"] = key.kid
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign access token: %w", err)
	}
	return Secret(signed), expiresAt, nil
}

// errUnknownKey says that a token is of a key that this server does not know, or takes no more.
var errUnknownKey = errors.New("unknown key")

// verify returns the claims of an access token that this ring signed for this issuer and audience and
// that has not expired. A key that is not known is looked for in the database, unless that was done a moment ago
// (lookAgainAfter): keys are made longer than that before they are used. Whether the session is live, the database knows.
// Errors: *UnauthenticatedError, ErrUnavailable.
func (c *accessTokenCodec) verify(ctx context.Context, text Secret) (*Claims, error) {
	claims, err := c.verifyByKnown(text)
	if errors.Is(err, errUnknownKey) {
		if err := c.keys.readLately(ctx); err != nil {
			return nil, err
		}
		claims, err = c.verifyByKnown(text)
	}
	if errors.Is(err, errUnknownKey) {
		return nil, &UnauthenticatedError{Reason: TokenInvalid}
	}
	return claims, err
}

// verifyByKnown is verify without looking. Errors: errUnknownKey, *UnauthenticatedError.
func (c *accessTokenCodec) verifyByKnown(text Secret) (*Claims, error) {
	invalid := &UnauthenticatedError{Reason: TokenInvalid}
	if !isCompactJWS(text.Reveal()) {
		return nil, invalid
	}
	var claims Claims
	_, err := c.parser.ParseWithClaims(text.Reveal(), &claims, c.key)
	if errors.Is(err, errUnknownKey) {
		return nil, errUnknownKey
	}
	expired := errors.Is(err, jwt.ErrTokenExpired)
	if err != nil && !expired || claims.check(c.now()) != nil {
		return nil, invalid
	}
	if expired {
		// The parser joins what is wrong with the claims: only a token that is otherwise good is "expired".
		for _, other := range []error{
			jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenNotValidYet,
			jwt.ErrTokenRequiredClaimMissing, jwt.ErrTokenUsedBeforeIssued,
		} {
			if errors.Is(err, other) {
				return nil, invalid
			}
		}
		return nil, &UnauthenticatedError{Reason: TokenExpired}
	}
	return &claims, nil
}

// check requires the claims that the parser does not (RFC 9068 §2.2).
func (c *Claims) check(now time.Time) error {
	switch {
	case c.ExpiresAt == nil, c.IssuedAt == nil, c.ID == "", c.SessionID == uuid.Nil, c.Generation == 0, len(c.Roles) == 0:
		return errors.New("a claim is missing")
	case c.IssuedAt.After(now.Add(maxClockSkew)):
		return errors.New("issued in the future")
	}
	_, err := uuid.Parse(c.Subject)
	return err
}

// key picks the key by its exact name and refuses headers that would have a verifier look elsewhere for
// one, or understand more than this one does (RFC 8725 §3.10, §3.11; RFC 7515 §4.1.11).
func (c *accessTokenCodec) key(token *jwt.Token) (any, error) {
	for _, name := range []string{"crit", "jku", "jwk", "x5u", "x5c", "zip", "b64"} {
		if _, present := token.Header[name]; present {
			return nil, fmt.Errorf("header %s is not accepted", name)
		}
	}
	typ, _ := token.Header["typ"].(string)
	if typ = strings.ToLower(typ); typ != accessTokenType && typ != "application/"+accessTokenType {
		return nil, errors.New("not an access token")
	}
	kid, _ := token.Header["kid"].(string)
	key, ok := c.keys.known.Load().signingKeyNamed(kid, c.now(), c.settings.AccessTokenTTL)
	if !ok {
		return nil, errUnknownKey
	}
	return &key.private.PublicKey, nil
}

// isCompactJWS reports whether a text has the alphabet, the dots and at most the length of a token of
// ours. Decoders are more lenient.
func isCompactJWS(text string) bool {
	return len(text) <= maxAccessTokenSize && strings.Count(text, ".") == 2 &&
		!strings.ContainsFunc(text, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
		})
}
