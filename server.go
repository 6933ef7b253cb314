// Latchkey signs people in and keeps them signed in. See README.md.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"latchkey/auth"
	"latchkey/cli"
	"latchkey/config"
	"latchkey/db"
	"latchkey/doctor"
	"latchkey/graph"
	"latchkey/internal/tuning"
	"latchkey/telemetry"
	"latchkey/web"
)

//go:generate go run github.com/99designs/gqlgen generate

//go:embed schema.graphqls
var schema []byte

// version is stamped into release binaries by the linker.
var version string

func main() {
	if err := run(context.Background(), os.Args[1:], os.Getenv); err != nil {
		for line := range strings.Lines(err.Error()) { // all that is wrong, at once
			fmt.Fprintln(os.Stderr, "latchkey:", strings.TrimSuffix(line, "\n"))
		}
		os.Exit(1)
	}
}

// run runs a command, or without arguments the server until it is told to stop.
func run(ctx context.Context, args []string, getenv func(string) string) error {
	switch strings.Join(args, " ") {
	case "":
		return serve(ctx, getenv)
	case "--help", "-h", "help":
		_, err := io.WriteString(os.Stdout, cli.Usage())
		return err
	case "--version", "version":
		_, err := fmt.Printf("latchkey %s %s %s/%s\n", versionName(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	case "doctor":
		return cli.ShowFindings(os.Stdout, doctor.Examine(ctx, getenv, time.Now))
	case "health":
		cfg, err := config.Load(getenv)
		if err != nil {
			return err
		}
		return cli.Health(ctx, cfg.Listen)
	case "migrate":
		return onStore(ctx, getenv, func(_ config.Config, store *db.Store, _ *slog.Logger) error { return store.Migrate(ctx) })
	}
	operate, err := cli.Parse(args)
	if err != nil {
		return err
	}
	return onStore(ctx, getenv, func(cfg config.Config, store *db.Store, log *slog.Logger) error {
		rules, err := settings(cfg)
		if err != nil {
			return err
		}
		service, err := newService(ctx, cfg, rules, store, log)
		if err != nil {
			return err
		}
		return operate(ctx, service, cli.Terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	})
}

// onStore does something with the database of an environment.
func onStore(ctx context.Context, getenv func(string) string, do func(config.Config, *db.Store, *slog.Logger) error) error {
	cfg, err := config.Load(getenv)
	if err != nil {
		return err
	}
	log := newLog(cfg)
	store, err := connect(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	return do(cfg, store, log)
}

func connect(ctx context.Context, cfg config.Config, log *slog.Logger) (*db.Store, error) {
	return db.Connect(ctx, db.Options{
		URL: cfg.DatabaseURL.Reveal(), Timeout: cfg.DatabaseTimeout, Log: log, Prepare: db.Prepare(cfg.DatabasePrepared),
	})
}

// newService returns the domain on a database whose schema it brings up to date, or requires to be.
func newService(ctx context.Context, cfg config.Config, rules auth.Settings, store *db.Store, log *slog.Logger) (*auth.Service, error) {
	var err error
	if cfg.Migrate {
		err = store.Migrate(ctx)
	} else if pending, _, countErr := store.PendingMigrations(ctx); countErr != nil || pending > 0 {
		err = cmp.Or(countErr, fmt.Errorf("MIGRATE: it is off, and the database lacks %d migrations: run `latchkey migrate` first", pending))
	}
	if err != nil {
		return nil, err
	}
	secret, previous, err := cfg.SealingSecrets()
	if err != nil {
		return nil, err
	}
	ring, err := auth.OpenKeyRing(ctx, store, secret, previous, time.Now())
	if errors.Is(err, auth.ErrWrongSecret) {
		return nil, fmt.Errorf("SECRET: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return auth.New(store, ring, rules, time.Now, log)
}

// versionName returns what release binaries are stamped with, or what else tells this version.
func versionName() string {
	if version != "" {
		return version
	}
	name := "development"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				name = setting.Value
			}
		}
	}
	return name
}

// serve answers requests until SIGINT or SIGTERM, finishes those that it has begun, and writes what is
// still in memory. A second signal ends the process at once. In production it does not start with what is unsafe, and says
// all that is.
func serve(ctx context.Context, getenv func(string) string) error {
	tuning.Apply(getenv)
	cfg, err := config.Load(getenv)
	rules, rulesErr := settings(cfg)
	err = errors.Join(err, rulesErr)
	guarded := cfg.Mode == config.Production && cfg.DatabaseURL != ""
	if err != nil && !guarded {
		return err
	}
	log := newLog(cfg)
	store, connectErr := connect(ctx, cfg, log)
	if connectErr != nil {
		return errors.Join(err, connectErr)
	}
	defer func() { _ = store.Close() }()
	if guarded {
		err = errors.Join(err, doctor.Guard(ctx, store))
	}
	if err != nil {
		return err
	}
	service, err := newService(ctx, cfg, rules, store, log)
	if err != nil {
		return err
	}
	traces := telemetry.NoTraces()
	if cfg.TracesURL != "" {
		if traces, err = telemetry.SendTraces(ctx, cfg.TracesURL, versionName(), log); err != nil {
			return err
		}
	}
	defer traces.Shutdown(ctx)
	return listen(ctx, cfg, store, service, traces, log)
}

func listen(ctx context.Context, cfg config.Config, store *db.Store, service *auth.Service, traces *telemetry.Traces, log *slog.Logger) error {
	signalled, unhook := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer unhook()
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(signalled, func() {
		unhook() // first of all: from here on a signal has its usual effect
		stop()
	})

	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("LISTEN: %w", err)
	}
	metrics := web.NewMetrics()
	metrics.Watch(versionName(), service, store.Stats)
	edge, err := web.New(edgeOptions(cfg, service, store, metrics, traces, log))
	if err != nil {
		return err
	}
	untilAnswered, answered := context.WithCancel(ctx)
	defer answered()
	var background sync.WaitGroup
	if cfg.MetricsListen != "" {
		metricsListener, err := net.Listen("tcp", cfg.MetricsListen)
		if err != nil {
			return fmt.Errorf("METRICS_LISTEN: %w", err)
		}
		log.Info("metrics", "url", "http://"+metricsListener.Addr().String()+"/metrics")
		background.Go(func() {
			if err := metrics.Serve(untilAnswered, metricsListener, log); err != nil {
				log.Error("no metrics", "error", err)
			}
		})
	}
	background.Go(func() { service.KeepConfirming(untilAnswered) })
	background.Go(func() { service.KeepCleaning(stopped) })
	background.Go(func() { service.KeepKeys(stopped) })

	log.Info("listening", "url", "http://"+listener.Addr().String(), "mode", cfg.Mode)
	err = edge.Serve(stopped, listener, web.Stopping{Delay: cfg.ShutdownDelay, Timeout: cfg.ShutdownTimeout})
	answered()
	background.Wait()
	err = errors.Join(err, service.FlushConfirmations(ctx))
	log.Info("stopped")
	return err
}

func edgeOptions(cfg config.Config, service *auth.Service, store *db.Store, metrics *web.Metrics, traces *telemetry.Traces, log *slog.Logger) web.Options {
	options := web.Options{
		Executor:        graph.NewExecutor(service, log, graph.Options{Introspection: cfg.Introspection, Metrics: metrics}),
		PublicKeys:      service.PublicKeys,
		EndedSince:      service.EndedSince,
		ClockSkew:       func(ctx context.Context) (time.Duration, error) { return store.ClockSkew(ctx, time.Now) },
		Log:             log,
		Metrics:         metrics,
		Traces:          traces,
		PublicURL:       cfg.PublicURL,
		AllowedOrigins:  cfg.AllowedOrigins,
		TrustedProxies:  cfg.TrustedProxies,
		InsecureCookies: !cfg.SecureCookies,
		Explorer:        cfg.Explorer,
	}
	for _, key := range cfg.ServiceKeys {
		options.ServiceKeys = append(options.ServiceKeys, auth.Secret(key))
	}
	if cfg.Introspection {
		options.Schema = schema
	}
	return options
}

func settings(cfg config.Config) (auth.Settings, error) {
	var extra auth.ExtraClaims
	if cfg.ExtraClaims != nil {
		var err error
		if extra, err = auth.ParseExtraClaims(cfg.ExtraClaims); err != nil {
			return auth.Settings{}, fmt.Errorf("CLAIMS_FILE: %w", err)
		}
	}
	return auth.Settings{
		ExtraClaims:        extra,
		Issuer:             cfg.PublicURL,
		Audience:           cfg.Audience,
		KeyRotation:        cfg.KeyRotation,
		AccessTokenTTL:     cfg.AccessTokenTTL,
		SessionIdleTTL:     cfg.SessionIdleTTL,
		SessionTTL:         cfg.SessionTTL,
		RefreshGrace:       cfg.RefreshGrace,
		RefreshRetryWindow: cfg.RefreshRetryWindow,
		SignUpClosed:       !cfg.SignUpOpen,
		PasswordMinLength:  cfg.PasswordMinLength,
		HashSlots:          tuning.Cores,
		MaxSessions:        cfg.MaxSessions,
		EventsTTL:          cfg.EventsTTL,
		LoginLimit:         auth.Limit(cfg.LoginLimit),
		LoginIPLimit:       auth.Limit(cfg.LoginIPLimit),
	}, nil
}

func newLog(cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(os.Stderr, options)
	if cfg.LogFormat == "json" {
		handler = slog.NewJSONHandler(os.Stderr, options)
	}
	return slog.New(telemetry.LogHandler(handler))
}
