package auth_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"

	"latchkey/auth"
	"latchkey/auth/authtest"
)

func (s *service) login(t *testing.T, email string, password auth.Secret) error {
	t.Helper()
	_, err := s.Login(t.Context(), auth.LoginRequest{Email: email, Password: password}, client)
	return err
}

func (s *service) signUp(t *testing.T, email string, password auth.Secret) error {
	t.Helper()
	_, err := s.SignUp(t.Context(), auth.SignUpRequest{Email: email, Password: password}, client)
	return err
}

func TestAnAddressSignsUpOnceHoweverItIsSpelt(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.mustSignUp(t, "Zoë@Example.com")
		for _, same := range []string{"zoë@example.com", "ZOË@EXAMPLE.COM", "zoe\u0308@example.com"} {
			if err := s.signUp(t, same, password); !errors.Is(err, auth.ErrEmailTaken) {
				t.Fatalf("got %v, want the address taken", err)
			}
			s.mustLogin(t, same)
		}
		s.mustSignUp(t, "zoë@bücher.example")
		if err := s.signUp(t, "zoë@xn--bcher-kva.example", password); !errors.Is(err, auth.ErrEmailTaken) {
			t.Fatalf("got %v, want the address taken", err)
		}
	})
}

func TestWhatIsNoAddressIsRefusedAndNotRepeated(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		for _, typed := range []string{
			"", "ada", "@example.com", "ada@", "ada@example.com, eve@example.com", "Ada <ada@example.com>", "ada@example.com\x00",
			"ada@example.com\r\nBcc: eve@example.com", "ada@exa mple.com", "\xff@example.com", strings.Repeat("a", 65) + "@example.com",
			strings.Repeat("a", 10000) + "@example.com",
		} {
			for _, err := range []error{s.signUp(t, typed, password), s.login(t, typed, password)} {
				invalid, ok := errors.AsType[*auth.InvalidInputError](err)
				if !ok || invalid.Field != "email" {
					t.Fatalf("got %v, want an invalid email", err)
				}
				if typed != "" && strings.Contains(err.Error(), typed) {
					t.Fatal("the error repeats the input")
				}
			}
		}
		page, err := s.Users(t.Context(), "", 10, nil)
		if err != nil || len(page.Users) != 0 {
			t.Fatalf("got %v, %v, want none", page, err)
		}
	})
}

func TestAPasswordThatCanBeGuessedIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		name := "Ada Lovelace"
		for typed, problem := range map[auth.Secret]string{
			"passwordpassword":                  "attackers try first",
			"PasswordPassWord":                  "attackers try first",
			"1234567890987654321":               "attackers try first",
			"aaaaaaaaaaaaaaa":                   "attackers try first",
			"abcabcabcabcabcabc":                "attackers try first",
			"qwertyqwertyqwe":                   "attackers try first",
			"dragondragondragondragon":          "attackers try first",
			"ada@example.com":                   "e-mail address",
			"ADA@Example.com1234":               "e-mail address",
			"Ada Lovelace 1815":                 "name",
			"lovelacelovelace!":                 "name",
			"LatchkeyLatchkey1":                 "name of this service",
			"Ada Lovelace 1815 ada@example.com": "name",
		} {
			_, err := s.SignUp(t.Context(), auth.SignUpRequest{Email: "Ada@example.com", Password: typed, Name: &name}, client)
			weak, ok := errors.AsType[*auth.WeakPasswordError](err)
			if !ok || !strings.Contains(weak.Problem, problem) {
				t.Errorf("%s: got %v, want a password refused for: %s", typed.Reveal(), err, problem)
			}
		}
		for _, typed := range []auth.Secret{"countess.lovelace!", "mail.example.org-1815", "auth.example.com-1815"} {
			if err := s.signUp(t, "countess.lovelace@mail.example.org", typed); !isWeak(err) {
				t.Errorf("%s: got %v, want a weak password", typed.Reveal(), err)
			}
		}
		for i, typed := range []auth.Secret{
			"my password is none of the usual ones", "ada lovelace was right about machines", "passwordpasswordpassworx", "aaaaaaaaaaaaaab",
		} {
			_, err := s.SignUp(t.Context(), auth.SignUpRequest{Email: fmt.Sprintf("ada%d@example.com", i), Password: typed, Name: &name}, client)
			if err != nil {
				t.Errorf("%s: %v", typed.Reveal(), err)
			}
		}
	})
}

func TestTheLongestOfTheCommonPasswordsAreRefused(t *testing.T) {
	text, err := os.ReadFile("passwords/common.txt")
	if err != nil {
		t.Fatal(err)
	}
	passwords := strings.Fields(string(text))
	slices.SortFunc(passwords, func(a, b string) int { return len(b) - len(a) })
	each(t, func(t *testing.T, s *service) {
		for _, typed := range passwords[:20] {
			if err := s.signUp(t, email, auth.Secret(typed)); !isWeak(err) {
				t.Errorf("%s: got %v, want a weak password", typed, err)
			}
		}
	})
}

func TestAPasswordIsCountedInCharactersAndNeverCut(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		for _, short := range []auth.Secret{"", "14 characters.", auth.Secret(strings.Repeat("🔑", 14)), auth.Secret(strings.Repeat("e\u0301", 14))} {
			if _, ok := errors.AsType[*auth.WeakPasswordError](s.signUp(t, email, short)); !ok {
				t.Fatal("a password of 14 characters was taken")
			}
		}
		for _, impossible := range []auth.Secret{auth.Secret(strings.Repeat("a", 1025)), "a password with \x00 NUL", "not UTF-8 at all \xff\xfe"} {
			if _, ok := errors.AsType[*auth.InvalidInputError](s.signUp(t, email, impossible)); !ok {
				t.Fatal("an impossible password was taken")
			}
			if err := s.login(t, email, impossible); !errors.Is(err, auth.ErrInvalidCredentials) {
				t.Fatalf("got %v, want invalid credentials", err)
			}
		}
		long := auth.Secret(strings.Repeat("a", 1023))
		for address, typed := range map[string]auth.Secret{
			"fifteen@example.com": auth.Secret(strings.Repeat("🔑", 15)),
			"spaces@example.com":  "               ",
			"long@example.com":    long + "b",
		} {
			if err := s.signUp(t, address, typed); err != nil {
				t.Fatalf("%s: %v", address, err)
			}
			if err := s.login(t, address, typed); err != nil {
				t.Fatalf("%s: %v", address, err)
			}
		}
		for address, typed := range map[string]auth.Secret{
			"spaces@example.com": "                ", "long@example.com": long + "c",
		} {
			if err := s.login(t, address, typed); !errors.Is(err, auth.ErrInvalidCredentials) {
				t.Fatalf("%s: got %v, want invalid credentials", address, err)
			}
		}
	})
}

func TestAPasswordIsOneHoweverAKeyboardComposesIt(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		if err := s.signUp(t, email, "ein schönes Passwort"); err != nil {
			t.Fatal(err)
		}
		if err := s.login(t, email, "ein scho\u0308nes Passwort"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNobodyLearnsWhetherThereIsAnAccount(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.mustSignUp(t, email)
		s.mustSignUp(t, "disabled@example.com")
		if _, err := s.disable(t, "disabled@example.com"); err != nil {
			t.Fatal(err)
		}
		wrong := s.login(t, email, "a wrong password, quite long")
		unknown := s.login(t, "nobody@example.com", password)
		disabled := s.login(t, "disabled@example.com", password)
		for _, err := range []error{wrong, unknown, disabled} {
			want(t, "invalid credentials", errors.Is(err, auth.ErrInvalidCredentials), true)
			want(t, "message", err.Error(), wrong.Error())
		}
	})
}

func TestAPasswordIsStoredAsArgon2idWithFixedCosts(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.mustSignUp(t, email)
		s.mustSignUp(t, "grace@example.com")
		var hashes []string
		if err := s.sql(t).Select(&hashes, `SELECT password_hash FROM users`); err != nil {
			t.Fatal(err)
		}
		for _, hash := range hashes {
			want(t, "parameters", strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$"), true)
			match, err := argon2id.ComparePasswordAndHash(password.Reveal(), hash)
			want(t, "another implementation finds it right", match, true)
			want(t, "its error", err, nil)
		}
		want(t, "one password, two hashes", hashes[0] != hashes[1], true)
	})
}

func TestHashesFromElsewhereLetInAndAreRenewed(t *testing.T) {
	brought := bcryptHash(t, password)
	weak := argon2idHash(t, argon2id.Params{Memory: 8 << 10, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	for name, hash := range map[string]string{
		"bcrypt 2a": brought, "bcrypt 2b": "$2b" + brought[3:], "bcrypt 2y": "$2y" + brought[3:], "weaker argon2id": weak,
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *service) {
				s.mustSignUp(t, email)
				mustExec(t, s.sql(t), `UPDATE users SET password_hash = ?`, hash)
				if err := s.login(t, email, "a wrong password, quite long"); !errors.Is(err, auth.ErrInvalidCredentials) {
					t.Fatalf("got %v, want invalid credentials", err)
				}
				want(t, "hash after a wrong password", s.passwordHash(t), hash)
				s.mustLogin(t, email)
				want(t, "renewed", strings.HasPrefix(s.passwordHash(t), "$argon2id$v=19$m=19456,t=2,p=1$"), true)
				s.mustLogin(t, email)
			})
		})
	}
}

func TestHashesFromElsewhereThatCostAsMuchOrMoreAreKept(t *testing.T) {
	for name, params := range map[string]argon2id.Params{
		"as much": {Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		"more":    {Memory: 32 << 10, Iterations: 3, Parallelism: 4, SaltLength: 32, KeyLength: 64},
	} {
		t.Run(name, func(t *testing.T) {
			hash := argon2idHash(t, params)
			each(t, func(t *testing.T, s *service) {
				s.mustSignUp(t, email)
				mustExec(t, s.sql(t), `UPDATE users SET password_hash = ?`, hash)
				if err := s.login(t, email, "a wrong password, quite long"); !errors.Is(err, auth.ErrInvalidCredentials) {
					t.Fatalf("got %v, want invalid credentials", err)
				}
				s.mustLogin(t, email)
				want(t, "hash", s.passwordHash(t), hash)
			})
		})
	}
}

func argon2idHash(t *testing.T, params argon2id.Params) string {
	t.Helper()
	hash, err := argon2id.CreateHash(password.Reveal(), &params)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestABcryptHashOfALongPasswordLetsItIn(t *testing.T) {
	long := auth.Secret(strings.Repeat("long ", 20))
	each(t, func(t *testing.T, s *service) {
		if err := s.signUp(t, email, long); err != nil {
			t.Fatal(err)
		}
		mustExec(t, s.sql(t), `UPDATE users SET password_hash = ?`, bcryptHash(t, long[:72]))
		if err := s.login(t, email, long); err != nil {
			t.Fatal(err)
		}
	})
}

func bcryptHash(t *testing.T, password auth.Secret) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password.Reveal()), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func (s *service) passwordHash(t *testing.T) string {
	t.Helper()
	var hash string
	if err := s.sql(t).Get(&hash, `SELECT password_hash FROM users`); err != nil {
		t.Fatal(err)
	}
	return hash
}

// Who waits for a turn to hash is about to do the work: so unknown and disabled users cost it too. The
// turn does not come, since the caller has hung up.
func TestEverybodyWaitsForAHashAndTheWaitEndsWithTheRequest(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.mustSignUp(t, email)
		s.mustSignUp(t, "disabled@example.com")
		if _, err := s.disable(t, "disabled@example.com"); err != nil {
			t.Fatal(err)
		}
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		for _, address := range []string{email, "disabled@example.com", "nobody@example.com"} {
			_, err := s.Login(gone, auth.LoginRequest{Email: address, Password: password}, client)
			want(t, address, errors.Is(err, auth.ErrUnavailable), true)
		}
	})
}

func TestSignUpCanBeClosed(t *testing.T) {
	closed := authtest.Settings()
	closed.SignUpClosed = true
	eachWith(t, authtest.Options{Settings: &closed}, func(t *testing.T, s *service) {
		if err := s.signUp(t, email, password); !errors.Is(err, auth.ErrSignUpClosed) {
			t.Fatalf("got %v, want sign-up closed", err)
		}
		if _, err := s.AddUser(t.Context(), email, password, auth.RoleUser); err != nil {
			t.Fatal(err)
		}
		s.mustLogin(t, email)
	})
}

func TestDisablingAUserEndsAllSessionsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first, second, other := s.mustSignUp(t, email), s.mustLogin(t, email), s.mustSignUp(t, "grace@example.com")
		ended, err := s.disable(t, "ADA@example.com")
		if err != nil || ended != 2 {
			t.Fatalf("ended %d sessions, %v, want 2", ended, err)
		}
		for _, tokens := range []*auth.Tokens{first, second} {
			s.wantUnauthenticated(t, tokens.AccessToken, auth.SessionEnded)
			s.wantEnded(t, tokens.RefreshToken, auth.UserDisabled)
		}
		s.mustAuthenticate(t, other.AccessToken)
		if ended, err := s.disable(t, email); err != nil || ended != 0 {
			t.Fatalf("ended %d sessions, %v, want none", ended, err)
		}
		if _, err := s.disable(t, "nobody@example.com"); err == nil {
			t.Fatal("disabled nobody")
		}
	})
}

func TestASessionThatBeganWhileItsUserWasBeingDisabledIsDead(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		// What DisableUser leaves behind if the session is committed right after it looked for sessions.
		mustExec(t, s.sql(t), `UPDATE users SET disabled_at = created_at`)
		s.wantUnauthenticated(t, tokens.AccessToken, auth.SessionEnded)
		s.wantEnded(t, tokens.RefreshToken, auth.UserDisabled)
		want(t, "generation", s.state(t, tokens.Session.ID).Generation, 1)
	})
}

func TestLabelsAreTrimmedAndBounded(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		blank, name, long, control := "  ", " Ada's phone ", strings.Repeat("x", 201), "a\x07b"
		tokens, err := s.SignUp(t.Context(), auth.SignUpRequest{Email: email, Password: password, Name: &blank, DeviceName: &name}, client)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "no name", tokens.User.Name == nil, true)
		want(t, "device", *s.mustAuthenticate(t, tokens.AccessToken).Session.DeviceName, "Ada's phone")
		for _, refused := range []*string{&long, &control} {
			_, err := s.Login(t.Context(), auth.LoginRequest{Email: email, Password: password, DeviceName: refused}, client)
			if invalid, ok := errors.AsType[*auth.InvalidInputError](err); !ok || invalid.Field != "deviceName" {
				t.Fatalf("got %v, want an invalid deviceName", err)
			}
		}
	})
}

func TestAUserSeesTheLiveSessionsAndWhichOneIsCurrent(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		s.clock.Advance(time.Minute)
		second := s.mustLogin(t, email)
		s.clock.Advance(time.Minute)
		third := s.mustLogin(t, email)
		principal := s.mustAuthenticate(t, first.AccessToken)
		if _, err := s.RevokeSession(t.Context(), principal, third.Session.ID, client); err != nil {
			t.Fatal(err)
		}
		sessions, err := s.Sessions(t.Context(), &principal.User)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "sessions", len(sessions), 2)
		want(t, "last used first", sessions[0].ID, second.Session.ID)
		want(t, "another", sessions[0].Current, false)
		want(t, "current", sessions[1].Current, true)
		want(t, "address", *sessions[1].IP, client.IP)
		want(t, "program", *sessions[1].UserAgent, client.UserAgent)
	})
}
