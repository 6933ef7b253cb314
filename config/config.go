// Package config reads the environment, once, into a validated Config. Nothing else of ours reads it; what lib/pq and
// OpenTelemetry read there by themselves, docs/operations.md names.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Mode is how careful a server must be.
type Mode string

// The modes.
const (
	Development Mode = "development" // on this machine, with defaults that suit it
	Production  Mode = "production"  // unsafe settings are refused
)

// Limit is a number of attempts within a time. The zero value is none.
type Limit struct {
	Attempts int
	Per      time.Duration
}

// Config is what an operator has chosen. Load has validated it.
type Config struct {
	Mode   Mode
	Listen string // host:port

	DatabaseURL      Secret        // sqlite:PATH or postgres://…
	DatabaseTimeout  time.Duration // the most that one operation takes
	DatabasePrepared string        // auto, on or off
	Migrate          bool          // whether a start brings the schema up to date

	Secret         Secret // empty where it is to be made beside the SQLite database
	PreviousSecret Secret // empty where there is none

	ServiceKeys []Secret // with which services ask for sessions that ended

	PublicURL string // the issuer, without a slash at the end
	Audience  string

	ExtraClaims        []byte        // what CLAIMS_FILE has, to be parsed; nil: no such file
	KeyRotation        time.Duration // 0: only by command
	AccessTokenTTL     time.Duration
	SessionIdleTTL     time.Duration
	SessionTTL         time.Duration
	RefreshGrace       time.Duration
	RefreshRetryWindow time.Duration

	SignUpOpen        bool
	PasswordMinLength int // code points
	MaxSessions       int // of one user
	EventsTTL         time.Duration
	LoginLimit        Limit
	LoginIPLimit      Limit
	Introspection     bool
	Explorer          bool     // only with Introspection
	AllowedOrigins    []string // of pages, each scheme://host or scheme://host:port
	SecureCookies     bool     // false only in development
	TrustedProxies    []netip.Prefix

	MetricsListen   string // host:port, or empty
	ShutdownDelay   time.Duration
	ShutdownTimeout time.Duration
	TracesURL       string // where OTLP goes, or empty
	LogFormat       string // text or json
	LogLevel        slog.Level
}
