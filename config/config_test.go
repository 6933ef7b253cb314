package config_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/config"
)

func load(environment map[string]string) (config.Config, error) {
	return config.Load(func(name string) string { return environment[name] })
}

const (
	canary = "canary-9fQ2xL7vRt0bNwZ4kYc1mHd8sJp3gUe6aViOqX5T"
	remote = "postgres://ada:" + canary + "@db.example.com/latchkey"
)

func TestItStartsWithNothingSet(t *testing.T) {
	c, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]any{
		"mode": {c.Mode, config.Development}, "listen": {c.Listen, "localhost:8080"}, "database": {c.DatabaseURL.Reveal(), "sqlite:latchkey.db"},
		"issuer": {c.PublicURL, "http://localhost:8080"}, "audience": {c.Audience, "http://localhost:8080"},
		"access token": {c.AccessTokenTTL, 5 * time.Minute}, "idle": {c.SessionIdleTTL, 7 * 24 * time.Hour}, "session": {c.SessionTTL, 30 * 24 * time.Hour},
		"grace": {c.RefreshGrace, 10 * time.Second}, "window": {c.RefreshRetryWindow, 24 * time.Hour}, "sign-up": {c.SignUpOpen, true},
		"password": {c.PasswordMinLength, 15}, "sessions": {c.MaxSessions, 100}, "events": {c.EventsTTL, 90 * 24 * time.Hour}, "introspection": {c.Introspection, true}, "explorer": {c.Explorer, true}, "cookies": {c.SecureCookies, true},
		"origins": {len(c.AllowedOrigins), 0}, "migrate": {c.Migrate, true}, "prepared": {c.DatabasePrepared, "auto"}, "delay": {c.ShutdownDelay, time.Duration(0)}, "traces": {c.TracesURL, ""}, "metrics": {c.MetricsListen, ""}, "format": {c.LogFormat, "text"}, "level": {c.LogLevel, slog.LevelInfo},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", what, pair[0], pair[1])
		}
	}
}

func TestOneVariableFollowsAnother(t *testing.T) {
	for _, test := range []struct {
		environment map[string]string
		get         func(c config.Config) any
		want        any
	}{
		{map[string]string{"PORT": "9000"}, func(c config.Config) any { return c.Listen + " " + c.PublicURL }, "localhost:9000 http://localhost:9000"},
		{map[string]string{"LISTEN": "127.0.0.1:9001", "PORT": "9000"}, func(c config.Config) any { return c.Listen }, "127.0.0.1:9001"},
		{map[string]string{"MODE": "production", "PUBLIC_URL": "https://auth.example.com/", "PORT": "9000", "SECRET": canary},
			func(c config.Config) any { return c.Listen + " " + c.PublicURL + " " + c.Audience + " " + c.LogFormat }, ":9000 https://auth.example.com https://auth.example.com json"},
		{map[string]string{"MODE": "production", "PUBLIC_URL": "https://auth.example.com", "SECRET": canary}, func(c config.Config) any { return c.Introspection || c.Explorer }, false},
		{map[string]string{"DATABASE_PREPARED": "off"}, func(c config.Config) any { return c.DatabasePrepared }, "off"},
		{map[string]string{"INTROSPECTION": "off"}, func(c config.Config) any { return c.Explorer }, false},
		{map[string]string{"ALLOWED_ORIGINS": "https://app.example.com, http://localhost:3000"}, func(c config.Config) any { return strings.Join(c.AllowedOrigins, " ") },
			"https://app.example.com http://localhost:3000"},
		{map[string]string{"METRICS_LISTEN": "localhost:9090", "SECURE_COOKIES": "off"}, func(c config.Config) any { return fmt.Sprint(c.MetricsListen, c.SecureCookies) }, "localhost:9090false"},
		{map[string]string{"MODE": "production", "PUBLIC_URL": "https://auth.example.com", "SECRET": canary}, func(c config.Config) any { return c.ShutdownDelay }, 5 * time.Second},
		{map[string]string{"SERVICE_KEYS": canary + "," + canary[1:]}, func(c config.Config) any { return len(c.ServiceKeys) }, 2},
		{map[string]string{"MODE": "production", "PUBLIC_URL": "https://auth.example.com", "SECRET": canary, "DATABASE_URL": remote + "?sslmode=verify-full"},
			func(c config.Config) any { return c.DatabaseURL.Reveal() }, remote + "?sslmode=verify-full"},
		{nil, func(c config.Config) any { return fmt.Sprint(c.LoginLimit, c.LoginIPLimit, c.TrustedProxies) }, "{10 15m0s} {100 15m0s} []"},
		{map[string]string{"LOGIN_LIMIT": "off", "LOGIN_IP_LIMIT": "5/1h", "TRUSTED_PROXIES": "10.1.2.3/8, 192.0.2.1,2001:db8::/32"},
			func(c config.Config) any { return fmt.Sprint(c.LoginLimit, c.LoginIPLimit, c.TrustedProxies) }, "{0 0s} {5 1h0m0s} [10.0.0.0/8 192.0.2.1/32 2001:db8::/32]"},
		{map[string]string{"REFRESH_GRACE": "0", "REFRESH_RETRY_WINDOW": "0s"}, func(c config.Config) any { return c.RefreshGrace + c.RefreshRetryWindow }, time.Duration(0)},
		{map[string]string{"MODE": "production", "PUBLIC_URL": "https://a.example.com", "DATABASE_URL": "postgres://ada@localhost/x?sslmode=disable", "SECRET": canary},
			func(c config.Config) any { return c.Secret.Reveal() }, canary},
	} {
		c, err := load(test.environment)
		if err != nil {
			t.Errorf("%v: %v", test.environment, err)
		} else if got := test.get(c); got != test.want {
			t.Errorf("%v: got %v, want %v", test.environment, got, test.want)
		}
	}
}

func TestAWrongValueStopsTheStartWithOneLineThatHelps(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("too short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, []byte(strings.Repeat("x", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	production := func(name, value string) map[string]string {
		environment := map[string]string{"MODE": "production", "PUBLIC_URL": "https://auth.example.com", "SECRET": canary}
		if name == "SECRET_FILE" {
			delete(environment, "SECRET")
		}
		environment[name] = value
		return environment
	}
	for _, test := range []struct {
		environment     map[string]string
		name, got, take string
	}{
		{map[string]string{"MODE": "prod"}, "MODE", `"prod"`, "development or production"},
		{map[string]string{"LISTEN": "8080"}, "LISTEN", `"8080"`, "host:port"},
		{map[string]string{"LISTEN": "localhost:http"}, "LISTEN", `"localhost:http"`, "host:port"},
		{map[string]string{"LISTEN": ":8080"}, "LISTEN", `":8080"`, "this machine"},
		{map[string]string{"LISTEN": "192.0.2.1:8080"}, "LISTEN", `"192.0.2.1:8080"`, "this machine"},
		{map[string]string{"PORT": "x"}, "LISTEN", `"localhost:x"`, "host:port"},
		{map[string]string{"DATABASE_URL": "mysql://ada:" + canary + "@h/x"}, "DATABASE_URL", "not shown", "sqlite:PATH"},
		{map[string]string{"DATABASE_URL": "sqlite::memory:"}, "DATABASE_URL", "not shown", "sqlite:PATH"},
		{map[string]string{"DATABASE_URL": "postgres://ada:" + canary + "@["}, "DATABASE_URL", "not shown", "sqlite:PATH"},
		{map[string]string{"DATABASE_URL": remote}, "SECRET", "nothing", "openssl rand"},
		{map[string]string{"DATABASE_TIMEOUT": "5"}, "DATABASE_TIMEOUT", `"5"`, "5s"},
		{map[string]string{"DATABASE_TIMEOUT": "1ms"}, "DATABASE_TIMEOUT", `"1ms"`, "100ms"},
		{map[string]string{"DATABASE_PREPARED": "yes"}, "DATABASE_PREPARED", `"yes"`, "auto, on or off"},
		{map[string]string{"SECRET": canary[:31]}, "SECRET", "31 bytes", "at least 32 bytes"},
		{map[string]string{"SECRET": canary, "SECRET_FILE": long}, "SECRET", "a value", "none beside SECRET_FILE"},
		{map[string]string{"SECRET_FILE": short}, "SECRET_FILE", "9 bytes", "at least 32 bytes"},
		{map[string]string{"SECRET_FILE": canary}, "SECRET_FILE", "47 bytes", "name of a file"}, // the secret itself, by mistake
		{production("SECRET_FILE", long), "SECRET_FILE", "32 bytes", "guessed"},
		{map[string]string{"SECRET_PREVIOUS_FILE": short}, "SECRET_PREVIOUS_FILE", "9 bytes", "at least 32 bytes"},
		{map[string]string{"SECRET_FILE": short + "er"}, "SECRET_FILE", "bytes", "can be read"},
		{map[string]string{"SECRET_PREVIOUS": canary[:31]}, "SECRET_PREVIOUS", "31 bytes", "at least 32 bytes"},
		{map[string]string{"PUBLIC_URL": "auth.example.com"}, "PUBLIC_URL", `"auth.example.com"`, "http"},
		{map[string]string{"PUBLIC_URL": "https://auth.example.com?x"}, "PUBLIC_URL", `?x"`, "query"},
		{map[string]string{"AUDIENCE": "a b"}, "AUDIENCE", `"a b"`, "without spaces"},
		{map[string]string{"ACCESS_TOKEN_TTL": "1500ms"}, "ACCESS_TOKEN_TTL", `"1500ms"`, "whole seconds"},
		{map[string]string{"ACCESS_TOKEN_TTL": "0"}, "ACCESS_TOKEN_TTL", `"0"`, "whole seconds"},
		{map[string]string{"SESSION_IDLE_TTL": "1m"}, "SESSION_IDLE_TTL", `"1m"`, "ACCESS_TOKEN_TTL"},
		{map[string]string{"SESSION_TTL": "1h"}, "SESSION_TTL", `"1h"`, "SESSION_IDLE_TTL"},
		{map[string]string{"REFRESH_GRACE": "-1s"}, "REFRESH_GRACE", `"-1s"`, "10s"},
		{map[string]string{"REFRESH_RETRY_WINDOW": "a day"}, "REFRESH_RETRY_WINDOW", `"a day"`, "24h"},
		{map[string]string{"SIGN_UP": "on"}, "SIGN_UP", `"on"`, "open or closed"},
		{map[string]string{"EVENTS_TTL": "0"}, "EVENTS_TTL", `"0"`, "at least 1h"},
		{map[string]string{"MAX_SESSIONS": "0"}, "MAX_SESSIONS", `"0"`, "1 to 1000"},
		{map[string]string{"LOGIN_LIMIT": "10"}, "LOGIN_LIMIT", `"10"`, "10/15m"},
		{map[string]string{"LOGIN_LIMIT": "0/15m"}, "LOGIN_LIMIT", `"0/15m"`, "10/15m"},
		{map[string]string{"LOGIN_LIMIT": "10/500ms"}, "LOGIN_LIMIT", `"10/500ms"`, "1s to 24h"},
		{map[string]string{"LOGIN_IP_LIMIT": "10/25h"}, "LOGIN_IP_LIMIT", `"10/25h"`, "1s to 24h"},
		{map[string]string{"TRUSTED_PROXIES": "10.0.0.0/8,proxy"}, "TRUSTED_PROXIES", `"10.0.0.0/8,proxy"`, "addresses or networks"},
		{map[string]string{"TRUSTED_PROXIES": "::ffff:10.0.0.0/104"}, "TRUSTED_PROXIES", `"::ffff:10.0.0.0/104"`, "addresses or networks"},
		{map[string]string{"PASSWORD_MIN_LENGTH": "7"}, "PASSWORD_MIN_LENGTH", `"7"`, "8 to 128"},
		{map[string]string{"INTROSPECTION": "yes"}, "INTROSPECTION", `"yes"`, "on or off"},
		{map[string]string{"EXPLORER": "yes"}, "EXPLORER", `"yes"`, "on or off"},
		{map[string]string{"EXPLORER": "on", "INTROSPECTION": "off"}, "EXPLORER", `"on"`, "INTROSPECTION"},
		{map[string]string{"ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS", `"*"`, "https://app.example.com"},
		{map[string]string{"ALLOWED_ORIGINS": "null"}, "ALLOWED_ORIGINS", `"null"`, "https://app.example.com"},
		{map[string]string{"ALLOWED_ORIGINS": "https://app.example.com/"}, "ALLOWED_ORIGINS", `.com/"`, "https://app.example.com"},
		{map[string]string{"ALLOWED_ORIGINS": "https://App.example.com"}, "ALLOWED_ORIGINS", `App`, "https://app.example.com"},
		{map[string]string{"ALLOWED_ORIGINS": "https://a.example.com,"}, "ALLOWED_ORIGINS", `.com,"`, "https://app.example.com"},
		{map[string]string{"SECURE_COOKIES": "false"}, "SECURE_COOKIES", `"false"`, "on"},
		{map[string]string{"METRICS_LISTEN": "9090"}, "METRICS_LISTEN", `"9090"`, "host:port"},
		{map[string]string{"METRICS_LISTEN": ":9090"}, "METRICS_LISTEN", `":9090"`, "this machine"},
		{production("ALLOWED_ORIGINS", "http://app.example.com"), "ALLOWED_ORIGINS", `"http://app.example.com"`, "https"},
		{production("SECURE_COOKIES", "off"), "SECURE_COOKIES", `"off"`, "development"},
		{map[string]string{"SHUTDOWN_TIMEOUT": "-1s"}, "SHUTDOWN_TIMEOUT", `"-1s"`, "10s"},
		{map[string]string{"LOG_FORMAT": "xml"}, "LOG_FORMAT", `"xml"`, "text or json"},
		{map[string]string{"LOG_LEVEL": "INFO"}, "LOG_LEVEL", `"INFO"`, "info"},
		{map[string]string{"MODE": "production", "SECRET": canary}, "PUBLIC_URL", "nothing", "https"},
		{production("PUBLIC_URL", "http://auth.example.com"), "PUBLIC_URL", `"http://auth.example.com"`, "https"},
		{production("DATABASE_URL", remote+"?sslmode=disable"), "DATABASE_URL", "not shown", "sslmode"},
		{production("DATABASE_URL", "postgres:///x?host=/tmp,db.example.com&sslmode=disable"), "DATABASE_URL", "not shown", "sslmode"},
		{production("DATABASE_URL", remote+"?sslmode=prefer"), "DATABASE_URL", "not shown", "sslmode"},
		{production("DATABASE_URL", "postgres://a@localhost,db.example.com/x?sslmode=allow"), "DATABASE_URL", "not shown", "sslmode"},
		{production("DATABASE_URL", "postgres://a@localhost/x?hostaddr=192.0.2.1"), "DATABASE_URL", "not shown", "verify-full"},
		{production("DATABASE_URL", "postgres://a@[2001:db8::1]/x"), "DATABASE_URL", "not shown", "verify-full"},
		{production("DATABASE_URL", remote), "DATABASE_URL", "not shown", "verify-full"},
		{production("DATABASE_URL", remote+"?sslmode=require"), "DATABASE_URL", "not shown", "verify-full"},
		{map[string]string{"DATABASE_URL": "sqlite:x", "DATABASE_URL_FILE": short}, "DATABASE_URL", "a value", "none beside DATABASE_URL_FILE"},
		{map[string]string{"DATABASE_URL_FILE": short + "er"}, "DATABASE_URL_FILE", "bytes", "can be read"},
		{map[string]string{"DATABASE_URL_FILE": short}, "DATABASE_URL_FILE", "9 bytes", "sqlite:PATH"},
		{production("PGHOST", "db.example.com"), "PGHOST", "a value", "DATABASE_URL alone"},
		{production("PGHOSTADDR", "192.0.2.1"), "PGHOSTADDR", "a value", "DATABASE_URL alone"},
		{production("PGSERVICE", "x"), "PGSERVICE", "a value", "DATABASE_URL alone"},
		{production("DATABASE_URL", "postgres:///x?service=y"), "DATABASE_URL", "not shown", "verify-full"},
		{map[string]string{"PUBLIC_URL": "https://ada:" + canary + "@auth.example.com"}, "PUBLIC_URL", "not shown", "without user"},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://ada:" + canary + "@traces.example.com"}, "OTEL_EXPORTER_OTLP_ENDPOINT", "not shown", "without user"},
		{map[string]string{"EVENTS_TTL": "12h", "ACCESS_TOKEN_TTL": "12h"}, "EVENTS_TTL", `"12h"`, "ACCESS_TOKEN_TTL"},
		{map[string]string{"DATABASE_URL": "postgres:/ada:" + canary + "@db.example.com/x"}, "DATABASE_URL", "not shown", "postgres://"},
		{map[string]string{"DATABASE_URL": "postgres:ada:" + canary + "@db.example.com/x"}, "DATABASE_URL", "not shown", "postgres://"},
		{map[string]string{"DATABASE_URL": "postgres:///ada:" + canary + "@db.example.com/x"}, "DATABASE_URL", "not shown", "postgres://"},
		{production("DATABASE_URL", "postgres:x=1 host=192.0.2.1"), "DATABASE_URL", "not shown", "postgres://"},
		{map[string]string{"SECRET": canary + " "}, "SECRET", "48 bytes", "at least 32 bytes"},
		{map[string]string{"SECRET": "\ufeff" + canary}, "SECRET", "50 bytes", "at least 32 bytes"},
		{map[string]string{"SECRET": canary + "\n" + canary}, "SECRET", "95 bytes", "at least 32 bytes"},
		{production("SECRET", "$(openssl rand -base64 32)xxxxxxxxx"), "SECRET", "35 bytes", "guessed"},
		{production("SECRET", ""), "SECRET", "nothing", "in production"},
		{production("SECRET", strings.Repeat("x", 40)), "SECRET", "40 bytes", "guessed"},
		{production("SECRET", "0123456789abcdefghijklmnopqrstuvwxyz"), "SECRET", "36 bytes", "guessed"},
		{production("SECRET", strings.Repeat("k7Qw2vRt", 5)), "SECRET", "40 bytes", "guessed"},
		{production("SECRET", "Please-ChangeMe-9fQ2xL7vRt0bNwZ4kYc1mHd8"), "SECRET", "40 bytes", "guessed"},
		{production("SERVICE_KEYS", canary+","+strings.Repeat("x", 40)), "SERVICE_KEYS", "not shown", "guessed"},
		{production("ALLOWED_ORIGINS", "https://*.example.com"), "ALLOWED_ORIGINS", `"https://*.example.com"`, "in full"},
		{map[string]string{"MIGRATE": "no"}, "MIGRATE", `"no"`, "on or off"},
		{map[string]string{"SHUTDOWN_DELAY": "5"}, "SHUTDOWN_DELAY", `"5"`, "5s"},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT", `"localhost:4318"`, "http"},
		{map[string]string{"KEY_ROTATION": "1h"}, "KEY_ROTATION", `"1h"`, "at least 24h"},
		{map[string]string{"SERVICE_KEYS": "short"}, "SERVICE_KEYS", "5 bytes", "at least 32 bytes"},
	} {
		_, err := load(test.environment)
		if err == nil {
			t.Errorf("%v was taken", test.environment)
			continue
		}
		line := err.Error()
		if !strings.HasPrefix(line, test.name+": got ") || !strings.Contains(line, test.got) || !strings.Contains(line, test.take) || strings.Contains(line, "\n") {
			t.Errorf("%v: %s", test.environment, line)
		}
		if strings.Contains(line, "canary") {
			t.Errorf("shown: %s", line)
		}
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	_, err := load(map[string]string{
		"MODE": "production", "PUBLIC_URL": "http://auth.example.com", "DATABASE_URL": remote, "ALLOWED_ORIGINS": "*", "SECRET": strings.Repeat("x", 40), "PASSWORD_MIN_LENGTH": "3",
	})
	if err == nil {
		t.Fatal("taken")
	}
	var names []string
	for line := range strings.Lines(err.Error()) {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	if got := strings.Join(names, " "); got != "DATABASE_URL SECRET PUBLIC_URL PASSWORD_MIN_LENGTH ALLOWED_ORIGINS" {
		t.Fatal(got)
	}
}

func TestProductionTakesEveryRandomSecret(t *testing.T) {
	source := rand.NewChaCha8([32]byte{1}) // the same each time: one in a billion does read like a placeholder
	for range 10_000 {
		random := make([]byte, 32)
		_, _ = source.Read(random)
		for _, secret := range []string{base64.StdEncoding.EncodeToString(random), base64.RawURLEncoding.EncodeToString(random[:24]), hex.EncodeToString(random), hex.EncodeToString(random[:16])} {
			if _, err := load(map[string]string{"MODE": "production", "PUBLIC_URL": "https://auth.example.com", "SECRET": secret}); err != nil {
				t.Fatalf("%s: %v", secret, err)
			}
		}
	}
}

func TestADatabaseURLIsReadFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(remote+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(map[string]string{"DATABASE_URL_FILE": file, "SECRET": canary})
	if err != nil || c.DatabaseURL.Reveal() != remote {
		t.Fatal(err)
	}
}

func TestAConfigNeverShowsItsSecrets(t *testing.T) {
	c, err := load(map[string]string{"DATABASE_URL": remote, "SECRET": canary, "SECRET_PREVIOUS": canary})
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	slog.New(slog.NewTextHandler(&shown, nil)).Info("x", "config", c, "secret", c.Secret)
	slog.New(slog.NewJSONHandler(&shown, nil)).Info("x", "config", c, "secret", c.Secret)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&shown, verb, c)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(text)
	if strings.Contains(shown.String(), "canary") || strings.Contains(shown.String(), fmt.Sprintf("%x", "canary")) {
		t.Fatal(shown.String())
	}
}

func TestUsageNamesEveryVariable(t *testing.T) {
	usage := config.Usage()
	for _, name := range []string{"MODE", "LISTEN", "DATABASE_URL", "DATABASE_PREPARED", "SECRET_PREVIOUS", "SESSION_TTL", "LOG_LEVEL", "PASSWORD_MIN_LENGTH"} {
		if !strings.Contains(usage, "  "+name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestServersThatStartAtOnceAgreeOnTheSecretTheyMake(t *testing.T) {
	database := filepath.Join(t.TempDir(), "latchkey.db")
	c, err := load(map[string]string{"DATABASE_URL": "sqlite:" + database})
	if err != nil {
		t.Fatal(err)
	}
	secrets, errs := make([][]byte, 8), make([]error, 8)
	var group sync.WaitGroup
	for i := range secrets {
		group.Go(func() { secrets[i], _, errs[i] = c.SealingSecrets() })
	}
	group.Wait()
	for i := range secrets {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if len(secrets[i]) < 32 || !bytes.Equal(secrets[i], secrets[0]) {
			t.Fatal("two servers made two secrets")
		}
	}
	info, err := os.Stat(database + ".secret")
	if err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Fatalf("got %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(database))
	if err != nil || len(left) != 1 {
		t.Fatalf("left %v, %v", left, err)
	}
	if err := os.Chmod(database+".secret", 0o640); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.SealingSecrets(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("got %v, want a file that others can read refused", err)
	}
}

func TestASecretComesFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(canary+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(map[string]string{"SECRET_FILE": file, "SECRET_PREVIOUS": strings.ToUpper(canary)})
	if err != nil {
		t.Fatal(err)
	}
	current, previous, err := c.SealingSecrets()
	if err != nil || string(current) != canary || string(previous) != strings.ToUpper(canary) {
		t.Fatal("not what the file and the variable have")
	}
}
