package auth

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"latchkey/token"
)

// MaxClockSkew is how far the clocks of servers, and that of their database, may differ.
const MaxClockSkew = token.MaxClockSkew

// accessTokenCodec mints access tokens and verifies them, without asking the database for their sessions.
type accessTokenCodec struct {
	keys     *KeyRing
	settings Settings
	now      func() time.Time
	verifier *token.Verifier
	retired  *token.Verifier // knows retired keys only: whose tokens are expired, or forged with a key that leaked
	verified *verifiedTokens
}

func newAccessTokenCodec(keys *KeyRing, settings Settings, now func() time.Time) (*accessTokenCodec, error) {
	verified, err := newVerifiedTokens()
	if err != nil {
		return nil, err
	}
	verifier := func(wantRetired bool) *token.Verifier {
		return token.New(settings.Issuer, settings.Audience, func(kid string) (*ecdsa.PublicKey, error) {
			signing, retired := keys.known.Load().signingKeyNamed(kid, now(), settings.AccessTokenTTL)
			if signing == nil || retired != wantRetired {
				return nil, token.ErrUnknownKey
			}
			return &signing.private.PublicKey, nil
		}, now)
	}
	return &accessTokenCodec{
		keys: keys, settings: settings, now: now,
		verifier: verifier(false), retired: verifier(true), verified: verified,
	}, nil
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
	claims := token.Claims{
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
		Roles:      []string{string(state.User.Role)},
	}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodES256, mintedClaims{claims, c.settings.ExtraClaims.fill(state)})
	key := c.keys.known.Load().currentSigningKey(now)
	unsigned.Header["typ"] = token.Type
	unsigned.Header["kid"] = key.kid
	signed, err := unsigned.SignedString(key.private)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign access token: %w", err)
	}
	return Secret(signed), expiresAt, nil
}

// verify returns what an access token says that this ring signed for this issuer and audience and
// that has not expired. A key that is not known is looked for in the database, unless that was done a moment ago
// (lookAgainAfter): keys are made longer than that before they are used. Whether the session is live, the database knows.
// Errors: *UnauthenticatedError, ErrUnavailable.
func (c *accessTokenCodec) verify(ctx context.Context, text Secret) (verifiedToken, error) {
	if known, ok := c.verified.get(text); ok && c.stillGood(known) {
		return known, nil
	}
	claims, err := c.verifier.Verify(text.Reveal())
	if errors.Is(err, token.ErrUnknownKey) {
		if _, err := c.retired.Verify(text.Reveal()); errors.Is(err, token.ErrExpired) {
			return verifiedToken{}, &UnauthenticatedError{Reason: TokenExpired}
		}
		if err := c.keys.readLately(ctx); err != nil {
			return verifiedToken{}, err
		}
		claims, err = c.verifier.Verify(text.Reveal())
	}
	switch {
	case errors.Is(err, token.ErrExpired):
		return verifiedToken{}, &UnauthenticatedError{Reason: TokenExpired}
	case err != nil:
		return verifiedToken{}, &UnauthenticatedError{Reason: TokenInvalid}
	}
	userID, err := uuid.Parse(claims.Subject)
	if err != nil {
		return verifiedToken{}, &UnauthenticatedError{Reason: TokenInvalid}
	}
	verified := verifiedToken{
		sessionID: claims.SessionID, userID: userID, generation: claims.Generation,
		issuedAt: claims.IssuedAt.Unix(), expiresAt: claims.ExpiresAt.Unix(),
	}
	copy(verified.signedWith[:], claims.KeyID())
	c.verified.add(text, verified)
	return verified, nil
}

// stillGood reports whether what was true of a token when it was verified is true now. Where it is not, verifying it
// again says why.
func (c *accessTokenCodec) stillGood(known verifiedToken) bool {
	now := c.now()
	key, retired := c.keys.known.Load().signingKeyNamed(known.kid(), now, c.settings.AccessTokenTTL)
	return key != nil && !retired && !known.isExpired(now) && !known.isEarly(now)
}
