package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// KeyKind is what a key of the ring is for.
type KeyKind string

// The kinds of key in the ring.
const (
	SigningKey KeyKind = "signing" // ES256, signs access tokens; its id is the `kid`
	RefreshKey KeyKind = "refresh" // makes refresh tokens; its id is the token's key id
)

var keyKinds = []KeyKind{SigningKey, RefreshKey}

// KeyState is where a key is on its way.
type KeyState string

// The states of a key, in the order in which it has them.
const (
	NextKey     KeyState = "next"     // published, so that everybody knows it before it is used
	CurrentKey  KeyState = "current"  // new tokens are made with it
	PreviousKey KeyState = "previous" // its tokens are good, but no new ones are made with it
	RetiredKey  KeyState = "retired"  // none of its tokens can be alive, and none is taken
	RevokedKey  KeyState = "revoked"  // none of its tokens is taken from when it was
)

// Key is what is known of a key of the ring, but for the key itself.
type Key struct {
	Kind      KeyKind
	ID        string
	State     KeyState
	CreatedAt time.Time
	ActiveAt  time.Time // from when new tokens are made with it
	RevokedAt *time.Time
}

const (
	// publishedAhead is how long a new key is known before it is used: as long as verifiers keep what is published
	// (PublishedFor), and what servers and clocks are late by.
	publishedAhead = 10 * time.Minute
	// publishedAtOnce is that where verifiers are not waited for: many times lookAgainAfter, which servers rely on.
	publishedAtOnce = 2 * time.Second
	// PublishedFor is how long verifiers may keep the public keys.
	PublishedFor = 5 * time.Minute
	// acceptedAfter is how long a signing key is known beyond the last of its access tokens: servers that are late
	// sign with it a little longer.
	acceptedAfter = 2 * time.Minute
	// keptAfterRetirement is how long a retired signing key is listed before it is deleted. Refresh keys stay: by them
	// a token is recognised that was stolen long ago.
	keptAfterRetirement = 24 * time.Hour
)

// signingKey is a key pair of ES256 (RFC 7518 §3.4) and its name.
type signingKey struct {
	kid     string // the JWK thumbprint of RFC 7638
	private *ecdsa.PrivateKey
	jwk     jose.JSONWebKey // the public half
}

func newSigningKey() (id string, plain []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, err
	}
	plain, err = x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", nil, err
	}
	kid, err := thumbprint(&private.PublicKey)
	return kid, plain, err
}

func parseSigningKey(id string, plain []byte) (*signingKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("is not a P-256 key")
	}
	kid, err := thumbprint(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	if kid != id {
		return nil, errors.New("is not the key that its id names")
	}
	return &signingKey{kid: kid, private: private, jwk: jose.JSONWebKey{
		Key: &private.PublicKey, KeyID: kid, Algorithm: string(jose.ES256), Use: "sig",
	}}, nil
}

func thumbprint(public *ecdsa.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

func newRefreshKeySecret() (id string, plain []byte, err error) {
	var keyID refreshKeyID
	_, _ = rand.Read(keyID[:])
	plain = make([]byte, 32)
	_, _ = rand.Read(plain)
	return keyID.String(), plain, nil
}

func parseRefreshKey(id string, plain []byte) (*refreshKey, error) {
	keyID, err := parseRefreshKeyID(id)
	if err != nil {
		return nil, err
	}
	return newRefreshKey(keyID, plain)
}

func parseRefreshKeyID(text string) (id refreshKeyID, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return refreshKeyID{}, errors.New("malformed refresh key id")
	}
	return refreshKeyID(raw), nil
}

// newKey makes a key of a kind, sealed.
func newKey(kind KeyKind, number int, seal *sealer, created, active time.Time) (SealedKey, error) {
	generate := newRefreshKeySecret
	if kind == SigningKey {
		generate = newSigningKey
	}
	id, plain, err := generate()
	if err != nil {
		return SealedKey{}, fmt.Errorf("make %s key: %w", kind, err)
	}
	key := SealedKey{Kind: kind, Number: number, ID: id, CreatedAt: created, ActiveAt: active}
	key.Sealed = seal.seal(key, plain)
	return key, nil
}
