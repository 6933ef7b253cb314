package verify

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxEnded is how many bytes an answer may have: some million sessions.
const maxEnded = 64 << 20

// never is the age of what was never known.
const never = time.Duration(1<<63 - 1)

// feed follows which sessions ended, and remembers them for as long as their access tokens can live.
type feed struct {
	client           *http.Client
	url, key         string
	log              *slog.Logger
	every, awayAfter time.Duration
	revoke           func(keys []string)

	mu     sync.Mutex
	cursor string
	asked  time.Time            // when the last question was sent that was answered
	ended  map[string]time.Time // until when each is remembered
	swept  time.Time
}

// endedAnswer is the body of GET /sessions/ended.
type endedAnswer struct {
	Cursor      string   `json:"cursor"`
	Sessions    []string `json:"sessions"`
	RevokedKeys []string `json:"revokedKeys"`
	KeepFor     int      `json:"keepFor"` // seconds
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

// read asks what ended since it was last answered.
func (f *feed) read(ctx context.Context) error {
	began := time.Now()
	f.mu.Lock()
	cursor := f.cursor
	f.mu.Unlock()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"?since="+url.QueryEscape(cursor), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+f.key)
	var answer endedAnswer
	if err := getJSON(f.client, request, maxEnded, &answer); err != nil {
		return err
	}
	if answer.Cursor == "" || answer.KeepFor <= 0 {
		return errors.New("the answer lacks a cursor or keepFor")
	}
	f.revoke(answer.RevokedKeys)
	f.mu.Lock()
	defer f.mu.Unlock()
	until := time.Now().Add(time.Duration(answer.KeepFor) * time.Second)
	for _, session := range answer.Sessions {
		f.ended[session] = until
	}
	f.cursor, f.asked = answer.Cursor, began
	f.sweep(began)
	return nil
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

func (f *feed) hasEnded(session string) bool {
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
