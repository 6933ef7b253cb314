package auth

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrWrongSecret is returned where a stored key opens with none of the secrets.
var ErrWrongSecret = errors.New("the keys in the database were sealed with another secret")

// sealer keeps keys confidential and in their place at rest.
type sealer struct{ aead cipher.AEAD }

// newSealers returns that of a secret, with which keys are sealed, and that of the one before, if there is one.
func newSealers(secret, previous []byte) ([]*sealer, error) {
	current, err := newSealer(secret)
	if err != nil {
		return nil, err
	}
	if previous == nil {
		return []*sealer{current}, nil
	}
	old, err := newSealer(previous)
	return []*sealer{current, old}, err
}

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
