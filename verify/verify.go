// Package verify checks Latchkey's access tokens in the services that they are sent to, offline: by the public keys, and,
// where a service key is given, by what the server tells of sessions that ended.
//
//	verifier, err := verify.New(verify.Options{
//		Issuer: "https://auth.example.com", Audience: "https://api.example.com", ServiceKey: os.Getenv("SERVICE_KEY"),
//	})
//	if err != nil { … }
//	go verifier.Run(ctx)
//	http.ListenAndServe(":8081", verifier.Middleware(handler)) // which asks verify.ClaimsOf(r.Context())
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"latchkey/token"
)

// Claims are those of an access token (RFC 9068 §2.2): Subject is the user's id, SessionID the session's.
type Claims = token.Claims

var (
	// ErrInvalid says that a text is no access token of the issuer, for the audience, by one of its keys.
	ErrInvalid = token.ErrInvalid
	// ErrExpired says that it was one. Its client has to refresh.
	ErrExpired = token.ErrExpired
	// ErrEnded says that its session was revoked. Its user has to sign in again.
	ErrEnded = errors.New("the session of the access token is over")
	// ErrUnavailable says that it cannot be known whether a token is good: its key is not known and the keys cannot be read, or
	// what ended is not known and Options.FailClosed is set.
	ErrUnavailable = errors.New("access tokens cannot be verified at the moment")
)

// Options say whose tokens a Verifier takes. Issuer and Audience must be set.
type Options struct {
	Issuer   string // PUBLIC_URL of the server: the tokens' `iss`
	Audience string // AUDIENCE of the server: the tokens' `aud`

	// ServiceKey is one of the server's SERVICE_KEYS. With it a session that was revoked is over here too, within a second.
	// Without it its access tokens are taken until they expire.
	ServiceKey string
	// FailClosed says what is done while it is not known which sessions ended: refuse all tokens with ErrUnavailable, or
	// take them until they expire.
	FailClosed bool

	// URL is where the server is asked. Empty: Issuer.
	URL string
	// Every is how often it is asked what ended. Zero: four times a second.
	Every time.Duration
	// AwayAfter is how long its last answer to that is good for. Zero: five seconds, or four times Every.
	AwayAfter time.Duration

	Client *http.Client // nil: one that waits five seconds for an answer
	Log    *slog.Logger // nil: slog.Default()
	Now    func() time.Time
}

// Verifier verifies access tokens. New makes one. It is safe for concurrent use, and a prometheus.Collector.
type Verifier struct {
	tokens   *token.Verifier
	keys     *keys
	feed     *feed // nil without a service key
	closed   bool
	now      func() time.Time
	outcomes outcomes
}

// New returns a Verifier. Whoever calls it must also call Run. Its error says what is wrong with the options.
func New(options Options) (*Verifier, error) {
	if options.Issuer == "" || options.Audience == "" {
		return nil, errors.New("verify: Issuer and Audience must be set")
	}
	if options.FailClosed && options.ServiceKey == "" {
		return nil, errors.New("verify: FailClosed needs a ServiceKey")
	}
	every := cmp.Or(options.Every, 250*time.Millisecond)
	awayAfter := cmp.Or(options.AwayAfter, max(5*time.Second, 4*every))
	if every < 0 || awayAfter < every {
		return nil, errors.New("verify: AwayAfter must not be shorter than Every")
	}
	base := strings.TrimRight(cmp.Or(options.URL, options.Issuer), "/")
	if parsed, err := url.Parse(base); err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
		return nil, errors.New("verify: the URL of the server is not an http or https URL")
	}
	client := cmp.Or(options.Client, &http.Client{Timeout: 5 * time.Second})
	log := cmp.Or(options.Log, slog.Default())
	now := options.Now
	if now == nil {
		now = time.Now
	}
	v := &Verifier{closed: options.FailClosed, now: now, outcomes: newOutcomes()}
	v.keys = newKeys(client, base+"/.well-known/jwks.json", log)
	v.tokens = token.New(options.Issuer, options.Audience, v.keys.named, now)
	if options.ServiceKey != "" {
		v.feed = &feed{
			client: client, url: base + "/sessions/ended", key: options.ServiceKey, log: log,
			every: every, awayAfter: awayAfter, revoke: v.keys.revoke, ended: map[uuid.UUID]time.Time{},
		}
	}
	return v, nil
}

// Run keeps the keys, and what ended, as the server has them, until ctx ends. It is to be called once.
func (v *Verifier) Run(ctx context.Context) {
	var following sync.WaitGroup
	if v.feed != nil {
		following.Go(func() { v.feed.follow(ctx) })
	}
	v.keys.keep(ctx)
	following.Wait()
}

// Verify returns the claims of an access token that is good now. A key that is not known is looked for at the server,
// once in a second at the most. Errors: ErrInvalid, ErrExpired, ErrEnded, ErrUnavailable.
func (v *Verifier) Verify(ctx context.Context, text string) (*Claims, error) {
	claims, err := v.verify(ctx, text)
	v.outcomes.count(err)
	return claims, err
}

func (v *Verifier) verify(ctx context.Context, text string) (*Claims, error) {
	claims, err := v.tokens.Verify(text)
	if errors.Is(err, token.ErrUnknownKey) {
		if err := v.keys.look(ctx); err != nil { // with an older set it may still be a good token, of a newer key
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		claims, err = v.tokens.Verify(text)
	}
	switch {
	case errors.Is(err, token.ErrUnknownKey):
		return nil, ErrInvalid
	case err != nil:
		return nil, err
	case v.feed == nil:
		return claims, nil
	case v.feed.hasEnded(claims.SessionID):
		return nil, ErrEnded
	case v.feed.forgets(v.now().Sub(claims.IssuedAt.Time)): // of a time when access tokens lived longer
		return nil, ErrExpired
	case v.closed && v.feed.away():
		return nil, fmt.Errorf("%w: it is not known which sessions ended", ErrUnavailable)
	}
	return claims, nil
}
