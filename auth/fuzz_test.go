package auth_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db/dbtest"
)

// signedIn returns a service with one session, and its tokens.
func signedIn(f *testing.F) (*auth.Service, *auth.Tokens) {
	f.Helper()
	service, _ := authtest.NewService(f, authtest.Options{URL: dbtest.SQLite(f)})
	tokens, err := service.SignUp(f.Context(), auth.SignUpRequest{Email: email, Password: password}, client)
	if err != nil {
		f.Fatal(err)
	}
	return service, tokens
}

// addSpellings seeds a fuzzer with a genuine token and what looks like it. A run draws another token, so
// the kept corpus has the shapes: %s stands for the token.
func addSpellings(f *testing.F, other auth.Secret) {
	for _, shape := range []string{
		"%s", "%s ", " %s", "%s\n", "%s=", "%s%s", "%s.", "Bearer %s", "lkr1.%s", "lkr2.", "lkr1.", "", "\x00%s", "..", "a.b.c",
		"eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.", other.Reveal(), strings.Repeat("A", 101), "lkr1." + strings.Repeat("_", 96),
	} {
		f.Add(shape, uint16(0), byte(0))
		f.Add(shape, uint16(5), byte(1))
		f.Add(shape, uint16(90), byte(0x80))
	}
}

// spell puts the genuine token into a shape and flips bits of one byte.
func spell(shape string, token auth.Secret, at uint16, bits byte) auth.Secret {
	text := []byte(strings.Replace(shape, "%s", token.Reveal(), 1))
	if len(text) > 0 {
		text[int(at)%len(text)] ^= bits
	}
	return auth.Secret(text)
}

func FuzzOnlyTheVeryRefreshTokenIsTaken(f *testing.F) {
	service, tokens := signedIn(f)
	addSpellings(f, tokens.AccessToken)
	f.Fuzz(func(t *testing.T, shape string, at uint16, bits byte) {
		text := spell(shape, tokens.RefreshToken, at, bits)
		_, err := service.Refresh(t.Context(), text, client)
		if text.Reveal() == tokens.RefreshToken.Reveal() {
			if err != nil { // each time: its successor is never used
				t.Fatalf("the genuine token is refused: %v", err)
			}
		} else if !errors.Is(err, auth.ErrInvalidRefreshToken) {
			t.Fatalf("got %v, want refused", err)
		}
		if _, err := service.Authenticate(t.Context(), tokens.AccessToken); err != nil {
			t.Fatalf("the session has ended: %v", err)
		}
	})
}

func FuzzOnlyTheVeryAccessTokenIsTaken(f *testing.F) {
	service, tokens := signedIn(f)
	addSpellings(f, tokens.RefreshToken)
	f.Fuzz(func(t *testing.T, shape string, at uint16, bits byte) {
		text := spell(shape, tokens.AccessToken, at, bits)
		_, err := service.Authenticate(t.Context(), text)
		if text.Reveal() == tokens.AccessToken.Reveal() {
			if err != nil {
				t.Fatalf("the genuine token is refused: %v", err)
			}
			return
		}
		if _, refused := errors.AsType[*auth.UnauthenticatedError](err); !refused {
			t.Fatalf("got %v, want refused", err)
		}
	})
}

func FuzzAnAddressHasOneNormalForm(f *testing.F) {
	for _, typed := range []string{
		"ada@example.com", "Ada@EXAMPLE.com", "ADA@bücher.example", "a\u0301@example.com", "İ@example.com", "a@xn--bcher-kva.example",
		`"a b"@example.com`, "a@b@c", "a@[127.0.0.1]", "a+tag@example.com", "a@example.com ", "a\x00@example.com", "\xff@example.com",
		strings.Repeat("İ", 32) + "@example.com", "a@" + strings.Repeat("ü", 60) + ".example", "a@ß.example", "a@。", "ﬁ@example.com", "Ⅷ@Ⅷ.example",
	} {
		f.Add(typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		normal, err := auth.NormalizeEmail(typed)
		if err != nil {
			if _, invalid := errors.AsType[*auth.InvalidInputError](err); !invalid {
				t.Fatalf("got %v, want an input error", err)
			}
			return
		}
		if again, err := auth.NormalizeEmail(normal); again != normal {
			t.Fatalf("%q becomes %q, and that %q, %v", typed, normal, again, err)
		}
		if len(normal) > 254 || !utf8.ValidString(normal) || strings.ContainsAny(normal, "\x00\r\n\t ") {
			t.Fatalf("%q becomes %q", typed, normal)
		}
	})
}
