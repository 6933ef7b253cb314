package config

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// variable is one that the environment may have.
type variable struct {
	name     string
	fallback string // its value where it is not set; in words, in brackets, where it depends on others
	meaning  string
	secret   bool   // never to be shown; a file may have it, which the variable with _FILE at its end names
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
		takes: "sqlite:PATH or postgres://…, in production with sslmode=verify-full or verify-ca unless on this machine", set: setDatabaseURL},
	{name: "DATABASE_TIMEOUT", fallback: "5s", meaning: "the most that one database operation takes",
		takes: "a duration of at least 100ms, such as 5s", set: duration(100*time.Millisecond, func(c *Config) *time.Duration { return &c.DatabaseTimeout })},
	{name: "DATABASE_PREPARED", fallback: "auto", meaning: "whether statements are prepared in PostgreSQL; auto: where no pooler stands between",
		takes: "auto, on or off", set: oneOf(func(c *Config, value string) { c.DatabasePrepared = value }, "auto", "on", "off")},
	{name: "MIGRATE", fallback: "on", meaning: "whether to bring the database's schema up to date at the start; off needs `latchkey migrate`",
		takes: "on or off", set: oneOf(func(c *Config, value string) { c.Migrate = value == "on" }, "on", "off")},
	{name: "SECRET", fallback: "[a file beside the SQLite database]", meaning: "seals the keys in the database; required with PostgreSQL and in production", secret: true,
		takes: "at least 32 bytes on one line, such as `openssl rand -base64 32` prints; required with PostgreSQL and in production, there not one that can be guessed", set: setSecret},
	{name: "SECRET_PREVIOUS", meaning: "the secret before, while SECRET is being changed", secret: true,
		takes: "at least 32 bytes", set: setPreviousSecret},
	{name: "KEY_ROTATION", fallback: "720h", meaning: "how old a key is when its successor is made; tokens of the old one stay good",
		takes: "off or a duration of at least 24h, such as 720h", set: setKeyRotation},
	{name: "PUBLIC_URL", fallback: "[http://localhost and the port]", meaning: "the issuer (iss) of the access tokens",
		takes: "an http or https URL without user, query and fragment, in production https", set: setPublicURL},
	{name: "AUDIENCE", fallback: "[PUBLIC_URL]", meaning: "the audience (aud) of the access tokens",
		takes: "a text without spaces", set: setAudience},
	{name: "SERVICE_KEYS", meaning: "keys for services that ask which sessions ended, with commas between", secret: true,
		takes: "keys of at least 32 bytes, such as `openssl rand -base64 32` prints, in production none that can be guessed, with commas between", set: setServiceKeys},
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
		takes: "a duration of at least 1h, and a minute more than ACCESS_TOKEN_TTL, such as 2160h", set: setEventsTTL},
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
		takes: "origins such as https://app.example.com, each in full and in production https, with commas between", set: setAllowedOrigins},
	{name: "SECURE_COOKIES", fallback: "on", meaning: "off is for browsers that take no secure cookie from http://localhost, as Safari",
		takes: "on, or in development off", set: setSecureCookies},
	{name: "METRICS_LISTEN", fallback: "off", meaning: "the address to listen on for Prometheus, which reads /metrics",
		takes: "off or host:port, in development of this machine only, such as localhost:9090", set: setMetricsListen},
	{name: "SHUTDOWN_DELAY", fallback: "[0s, in production 5s]", meaning: "how long the server still takes requests when it stops, while /readyz says so",
		takes: "a duration such as 5s, or 0 for none", set: setShutdownDelay},
	{name: "SHUTDOWN_TIMEOUT", fallback: "10s", meaning: "how long requests may take to finish when the server stops",
		takes: "a duration such as 10s", set: duration(0, func(c *Config) *time.Duration { return &c.ShutdownTimeout })},
	{name: "OTEL_EXPORTER_OTLP_ENDPOINT", fallback: "[off]", meaning: "where traces go by OTLP over HTTP, such as http://localhost:4318",
		takes: "off or an http or https URL without user, query and fragment", set: setTraces},
	{name: "LOG_FORMAT", fallback: "[text, in production json]", meaning: "the format of the log, which goes to standard error",
		takes: "text or json", set: setLogFormat},
	{name: "LOG_LEVEL", fallback: "info", meaning: "the least important lines to log",
		takes: "debug, info, warn or error", set: setLogLevel},
}

// Load returns the configuration in an environment, such as os.Getenv gives. Its error has one line for each variable that
// is wrong, or in production unsafe: its name, what it got and what it takes. The Config then has the defaults in these
// places, and the DatabaseURL only if it may be used. An empty variable counts as one that is not set.
func Load(getenv func(string) string) (Config, error) {
	var c Config
	var problems []error
	for _, v := range variables {
		value, err := v.read(&c, getenv)
		if err == nil && v.set(&c, value.text) {
			continue
		}
		if err == nil {
			err = fmt.Errorf("%s: got %s, takes %s", value.from, value.shown(v), v.takes)
		}
		problems = append(problems, err)
		if fallback := v.defaultValue(); fallback != "" && !v.secret {
			v.set(&c, fallback)
		}
	}
	if c.Mode == Production {
		for _, name := range []string{"PGHOST", "PGHOSTADDR", "PGSERVICE"} { // which PostgreSQL's programs heed
			if getenv(name) != "" {
				problems = append(problems, fmt.Errorf("%s: got a value, takes none in production: DATABASE_URL alone says which machine it is", name))
			}
		}
	}
	return c, errors.Join(problems...)
}

// value is what a variable has.
type value struct {
	text  string
	from  string // the variable that it is from
	given bool   // and not the default
}

// read returns the value of a variable. Its error says that the file that is to have it cannot be read.
func (v variable) read(c *Config, getenv func(string) string) (value, error) {
	text, file := getenv(v.name), ""
	if v.secret {
		file = getenv(v.name + "_FILE")
	}
	switch {
	case file != "" && text != "":
		return value{}, fmt.Errorf("%s: got a value, takes none beside %[1]s_FILE", v.name)
	case file != "":
		content, err := os.ReadFile(file)
		if err != nil { // which may be the secret itself, set by mistake
			return value{}, fmt.Errorf("%s_FILE: got %d bytes, takes the name of a file that can be read", v.name, len(file))
		}
		return value{strings.TrimRight(string(content), "\r\n"), v.name + "_FILE", true}, nil
	case text != "":
		return value{text, v.name, true}, nil
	case v.name == "LISTEN":
		return value{listenFallback(c.Mode, getenv("PORT")), v.name, false}, nil
	}
	return value{v.defaultValue(), v.name, false}, nil
}

// defaultValue is that of a variable which is not set, or nothing where it depends on others.
func (v variable) defaultValue() string {
	if strings.HasPrefix(v.fallback, "[") {
		return ""
	}
	return v.fallback
}

func (got value) shown(v variable) string {
	switch {
	case !got.given && got.text == "":
		return "nothing"
	case v.secret, strings.Contains(got.text, "@"): // a URL may have a password
		return fmt.Sprintf("a value of %d bytes, which is not shown", len(got.text))
	}
	return strconv.Quote(got.text)
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
	text.WriteString("\nA file can have")
	for _, v := range variables {
		if v.secret {
			text.WriteString(" " + v.name)
		}
	}
	text.WriteString(": name it in SECRET_FILE, and so on.\n")
	return text.String()
}
