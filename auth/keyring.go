package auth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The kinds of key in the ring.
const (
	signingKeyKind = "signing" // ES256, signs access tokens; its id is the `kid`
	refreshKeyKind = "refresh" // makes refresh tokens; its id is the token's key id
)

// ErrWrongSecret is returned where a stored key opens with none of the secrets.
var ErrWrongSecret = errors.New("the keys in the database were sealed with another secret")

// KeyRing is the set of keys that all servers of one database share.
type KeyRing struct {
	currentSigningKey *signingKey
	signingKeys       map[string]*signingKey // by kid
	currentRefreshKey *refreshKey
	refreshKeys       map[refreshKeyID]*refreshKey
}

// signingKey is a key pair of ES256 (RFC 7518 §3.4) and its name.
type signingKey struct {
	kid     string // the JWK thumbprint of RFC 7638
	private *ecdsa.PrivateKey
}

// OpenKeyRing reads the ring from a store, making what it lacks: on an empty database the first signing
// key and the first refresh key. However many servers do so at once, all end up with one ring.
//
// The keys are sealed with AES-256-GCM under a key derived from secret, which must have at least 32
// bytes. A key that was sealed under previous, which may be nil, is sealed anew under secret.
// Errors: ErrWrongSecret, ErrUnavailable.
func OpenKeyRing(ctx context.Context, store KeyStore, secret, previous []byte, now time.Time) (*KeyRing, error) {
	ring, err := openKeyRing(ctx, store, secret, previous, now.UTC().Truncate(time.Microsecond))
	if err != nil {
		return nil, fmt.Errorf("open key ring: %w", err)
	}
	return ring, nil
}

func openKeyRing(ctx context.Context, store KeyStore, secret, previous []byte, now time.Time) (*KeyRing, error) {
	seal, err := newSealer(secret)
	if err != nil {
		return nil, err
	}
	sealers := []*sealer{seal}
	if previous != nil {
		old, err := newSealer(previous)
		if err != nil {
			return nil, err
		}
		sealers = append(sealers, old)
	}
	stored, err := store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	added := false
	for kind, generate := range map[string]func() (id string, plain []byte, err error){
		signingKeyKind: newSigningKey, refreshKeyKind: newRefreshKeySecret,
	} {
		if hasKind(stored, kind) {
			continue
		}
		id, plain, err := generate()
		if err != nil {
			return nil, fmt.Errorf("make %s key: %w", kind, err)
		}
		key := SealedKey{Kind: kind, Number: 1, ID: id, CreatedAt: now}
		key.Sealed = seal.seal(key, plain)
		if err := store.AddKey(ctx, key); err != nil {
			return nil, err
		}
		added = true
	}
	if added { // read again: another server may have been faster
		if stored, err = store.Keys(ctx); err != nil {
			return nil, err
		}
	}
	ring := &KeyRing{signingKeys: map[string]*signingKey{}, refreshKeys: map[refreshKeyID]*refreshKey{}}
	for _, key := range stored {
		plain, by, err := open(sealers, key)
		if err != nil {
			return nil, err
		}
		if by != seal {
			resealed := key
			resealed.Sealed = seal.seal(key, plain)
			if err := store.ResealKey(ctx, resealed, key.Sealed); err != nil {
				return nil, err
			}
		}
		if err := ring.add(key, plain); err != nil {
			return nil, fmt.Errorf("%s key %s: %w", key.Kind, key.ID, err)
		}
	}
	return ring, nil
}

func hasKind(keys []SealedKey, kind string) bool {
	for _, key := range keys {
		if key.Kind == kind {
			return true
		}
	}
	return false
}

// add takes in an opened key. Keys come by number, and the last of a kind is the current one.
func (r *KeyRing) add(key SealedKey, plain []byte) error {
	switch key.Kind {
	case signingKeyKind:
		signing, err := parseSigningKey(plain)
		if err != nil {
			return err
		}
		if signing.kid != key.ID {
			return errors.New("is not the key that its id names")
		}
		r.signingKeys[signing.kid], r.currentSigningKey = signing, signing
	case refreshKeyKind:
		id, err := parseRefreshKeyID(key.ID)
		if err != nil {
			return err
		}
		refresh, err := newRefreshKey(id, plain)
		if err != nil {
			return err
		}
		r.refreshKeys[id], r.currentRefreshKey = refresh, refresh
	default: // of a newer version, which another server of this database runs
	}
	return nil
}

// refreshKeyNamed returns the refresh key with an id in its stored form.
func (r *KeyRing) refreshKeyNamed(text string) (*refreshKey, error) {
	id, err := parseRefreshKeyID(text)
	if err != nil {
		return nil, err
	}
	key, ok := r.refreshKeys[id]
	if !ok {
		return nil, fmt.Errorf("the ring of this server has no refresh key %s", id)
	}
	return key, nil
}

func parseRefreshKeyID(text string) (id refreshKeyID, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return refreshKeyID{}, errors.New("malformed refresh key id")
	}
	return refreshKeyID(raw), nil
}

func newRefreshKeySecret() (id string, plain []byte, err error) {
	var keyID refreshKeyID
	_, _ = rand.Read(keyID[:])
	plain = make([]byte, 32)
	_, _ = rand.Read(plain)
	return keyID.String(), plain, nil
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

func parseSigningKey(plain []byte) (*signingKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("is not a P-256 key")
	}
	kid, err := thumbprint(&private.PublicKey)
	return &signingKey{kid: kid, private: private}, err
}

func thumbprint(public *ecdsa.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// sealer keeps keys confidential and in their place at rest.
type sealer struct{ aead cipher.AEAD }

func newSealer(secret []byte) (*sealer, error) {
	if len(secret) < 32 {
		return nil, errors.New("the secret has fewer than 32 bytes")
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "latchkey key ring seal v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &sealer{aead}, err
}

func (s *sealer) seal(key SealedKey, plain []byte) []byte {
	return s.aead.Seal(nil, nil, plain, placeOf(key))
}

// open returns the key in its sealed form, and which of the sealers opened it.
func open(sealers []*sealer, key SealedKey) ([]byte, *sealer, error) {
	for _, s := range sealers {
		if plain, err := s.aead.Open(nil, nil, key.Sealed, placeOf(key)); err == nil {
			return plain, s, nil
		}
	}
	return nil, nil, ErrWrongSecret
}

// placeOf binds a sealed key to its row, so that rows cannot be swapped.
func placeOf(key SealedKey) []byte {
	var place bytes.Buffer
	fmt.Fprintf(&place, "%s|%d|%s", key.Kind, key.Number, key.ID)
	return place.Bytes()
}
