package auth_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db"
	"latchkey/db/dbtest"
	"latchkey/internal/leaks"
)

func TestEightServersThatStartAtOnceShareOneRing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		const servers = 8
		var group sync.WaitGroup
		stores, errs := make([]*db.Store, servers), make([]error, servers)
		for i := range servers {
			group.Go(func() {
				stores[i], errs[i] = db.Open(t.Context(), db.Options{URL: url, Timeout: 30 * time.Second, Log: leaks.Log()})
				if errs[i] == nil {
					_, errs[i] = auth.OpenKeyRing(t.Context(), stores[i], authtest.Secret, nil, time.Now())
				}
			})
		}
		group.Wait()
		for i := range servers {
			if errs[i] != nil {
				t.Fatalf("server %d: %v", i, errs[i])
			}
			defer func() { _ = stores[i].Close() }()
		}
		keys, err := stores[0].Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want(t, "keys", len(keys), 2)
	})
}

func TestAnotherSecretDoesNotOpenTheRing(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		_, err := auth.OpenKeyRing(t.Context(), s.store, []byte("another secret that is long enough too"), nil, time.Now())
		want(t, "wrong secret", errors.Is(err, auth.ErrWrongSecret), true)
		_, err = auth.OpenKeyRing(t.Context(), s.store, []byte("short"), nil, time.Now())
		want(t, "short secret", err != nil, true)
	})
}

func TestASecretIsChangedWhileItsPredecessorIsGiven(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		next := []byte("the secret that comes after, long enough")
		for _, previous := range [][]byte{authtest.Secret, nil} { // once to seal anew, then without
			ring, err := auth.OpenKeyRing(t.Context(), s.store, next, previous, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			svc, err := auth.New(s.store, ring, authtest.Settings(), s.clock.Now, leaks.Log())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := svc.Authenticate(t.Context(), tokens.AccessToken); err != nil {
				t.Fatal(err)
			}
		}
		_, err := auth.OpenKeyRing(t.Context(), s.store, authtest.Secret, nil, time.Now())
		want(t, "the old secret", errors.Is(err, auth.ErrWrongSecret), true)
	})
}

func TestTheKeyIDIsTheThumbprintOfRFC7638(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		kid, key := s.signingKey(t)
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		encode := base64.RawURLEncoding.EncodeToString
		sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, encode(point[1:33]), encode(point[33:])))
		want(t, "kid", kid, encode(sum[:]))
	})
}

func TestASealedKeyOpensOnlyInItsPlace(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		mustExec(t, s.sql(t), `UPDATE keys SET number = 2 WHERE kind = 'refresh'`)
		_, err := auth.OpenKeyRing(t.Context(), s.store, authtest.Secret, nil, time.Now())
		want(t, "wrong secret", errors.Is(err, auth.ErrWrongSecret), true)
	})
}

func TestNoKeyIsStoredInTheClear(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		_, key := s.signingKey(t)
		private, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		keys, err := s.store.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, stored := range keys {
			want(t, "in the clear", bytes.Contains(stored.Sealed, private), false)
		}
	})
}

func TestASecretIsNeverPrinted(t *testing.T) {
	const canary = "canary-7f3a"
	tokens := struct{ Token auth.Secret }{canary}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", tokens.Token, "struct", tokens)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", tokens.Token, "struct", tokens)
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&log, verb+" "+verb+"\n", tokens.Token, tokens)
	}
	want(t, "printed", bytes.Contains(log.Bytes(), []byte(canary)), false)
	want(t, "printed in hexadecimal", bytes.Contains(bytes.ToLower(log.Bytes()), fmt.Appendf(nil, "%x", canary)), false)
}
