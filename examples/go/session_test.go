package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"latchkey/examples/go/api"
	"latchkey/examples/go/session"
)

// reopen returns the session that a store keeps, as the next start of a program does, after a change of what is kept.
func reopen(t *testing.T, settings session.Settings, change func(*session.Tokens)) *session.Session {
	t.Helper()
	tokens, err := settings.Store.Load()
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&tokens)
		if err := settings.Store.Save(tokens); err != nil {
			t.Fatal(err)
		}
	}
	s, err := session.Open(settings)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// expired makes the access token one that has expired, as far as the client knows.
func expired(tokens *session.Tokens) { age(tokens, 6*time.Minute) }

// due makes it one that will expire soon.
func due(tokens *session.Tokens) { age(tokens, 5*time.Minute-10*time.Second) }

func age(tokens *session.Tokens, by time.Duration) {
	tokens.ReceivedAt = time.Now().Add(-by)
	tokens.AccessTokenExpiresAt = tokens.ReceivedAt.Add(5 * time.Minute)
}

// fifty asks who is signed in fifty times at once.
func fifty(t *testing.T, sessions ...*session.Session) {
	t.Helper()
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			if _, err := api.Me(t.Context(), sessions[i%len(sessions)]); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestFiftyGoroutinesRefreshOnceWhenTheTokenHasExpired(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		endpoint, stop := startWith(t, databaseURL, "2s")
		p := newProxy(t, endpoint)
		s := signUp(t, p.endpoint, &session.Memory{})
		token, err := s.AccessToken(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stop()
		p.to(t, start(t, databaseURL)) // so that the next token does not expire too, however slow this machine is
		awaitExpiry(t, plain(p.endpoint, token.Reveal()))
		fifty(t, s)
		want(t, "refreshes", len(p.refreshes()), 1)
	})
}

// awaitExpiry waits until the server refuses the access token of a client.
func awaitExpiry(t *testing.T, client graphql.Client) {
	t.Helper()
	for range time.Tick(20 * time.Millisecond) {
		_, err := api.Me(t.Context(), client)
		if list, ok := errors.AsType[gqlerror.List](err); ok {
			want(t, "reason", list[0].Extensions["reason"], any("TOKEN_EXPIRED"))
			return
		}
	}
}

func TestFiftyGoroutinesRefreshOnceWhenTheServerRefusesTheToken(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		settings := session.Settings{Endpoint: p.endpoint, Store: &session.Memory{}}
		signUp(t, p.endpoint, settings.Store)
		s := reopen(t, settings, func(tokens *session.Tokens) { tokens.AccessToken += "x" }) // TOKEN_INVALID
		fifty(t, s)
		want(t, "refreshes", len(p.refreshes()), 1)
	})
}

func TestTwoProgramsWithOneFileRefreshOnce(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		settings := session.Settings{Endpoint: p.endpoint, Store: session.File{Path: filepath.Join(t.TempDir(), "session.json")}}
		signUp(t, p.endpoint, settings.Store)
		fifty(t, reopen(t, settings, expired), reopen(t, settings, nil))
		want(t, "refreshes", len(p.refreshes()), 1)
	})
}

func TestAProgramThatHoldsTheLockForLongEndsNothing(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		store := session.File{Path: filepath.Join(t.TempDir(), "session.json")}
		s := signUp(t, start(t, databaseURL), store)
		unlock, err := store.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err = s.SignOut(ctx)
		want(t, fmt.Sprintf("temporary: %v", err), session.Temporary(err), true)
		unlock()
		if _, err := api.Me(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	})
}

func TestARefreshWhoseAnswerIsLostIsNotNoticed(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		endpoint := start(t, databaseURL)
		for name, faults := range map[string][]fault{
			"no answer":         {cut(0)},
			"a part of it":      {cut(100)},
			"three in a row":    {cut(0), cut(100), cut(0)},
			"after some others": {answers(503, "no server"), answers(429, "slower"), cut(0)},
		} {
			t.Run(name, func(t *testing.T) {
				p := newProxy(t, endpoint)
				settings := session.Settings{Endpoint: p.endpoint, Store: &session.Memory{}}
				signUp(t, p.endpoint, settings.Store)
				s := reopen(t, settings, expired)
				p.fail(faults...)
				fifty(t, s)
				presented := p.refreshes()
				want(t, "refreshes", len(presented), len(faults)+1)
				for _, token := range presented {
					want(t, "token", token, presented[0])
				}
				fifty(t, reopen(t, settings, expired)) // and what was kept is good
			})
		}
	})
}

func TestAServerInTroubleSignsNobodyOut(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		endpoint := start(t, databaseURL)
		for name, trouble := range map[string]fault{
			"503":            answers(503, "no server"),
			"502":            answers(502, "<html>Bad gateway</html>"),
			"429":            answers(429, "slower"),
			"no connection":  func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) },
			"somebody else":  answers(200, "<html>Welcome to our Wi-Fi</html>"),
			"nothing":        answers(200, ""),
			"nothing in it":  answers(200, `{"data":{}}`),
			"UNAVAILABLE":    answers(200, `{"data":null,"errors":[{"message":"…","extensions":{"code":"UNAVAILABLE"}}]}`),
			"RATE_LIMITED":   answers(200, `{"data":null,"errors":[{"message":"…","extensions":{"code":"RATE_LIMITED"}}]}`),
			"internal error": answers(500, `{"errors":[{"message":"…","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := newProxy(t, endpoint)
				store := session.File{Path: filepath.Join(t.TempDir(), "session.json")}
				signUp(t, p.endpoint, store)
				settings := session.Settings{Endpoint: p.endpoint, Store: store, Patience: 200 * time.Millisecond}
				s := reopen(t, settings, expired)
				before, err := store.Load()
				if err != nil {
					t.Fatal(err)
				}
				p.always(trouble)
				_, told := api.Me(t.Context(), s)
				want(t, fmt.Sprintf("temporary: %v", told), session.Temporary(told), true)
				want(t, "asked only now and then", len(p.refreshes()) <= 4, true)
				after, err := store.Load()
				want(t, fmt.Sprintf("kept (%v)", err), after, before)

				p.always(nil)
				for session.Temporary(told) { // until it is tried again
					_, told = api.Me(t.Context(), s)
				}
				want(t, "afterwards", told, nil)
				after, err = store.Load()
				want(t, fmt.Sprintf("refreshed (%v)", err), after.RefreshToken != before.RefreshToken, true)
			})
		}
	})
}

func TestARefreshAheadOfTimeThatDoesNotWorkHindersNobody(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		settings := session.Settings{Endpoint: p.endpoint, Store: &session.Memory{}, Patience: 50 * time.Millisecond}
		signUp(t, p.endpoint, settings.Store)
		over := make(chan struct{})
		defer close(over)
		slow := func(http.ResponseWriter, *http.Request, http.Handler) { <-over }
		for i, trouble := range []fault{answers(503, "no server"), answers(403, "not from there"), slow} {
			s := reopen(t, settings, due)
			p.fail(trouble)
			if _, err := api.Me(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			want(t, "refreshes", len(p.refreshes()), i+1)
		}
	})
}

func TestAClockThatIsWrongRefreshesOnlyWhenTheServerSaysSo(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		// To a machine whose clock is ahead, a token has expired when it comes.
		expiry := regexp.MustCompile(`"accessTokenExpiresAt":"[^"]*"`)
		p.always(func(w http.ResponseWriter, r *http.Request, server http.Handler) {
			answer := httptest.NewRecorder()
			server.ServeHTTP(answer, r)
			_, _ = w.Write(expiry.ReplaceAll(answer.Body.Bytes(), []byte(`"accessTokenExpiresAt":"2026-01-01T00:00:00.000Z"`)))
		})
		settings := session.Settings{Endpoint: p.endpoint, Store: &session.Memory{}}
		fifty(t, signUp(t, p.endpoint, settings.Store))
		want(t, "refreshes", len(p.refreshes()), 0)
		fifty(t, reopen(t, settings, func(tokens *session.Tokens) { tokens.AccessToken += "x" }))
		want(t, "refreshes", len(p.refreshes()), 1)
	})
}

func TestAWaitThatIsGivenUpDoesNotEndTheRefresh(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		settings := session.Settings{Endpoint: p.endpoint, Store: &session.Memory{}}
		signUp(t, p.endpoint, settings.Store)
		s := reopen(t, settings, expired)
		ctx, giveUp := context.WithCancel(t.Context())
		arrived, goOn := make(chan struct{}), make(chan struct{})
		p.fail(func(w http.ResponseWriter, r *http.Request, server http.Handler) {
			close(arrived)
			<-goOn
			server.ServeHTTP(w, r)
		})
		given := make(chan error)
		go func() {
			_, err := api.Me(ctx, s)
			given <- err
		}()
		<-arrived
		giveUp()
		err := <-given
		want(t, fmt.Sprintf("given up: %v", err), errors.Is(err, context.Canceled), true)
		want(t, "temporary", session.Temporary(err), false)
		close(goOn)
		fifty(t, s)
		want(t, "refreshes", len(p.refreshes()), 1)
		_, err = api.Me(ctx, s)
		want(t, fmt.Sprintf("given up: %v", err), errors.Is(err, context.Canceled) && !session.Temporary(err), true)
	})
}

func wantEnded(t *testing.T, err error, reason api.SessionEndReason) {
	t.Helper()
	ended, ok := errors.AsType[*session.EndedError](err)
	if !ok || ended.Reason != reason {
		t.Fatalf("got %v, want the end %s", err, reason)
	}
}

func TestASessionThatWasRevokedElsewhereSaysSo(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		store := &session.Memory{}
		email := newEmail()
		s, err := session.SignUp(t.Context(), session.Settings{Endpoint: p.endpoint, Store: store}, email, password, "")
		if err != nil {
			t.Fatal(err)
		}
		elsewhere, err := session.LogIn(t.Context(), session.Settings{Endpoint: p.endpoint, Store: &session.Memory{}}, email, password, "")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := api.RevokeSession(t.Context(), elsewhere, s.ID())
		want(t, fmt.Sprintf("revoked (%v)", err), err == nil && answer.RevokeSession.Revoked, true)

		for range 2 { // the second time nobody is asked
			_, err = api.Me(t.Context(), s)
			wantEnded(t, err, api.SessionEndReasonRevoked)
		}
		want(t, "refreshes", len(p.refreshes()), 1)
		_, err = store.Load()
		want(t, "what is kept", err, session.ErrSignedOut)
		if _, err := api.Me(t.Context(), elsewhere); err != nil {
			t.Fatal(err)
		}
	})
}

func TestASessionThatTheServerDoesNotKnowIsOver(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		settings := session.Settings{Endpoint: start(t, databaseURL), Store: &session.Memory{}}
		signUp(t, settings.Endpoint, settings.Store)
		s := reopen(t, settings, func(tokens *session.Tokens) {
			expired(tokens)
			tokens.RefreshToken = "lkr1." + tokens.RefreshToken[6:] + "A"
		})
		_, err := api.Me(t.Context(), s)
		wantEnded(t, err, "")
	})
}

func TestSigningOutEndsTheSessionWhateverItsAccessToken(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		settings := session.Settings{Endpoint: p.endpoint, Store: &session.Memory{}}
		signUp(t, p.endpoint, settings.Store)
		s, other := reopen(t, settings, expired), reopen(t, settings, expired)
		p.always(answers(503, "no server"))
		err := s.SignOut(t.Context())
		want(t, fmt.Sprintf("temporary: %v", err), session.Temporary(err), true)
		if _, err := settings.Store.Load(); err != nil {
			t.Fatalf("forgot a session that lives: %v", err)
		}

		p.always(nil)
		if err := s.SignOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, dead := range []*session.Session{s, other} {
			_, err := api.Me(t.Context(), dead)
			wantEnded(t, err, api.SessionEndReasonSignedOut)
		}
		_, err = session.Open(settings)
		want(t, "open", err, session.ErrSignedOut)
	})
}

func TestANewSignInTakesThePlaceOfTheOneBefore(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		settings := session.Settings{Endpoint: start(t, databaseURL), Store: &session.Memory{}}
		email := newEmail()
		if _, err := session.SignUp(t.Context(), settings, email, password, ""); err != nil {
			t.Fatal(err)
		}
		before := reopen(t, settings, expired)
		s, err := session.LogIn(t.Context(), settings, email, password, "")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := api.MySessions(t.Context(), s)
		want(t, fmt.Sprintf("sessions (%v)", err), len(answer.Me.Sessions), 1)
		_, err = api.Me(t.Context(), before)
		want(t, fmt.Sprintf("replaced: %v", err), errors.Is(err, session.ErrReplaced), true)
		if err := before.SignOut(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := api.Me(t.Context(), reopen(t, settings, nil)); err != nil {
			t.Fatalf("the new one: %v", err)
		}
	})
}

// full is a store that has no room for the next tokens.
type full struct {
	session.Store
	left atomic.Int64
}

var errFull = errors.New("no space left on device")

func (f *full) Save(tokens session.Tokens) error {
	if f.left.Add(-1) >= 0 {
		return errFull
	}
	return f.Store.Save(tokens)
}

func TestTokensThatCannotBeKeptAreNotUsed(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		store := &full{Store: &session.Memory{}}
		settings := session.Settings{Endpoint: p.endpoint, Store: store}
		signUp(t, p.endpoint, store)
		s := reopen(t, settings, expired)
		store.left.Store(1)
		_, err := api.Me(t.Context(), s)
		want(t, fmt.Sprintf("told: %v", err), errors.Is(err, errFull), true)
		if _, err := api.Me(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		presented := p.refreshes()
		want(t, "refreshes", len(presented), 2)
		want(t, "token", presented[0], presented[1])
	})
}

func TestASessionThatCannotBeKeptIsNotLeftBehind(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		endpoint := start(t, databaseURL)
		email := newEmail()
		s, err := session.SignUp(t.Context(), session.Settings{Endpoint: endpoint, Store: &session.Memory{}}, email, password, "")
		if err != nil {
			t.Fatal(err)
		}
		store := &full{Store: &session.Memory{}}
		store.left.Store(1)
		_, err = session.LogIn(t.Context(), session.Settings{Endpoint: endpoint, Store: store}, email, password, "")
		want(t, fmt.Sprintf("told: %v", err), errors.Is(err, errFull), true)
		answer, err := api.MySessions(t.Context(), s)
		want(t, fmt.Sprintf("sessions (%v)", err), len(answer.Me.Sessions), 1)
	})
}

func TestTheFileIsForItsOwnerAloneAndOutlivesTheProgram(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		folder := filepath.Join(t.TempDir(), "settings", "latchkey")
		store := session.File{Path: filepath.Join(folder, "session.json")}
		settings := session.Settings{Endpoint: start(t, databaseURL), Store: store}
		signUp(t, settings.Endpoint, store)
		for range 3 {
			if _, err := api.Me(t.Context(), reopen(t, settings, expired)); err != nil {
				t.Fatal(err)
			}
			for path, mode := range map[string]os.FileMode{store.Path: 0o600, folder: 0o700 | os.ModeDir} {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				want(t, path, info.Mode(), mode)
			}
		}
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		hidden, _ := filepath.Glob(filepath.Join(folder, ".*"))
		want(t, fmt.Sprintf("files (%v)", err), fmt.Sprint(files, hidden), fmt.Sprintf("[%s %s.lock] []", store.Path, store.Path))

		if err := os.Chmod(store.Path, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = session.Open(settings)
		want(t, fmt.Sprintf("refused: %v", err), err != nil && strings.Contains(err.Error(), "chmod 600"), true)
	})
}

func TestTokensGoToTheirServerOnly(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		settings := session.Settings{Endpoint: p.endpoint, Store: &session.Memory{}}
		signUp(t, p.endpoint, settings.Store)

		var seen atomic.Int64
		stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
		t.Cleanup(stranger.Close)
		p.always(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
		})
		for _, change := range []func(*session.Tokens){nil, expired} {
			if _, err := api.Me(t.Context(), reopen(t, settings, change)); err == nil {
				t.Error("believed a redirect")
			}
		}
		want(t, "requests to a stranger", seen.Load(), 0)

		settings.Endpoint = stranger.URL
		_, err := session.Open(settings)
		want(t, fmt.Sprintf("refused: %v", err), errors.Is(err, session.ErrOtherServer), true)
	})
}

func TestARefusalHasACodeToSwitchOn(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		settings := session.Settings{Endpoint: start(t, databaseURL), Store: &session.Memory{}}
		_, err := session.LogIn(t.Context(), settings, newEmail(), password, "")
		refused, ok := errors.AsType[*session.RefusedError](err)
		want(t, fmt.Sprint(err), ok && refused.Code == api.AuthFailureCodeInvalidCredentials, true)
		_, err = session.SignUp(t.Context(), settings, newEmail(), "password", "")
		refused, ok = errors.AsType[*session.RefusedError](err)
		want(t, fmt.Sprint(err), ok && refused.Code == api.AuthFailureCodeWeakPassword, true)
	})
}

func TestNoSecretIsPrinted(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		endpoint := start(t, databaseURL)
		store := &session.Memory{}
		s := signUp(t, endpoint, store)
		tokens, err := store.Load()
		if err != nil {
			t.Fatal(err)
		}
		answer := api.SignedIn{AccessToken: tokens.AccessToken, RefreshToken: tokens.RefreshToken}
		var printed bytes.Buffer
		for _, value := range []any{s, tokens, &tokens, answer, &answer, tokens.AccessToken} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				_, _ = fmt.Fprintf(&printed, verb+"\n", value)
			}
		}
		for _, handler := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
			slog.New(handler).Info("signed in", "session", s, "tokens", tokens, "token", tokens.RefreshToken)
		}
		_, _ = fmt.Fprintln(&printed, tokens.AccessToken.String(), tokens.AccessToken.GoString())
		for _, token := range []string{tokens.AccessToken.Reveal(), tokens.RefreshToken.Reveal()} {
			for _, form := range []string{token, fmt.Sprintf("%x", token)} {
				want(t, "printed "+form[:8], strings.Contains(printed.String(), form), false)
			}
		}
		if text, err := json.Marshal(tokens); err != nil || !strings.Contains(string(text), tokens.RefreshToken.Reveal()) {
			t.Error("a store could not keep it")
		}
	})
}
