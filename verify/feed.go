package verify

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/google/uuid"

	"latchkey/token"
)

// maxEnded is how many bytes an answer may have: many times a page of the server's.
const maxEnded = 16 << 20

// never is the age of what was never known.
const never = time.Duration(1<<63 - 1)

// feed follows which sessions ended, and remembers them for as long as their access tokens can live.
type feed struct {
	client           *http.Client
	url, key         string
	log              *slog.Logger
	every, awayAfter time.Duration
	revoke           func(keys []string)

	mu      sync.Mutex
	cursor  string
	asked   time.Time               // when the last question was sent that was answered whole
	ended   map[uuid.UUID]time.Time // until when each is remembered
	swept   time.Time
	keepFor time.Duration // as the server last said
}

// follow asks until ctx ends.
func (f *feed) follow(ctx context.Context) {
	ticker := time.NewTicker(f.every)
	defer ticker.Stop()
	failing := false
	for {
		err := f.read(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			f.log.WarnContext(ctx, "sessions that ended not read", "error", err)
		case err == nil && failing:
			f.log.InfoContext(ctx, "sessions that ended read again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// read asks what ended since it was last answered, until that is all.
func (f *feed) read(ctx context.Context) error {
	for {
		more, err := f.readPage(ctx)
		if err != nil || !more {
			return err
		}
	}
}

func (f *feed) readPage(ctx context.Context) (more bool, err error) {
	began := time.Now()
	f.mu.Lock()
	cursor := f.cursor
	f.mu.Unlock()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"?since="+url.QueryEscape(cursor), nil)
	if err != nil {
		return false, err
	}
	request.Header.Set("Authorization", "Bearer "+f.key)
	var answer token.Ended
	if err := getJSON(f.client, request, maxEnded, &answer); err != nil {
		return false, err
	}
	if answer.Cursor == "" || answer.KeepFor <= 0 {
		return false, errors.New("the answer lacks a cursor or keepFor")
	}
	f.revoke(answer.RevokedKeys)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keepFor = time.Duration(answer.KeepFor) * time.Second
	until := time.Now().Add(f.keepFor)
	for _, session := range answer.Sessions {
		f.ended[session] = until
	}
	f.cursor = answer.Cursor
	if !answer.More {
		f.asked = began
	}
	f.sweep(began)
	return answer.More, nil
}

// sweep forgets sessions whose time has come, every few seconds: each look is at all of them.
func (f *feed) sweep(now time.Time) {
	if now.Sub(f.swept) < 10*time.Second {
		return
	}
	f.swept = now
	for session, until := range f.ended {
		if until.Before(now) {
			delete(f.ended, session)
		}
	}
}

// forgets reports whether a token of an age may be of a session that ended, and that is forgotten.
func (f *feed) forgets(age time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keepFor > 0 && age > f.keepFor
}

func (f *feed) hasEnded(session uuid.UUID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ended := f.ended[session]
	return ended
}

// away reports whether it is not known what ended: the server has not answered for too long, or never.
func (f *feed) away() bool { return f.age() > f.awayAfter }

// age is how old what is known is.
func (f *feed) age() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked.IsZero() {
		return never
	}
	return time.Since(f.asked)
}

func (f *feed) remembered() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ended)
}
