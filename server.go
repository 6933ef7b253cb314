// Latchkey signs people in and keeps them signed in. See README.md.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"latchkey/auth"
	"latchkey/cli"
	"latchkey/config"
	"latchkey/db"
	"latchkey/graph"
	"latchkey/web"
)

//go:generate go run github.com/99designs/gqlgen generate

//go:embed schema.graphqls
var schema []byte

func main() {
	if err := run(context.Background(), os.Args[1:], os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "latchkey:", strings.ReplaceAll(err.Error(), "\n", "; ")) // joined errors have lines
		os.Exit(1)
	}
}

// run runs a command, or without arguments the server until it is told to stop.
func run(ctx context.Context, args []string, getenv func(string) string) error {
	command := serve
	if len(args) > 0 {
		if args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
			_, err := io.WriteString(os.Stdout, cli.Usage())
			return err
		}
		operate, err := cli.Parse(args)
		if err != nil {
			return err
		}
		command = func(ctx context.Context, _ config.Config, _ *db.Store, service *auth.Service, _ *slog.Logger) error {
			return operate(ctx, service, cli.Terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
		}
	}
	cfg, err := config.Load(getenv)
	if err != nil {
		return err
	}
	rules, err := settings(cfg)
	if err != nil {
		return err
	}
	log := newLog(cfg)
	store, err := db.Open(ctx, db.Options{URL: cfg.DatabaseURL.Reveal(), Timeout: cfg.DatabaseTimeout, Log: log})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	secret, previous, err := cfg.SealingSecrets()
	if err != nil {
		return err
	}
	ring, err := auth.OpenKeyRing(ctx, store, secret, previous, time.Now())
	if errors.Is(err, auth.ErrWrongSecret) {
		return fmt.Errorf("SECRET: %w", err)
	}
	if err != nil {
		return err
	}
	service, err := auth.New(store, ring, rules, time.Now, log)
	if err != nil {
		return err
	}
	return command(ctx, cfg, store, service, log)
}

// serve answers requests until SIGINT or SIGTERM, finishes those that it has begun, and writes what is
// still in memory. A second signal ends the process at once.
func serve(ctx context.Context, cfg config.Config, store *db.Store, service *auth.Service, log *slog.Logger) error {
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
	edge, err := web.New(edgeOptions(cfg, service, store, metrics, log))
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
	err = edge.Serve(stopped, listener, cfg.ShutdownTimeout)
	answered()
	background.Wait()
	err = errors.Join(err, service.FlushConfirmations(ctx))
	log.Info("stopped")
	return err
}

func edgeOptions(cfg config.Config, service *auth.Service, store *db.Store, metrics *web.Metrics, log *slog.Logger) web.Options {
	options := web.Options{
		Executor:        graph.NewExecutor(service, log, graph.Options{Introspection: cfg.Introspection, Refusals: metrics}),
		PublicKeys:      service.PublicKeys,
		EndedSince:      service.EndedSince,
		Ping:            store.Ping,
		Log:             log,
		Metrics:         metrics,
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
		MaxSessions:        cfg.MaxSessions,
		EventsTTL:          cfg.EventsTTL,
		LoginLimit:         auth.Limit(cfg.LoginLimit),
		LoginIPLimit:       auth.Limit(cfg.LoginIPLimit),
	}, nil
}

func newLog(cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
