package config

import (
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const sqliteScheme = "sqlite:"

// What stands here reads one variable each, and reports whether it takes the value.

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
		if err != nil || parsed < least {
			return false
		}
		*field(c) = parsed
		return true
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
	if !isAddress(c.Mode, value) {
		return false
	}
	c.Listen = value
	return true
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
	if !isDatabaseURL(c.Mode, value) {
		return false
	}
	c.DatabaseURL = Secret(value)
	return true
}

// isDatabaseURL reports whether a URL names a database that may be used.
func isDatabaseURL(mode Mode, value string) bool {
	if path, ok := strings.CutPrefix(value, sqliteScheme); ok {
		return path != "" && !strings.HasPrefix(path, ":")
	}
	parsed, err := url.Parse(value)
	if err != nil || !strings.HasPrefix(value, "postgres://") && !strings.HasPrefix(value, "postgresql://") {
		return false
	}
	if strings.Contains(parsed.Path, "@") { // a slash too many: the user and the password would be the name of a database
		return false
	}
	options := parsed.Query()
	if mode == Production && options.Has("service") { // which a file of the user's would explain
		return false
	}
	if tls := options.Get("sslmode"); mode != Production || tls == "verify-full" || tls == "verify-ca" {
		return true
	}
	hosts := []string{parsed.Host, options.Get("host"), options.Get("hostaddr")} // libpq's URLs have them in any place
	for host := range strings.SplitSeq(strings.Join(hosts, ","), ",") {
		name, _, err := net.SplitHostPort(host)
		if err != nil {
			name = strings.Trim(host, "[]")
		}
		if name != "" && !strings.HasPrefix(name, "/") && !isLoopback(name) {
			return false
		}
	}
	return true
}

func setSecret(c *Config, value string) bool {
	if value == "" { // where a file beside the SQLite database will do, or it is not known which one it is
		return c.Mode != Production && !strings.HasPrefix(c.DatabaseURL.Reveal(), "postgres")
	}
	c.Secret = Secret(value)
	return isSecret(c.Mode, value)
}

func isSecret(mode Mode, value string) bool {
	if strings.TrimSpace(value) != value || strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || r == '\ufeff' }) {
		return false // another program would read another secret from it
	}
	return len(value) >= minSecret && (mode != Production || !isGuessable(value))
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
		if !isSecret(c.Mode, key) {
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
		value = "http://localhost"
		if _, port, err := net.SplitHostPort(c.Listen); err == nil {
			value += ":" + port
		}
	}
	c.PublicURL = strings.TrimRight(value, "/")
	return isPlainURL(value) && (c.Mode != Production || strings.HasPrefix(strings.ToLower(value), "https:"))
}

// isPlainURL reports whether a text is an http or https URL without user, query and fragment.
func isPlainURL(value string) bool {
	parsed, err := url.Parse(value)
	return err == nil && (parsed.Scheme == "https" || parsed.Scheme == "http") && parsed.Host != "" &&
		parsed.User == nil && parsed.RawQuery == "" && parsed.Fragment == ""
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

func setEventsTTL(c *Config, value string) bool { // it is by events that services are told which sessions ended
	least := max(time.Hour, c.AccessTokenTTL+time.Minute)
	return duration(least, func(c *Config) *time.Duration { return &c.EventsTTL })(c, value)
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
		if err != nil || parsed.Host == "" || strings.Contains(parsed.Host, "*") || parsed.Scheme+"://"+strings.ToLower(parsed.Host) != origin {
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

func setShutdownDelay(c *Config, value string) bool {
	if value == "" {
		value = "0s"
		if c.Mode == Production {
			value = "5s"
		}
	}
	return duration(0, func(c *Config) *time.Duration { return &c.ShutdownDelay })(c, value)
}

func setTraces(c *Config, value string) bool {
	if value == "" || value == "off" {
		return true
	}
	c.TracesURL = strings.TrimRight(value, "/")
	return isPlainURL(value)
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
