package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const sqliteScheme = "sqlite:"

// variable is one that the environment may have.
type variable struct {
	name     string
	fallback string // its value where it is not set; in words, in brackets, where it depends on others
	meaning  string
	secret   bool   // never to be shown
	takes    string // what it takes, as an error says
	set      func(c *Config, value string) bool
}

// variables are all there are, in the order in which they are read: each may use what those before it set.
var variables = []variable{
	{name: "MODE", fallback: "development", meaning: "production refuses unsafe settings; development listens on this machine only",
		takes: "development or production", set: oneOf(func(c *Config, mode Mode) { c.Mode = mode }, Development, Production)},
	{name: "LISTEN", fallback: "[localhost:8080, or $PORT]", meaning: "the address to listen on",
		takes: "host:port, in development of this machine only, such as localhost:8080", set: setListen},
	{name: "DATABASE_URL", fallback: "sqlite:latchkey.db", meaning: "the database: sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME", secret: true,
		takes: "sqlite:PATH or postgres://…, in production not with an sslmode below require unless on this machine", set: setDatabaseURL},
	{name: "DATABASE_TIMEOUT", fallback: "5s", meaning: "the most that one database operation takes",
		takes: "a duration of at least 100ms, such as 5s", set: duration(100*time.Millisecond, func(c *Config) *time.Duration { return &c.DatabaseTimeout })},
	{name: "SECRET_FILE", meaning: "a file to read SECRET from",
		takes: "a readable file of at least 32 bytes", set: setSecretFile},
	{name: "SECRET", fallback: "[a file beside the SQLite database]", meaning: "seals the keys in the database; required with PostgreSQL", secret: true,
		takes: "at least 32 bytes, such as `openssl rand -base64 32` prints; required with PostgreSQL, and not beside SECRET_FILE", set: setSecret},
	{name: "SECRET_PREVIOUS", meaning: "the secret before, while SECRET is being changed", secret: true,
		takes: "at least 32 bytes", set: setPreviousSecret},
	{name: "KEY_ROTATION", fallback: "720h", meaning: "how old a key is when its successor is made; tokens of the old one stay good",
		takes: "off or a duration of at least 24h, such as 720h", set: setKeyRotation},
	{name: "PUBLIC_URL", fallback: "[http://localhost and the port]", meaning: "the issuer (iss) of the access tokens",
		takes: "an http or https URL without user, query and fragment, in production https", set: setPublicURL},
	{name: "AUDIENCE", fallback: "[PUBLIC_URL]", meaning: "the audience (aud) of the access tokens",
		takes: "a text without spaces", set: setAudience},
	{name: "SERVICE_KEYS", meaning: "keys for services that ask which sessions ended, with commas between", secret: true,
		takes: "keys of at least 32 bytes, such as `openssl rand -base64 32` prints, with commas between", set: setServiceKeys},
	{name: "CLAIMS_FILE", meaning: "a JSON object of claims to add to every access token, see docs/verifiers.md",
		takes: "a readable file of at most 64 KiB", set: setClaimsFile},
	{name: "ACCESS_TOKEN_TTL", fallback: "5m", meaning: "how long an access token works",
		takes: "whole seconds, from 1s to 24h, such as 5m", set: setAccessTokenTTL},
	{name: "SESSION_IDLE_TTL", fallback: "168h", meaning: "how long a session lives without a refresh",
		takes: "a duration of at least ACCESS_TOKEN_TTL, such as 168h", set: setSessionIdleTTL},
	{name: "SESSION_TTL", fallback: "720h", meaning: "how long a session lives at the most",
		takes: "a duration of at least SESSION_IDLE_TTL, such as 720h", set: setSessionTTL},
	{name: "REFRESH_GRACE", fallback: "10s", meaning: "how long a used refresh token is answered again in any case",
		takes: "a duration such as 10s, or 0 for none", set: duration(0, func(c *Config) *time.Duration { return &c.RefreshGrace })},
	{name: "REFRESH_RETRY_WINDOW", fallback: "24h", meaning: "how long it is answered again while its successor is unused",
		takes: "a duration such as 24h, or 0 for none", set: duration(0, func(c *Config) *time.Duration { return &c.RefreshRetryWindow })},
	{name: "MAX_SESSIONS", fallback: "100", meaning: "how many sessions a user has at the most: one more ends the longest unused",
		takes: "a number from 1 to 1000", set: number(1, 1000, func(c *Config) *int { return &c.MaxSessions })},
	{name: "EVENTS_TTL", fallback: "2160h", meaning: "how long the account of what happened to a user goes back",
		takes: "a duration of at least 1h, such as 2160h", set: duration(time.Hour, func(c *Config) *time.Duration { return &c.EventsTTL })},
	{name: "SIGN_UP", fallback: "open", meaning: "whether people may make accounts themselves",
		takes: "open or closed", set: oneOf(func(c *Config, value string) { c.SignUpOpen = value == "open" }, "open", "closed")},
	{name: "PASSWORD_MIN_LENGTH", fallback: "15", meaning: "the fewest characters of a new password",
		takes: "a number from 8 to 128", set: number(8, 128, func(c *Config) *int { return &c.PasswordMinLength })},
	{name: "LOGIN_LIMIT", fallback: "10/15m", meaning: "how many wrong passwords per account, or device of it, in how long",
		takes: limitTakes, set: limit(func(c *Config) *Limit { return &c.LoginLimit })},
	{name: "LOGIN_IP_LIMIT", fallback: "100/15m", meaning: "how many per network address",
		takes: limitTakes, set: limit(func(c *Config) *Limit { return &c.LoginIPLimit })},
	{name: "TRUSTED_PROXIES", meaning: "the networks of your proxies, whose X-Forwarded-For is believed, with commas between",
		takes: "addresses or networks such as 10.0.0.0/8, with commas between", set: setTrustedProxies},
	{name: "INTROSPECTION", fallback: "[on in development]", meaning: "whether clients may ask for the schema",
		takes: "on or off", set: onOff(func(c *Config) *bool { return &c.Introspection })},
	{name: "EXPLORER", fallback: "[on in development]", meaning: "whether / is a page to explore the schema with",
		takes: "on or off, and on only with INTROSPECTION", set: setExplorer},
	{name: "ALLOWED_ORIGINS", fallback: "[that of PUBLIC_URL only]", meaning: "the origins of pages that may send operations, with commas between",
		takes: "origins such as https://app.example.com, in production https, with commas between", set: setAllowedOrigins},
	{name: "SECURE_COOKIES", fallback: "on", meaning: "off is for browsers that take no secure cookie from http://localhost, as Safari",
		takes: "on, or in development off", set: setSecureCookies},
	{name: "METRICS_LISTEN", fallback: "off", meaning: "the address to listen on for Prometheus, which reads /metrics",
		takes: "off or host:port, in development of this machine only, such as localhost:9090", set: setMetricsListen},
	{name: "SHUTDOWN_TIMEOUT", fallback: "10s", meaning: "how long requests may take to finish when the server stops",
		takes: "a duration such as 10s", set: duration(0, func(c *Config) *time.Duration { return &c.ShutdownTimeout })},
	{name: "LOG_FORMAT", fallback: "[text, in production json]", meaning: "the format of the log, which goes to standard error",
		takes: "text or json", set: setLogFormat},
	{name: "LOG_LEVEL", fallback: "info", meaning: "the least important lines to log",
		takes: "debug, info, warn or error", set: setLogLevel},
}

// Load returns the configuration in an environment, such as os.Getenv gives. Its error is one line, which
// names the variable, what it got and what it takes. An empty variable counts as one that is not set.
func Load(getenv func(string) string) (Config, error) {
	var c Config
	for _, v := range variables {
		value, given := getenv(v.name), true
		if value == "" {
			value, given = v.fallback, false
			if strings.HasPrefix(value, "[") {
				value = ""
			}
		}
		if v.name == "LISTEN" && !given {
			value = listenFallback(c.Mode, getenv("PORT"))
		}
		if !v.set(&c, value) {
			return Config{}, fmt.Errorf("%s: got %s, takes %s", v.name, shown(v, value, given), v.takes)
		}
	}
	return c, nil
}

func shown(v variable, value string, given bool) string {
	switch {
	case !given && value == "":
		return "nothing"
	case v.secret:
		return fmt.Sprintf("a value of %d bytes, which is not shown", len(value))
	}
	return strconv.Quote(value)
}

// Usage returns a table of all variables.
func Usage() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, v := range variables {
		fallback := strings.Trim(v.fallback, "[]")
		if fallback == "" {
			fallback = "-"
		}
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\n", v.name, fallback, v.meaning)
	}
	_ = table.Flush()
	return text.String()
}

func oneOf[T ~string](set func(*Config, T), allowed ...T) func(*Config, string) bool {
	return func(c *Config, value string) bool {
		for _, candidate := range allowed {
			if T(value) == candidate {
				set(c, candidate)
				return true
			}
		}
		return false
	}
}

func duration(least time.Duration, field func(*Config) *time.Duration) func(*Config, string) bool {
	return func(c *Config, value string) bool {
		parsed, err := time.ParseDuration(value)
		*field(c) = parsed
		return err == nil && parsed >= least
	}
}

func number(least, most int, field func(*Config) *int) func(*Config, string) bool {
	return func(c *Config, value string) bool {
		parsed, err := strconv.Atoi(value)
		*field(c) = parsed
		return err == nil && parsed >= least && parsed <= most
	}
}

func listenFallback(mode Mode, port string) string {
	switch {
	case port == "":
		return "localhost:8080"
	case mode == Development:
		return "localhost:" + port
	}
	return ":" + port
}

func setListen(c *Config, value string) bool {
	c.Listen = value
	return isAddress(c.Mode, value)
}

// isAddress reports whether a server may listen there.
func isAddress(mode Mode, value string) bool {
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	return mode == Production || isLoopback(host)
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

func setDatabaseURL(c *Config, value string) bool {
	c.DatabaseURL = Secret(value)
	if path, ok := strings.CutPrefix(value, sqliteScheme); ok {
		return path != "" && !strings.HasPrefix(path, ":")
	}
	parsed, err := url.Parse(value)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return false
	}
	if c.Mode == Development {
		return true
	}
	hosts := parsed.Host + "," + parsed.Query().Get("host") // libpq's URLs have them in either place
	for host := range strings.SplitSeq(hosts, ",") {
		name, _, err := net.SplitHostPort(host)
		if err != nil {
			name = host
		}
		if name != "" && !strings.HasPrefix(name, "/") && !isLoopback(name) {
			switch parsed.Query().Get("sslmode") {
			case "disable", "allow", "prefer":
				return false
			}
		}
	}
	return true
}

func setSecretFile(c *Config, path string) bool {
	if path == "" {
		return true
	}
	text, err := os.ReadFile(path)
	c.Secret = Secret(strings.TrimRight(string(text), "\r\n"))
	return err == nil && len(c.Secret) >= minSecret
}

func setSecret(c *Config, value string) bool {
	if value == "" {
		return c.Secret != "" || strings.HasPrefix(c.DatabaseURL.Reveal(), sqliteScheme)
	}
	if c.Secret != "" { // from SECRET_FILE
		return false
	}
	c.Secret = Secret(value)
	return len(value) >= minSecret
}

func setKeyRotation(c *Config, value string) bool {
	if value == "off" {
		return true
	}
	return duration(24*time.Hour, func(c *Config) *time.Duration { return &c.KeyRotation })(c, value)
}

func setServiceKeys(c *Config, value string) bool {
	if value == "" {
		return true
	}
	for key := range strings.SplitSeq(value, ",") {
		if len(key) < minSecret || strings.TrimSpace(key) != key {
			return false
		}
		c.ServiceKeys = append(c.ServiceKeys, Secret(key))
	}
	return true
}

func setClaimsFile(c *Config, value string) bool {
	if value == "" {
		return true
	}
	text, err := os.ReadFile(value)
	c.ExtraClaims = text
	return err == nil && len(text) <= 64<<10
}

func setPreviousSecret(c *Config, value string) bool {
	c.PreviousSecret = Secret(value)
	return value == "" || len(value) >= minSecret
}

func setPublicURL(c *Config, value string) bool {
	if value == "" {
		if c.Mode == Production {
			return false
		}
		_, port, _ := net.SplitHostPort(c.Listen)
		value = "http://localhost:" + port
	}
	parsed, err := url.Parse(value)
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return false
	}
	c.PublicURL = strings.TrimRight(value, "/")
	return parsed.Scheme == "https" || parsed.Scheme == "http" && c.Mode == Development
}

func setAudience(c *Config, value string) bool {
	if value == "" {
		value = c.PublicURL
	}
	c.Audience = value
	return !strings.ContainsAny(value, " \t\r\n")
}

func setAccessTokenTTL(c *Config, value string) bool {
	parsed, err := time.ParseDuration(value)
	c.AccessTokenTTL = parsed
	return err == nil && parsed >= time.Second && parsed <= 24*time.Hour && parsed%time.Second == 0
}

func setSessionIdleTTL(c *Config, value string) bool {
	return duration(c.AccessTokenTTL, func(c *Config) *time.Duration { return &c.SessionIdleTTL })(c, value)
}

func setSessionTTL(c *Config, value string) bool {
	return duration(c.SessionIdleTTL, func(c *Config) *time.Duration { return &c.SessionTTL })(c, value)
}

const limitTakes = "a number of attempts and a duration from 1s to 24h, such as 10/15m, or off"

func limit(field func(*Config) *Limit) func(*Config, string) bool {
	return func(c *Config, value string) bool {
		if value == "off" {
			return true
		}
		number, span, _ := strings.Cut(value, "/")
		attempts, err := strconv.Atoi(number)
		if err != nil || attempts < 1 || attempts > 1_000_000 {
			return false
		}
		per, err := time.ParseDuration(span)
		*field(c) = Limit{Attempts: attempts, Per: per}
		return err == nil && per >= time.Second && per <= 24*time.Hour
	}
}

func setTrustedProxies(c *Config, value string) bool {
	if value == "" {
		return true
	}
	for entry := range strings.SplitSeq(value, ",") {
		text := strings.TrimSpace(entry)
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil || address.Zone() != "" {
				return false
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		if network.Addr().Is4In6() { // an address is compared unmapped
			return false
		}
		c.TrustedProxies = append(c.TrustedProxies, network.Masked())
	}
	return true
}

// onOff is on in development where nothing is said.
func onOff(field func(*Config) *bool) func(*Config, string) bool {
	return func(c *Config, value string) bool {
		*field(c) = value == "on" || value == "" && c.Mode == Development
		return value == "" || value == "on" || value == "off"
	}
}

func setExplorer(c *Config, value string) bool {
	ok := onOff(func(c *Config) *bool { return &c.Explorer })(c, value)
	if value == "" {
		c.Explorer = c.Explorer && c.Introspection
	}
	return ok && (c.Introspection || !c.Explorer)
}

func setAllowedOrigins(c *Config, value string) bool {
	if value == "" {
		return true
	}
	for entry := range strings.SplitSeq(value, ",") {
		origin := strings.TrimSpace(entry)
		parsed, err := url.Parse(origin)
		// Browsers send it in just this spelling (RFC 6454 §6.1), and it is compared as it is.
		if err != nil || parsed.Host == "" || parsed.Scheme+"://"+strings.ToLower(parsed.Host) != origin {
			return false
		}
		if parsed.Scheme != "https" && (parsed.Scheme != "http" || c.Mode == Production) {
			return false
		}
		c.AllowedOrigins = append(c.AllowedOrigins, origin)
	}
	return true
}

func setSecureCookies(c *Config, value string) bool {
	c.SecureCookies = value == "on"
	return value == "on" || value == "off" && c.Mode == Development
}

func setMetricsListen(c *Config, value string) bool {
	if value == "off" {
		return true
	}
	c.MetricsListen = value
	return isAddress(c.Mode, value)
}

func setLogFormat(c *Config, value string) bool {
	if value == "" {
		value = "text"
		if c.Mode == Production {
			value = "json"
		}
	}
	c.LogFormat = value
	return value == "text" || value == "json"
}

func setLogLevel(c *Config, value string) bool {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := levels[value]
	c.LogLevel = level
	return ok
}
