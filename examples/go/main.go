// Command latchkey-cli signs in to a Latchkey server, and shows and ends the sessions of its user. It is an example of a
// program that keeps its tokens itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"latchkey/examples/go/session"
)

const usage = `latchkey-cli signs in to a Latchkey server, and shows and ends sessions.

Usage:
  latchkey-cli [FLAGS] signup EMAIL   open an account, and sign in
  latchkey-cli [FLAGS] login EMAIL    sign in
  latchkey-cli [FLAGS] whoami         show who is signed in
  latchkey-cli [FLAGS] devices        list the devices that the user is signed in on
  latchkey-cli [FLAGS] revoke ID      sign another device out
  latchkey-cli [FLAGS] logout         sign out

The password is asked for, or is the first line of standard input where that is no terminal.

Flags (environment, default):
  -url URL      the GraphQL endpoint (LATCHKEY_URL, http://localhost:8080/graphql)
  -file PATH    where the session is kept (LATCHKEY_SESSION_FILE, a file among the user's settings)
  -device NAME  what signup and login call this device in the list (the name of the machine)

Exit status: 0 done; 1 refused, or failed; 2 wrong usage; 3 nobody is signed in, or not any more; 4 the server cannot be
asked at present, try again later.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, terminal{os.Stdin, os.Stdout, os.Stderr})
	stop()
	if err != nil {
		message, status := explain(err)
		fmt.Fprintln(os.Stderr, "latchkey-cli:", message)
		os.Exit(status)
	}
}

// terminal is what a person sees and types.
type terminal struct {
	in       *os.File
	out, err io.Writer
}

// errUsage is what wrong usage is; latchkey-cli -help shows the right one.
var errUsage = errors.New("wrong usage")

func run(ctx context.Context, args []string, getenv func(string) string, t terminal) error {
	flags := flag.NewFlagSet("latchkey-cli", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main says what is wrong
	endpoint := flags.String("url", orElse(getenv("LATCHKEY_URL"), "http://localhost:8080/graphql"), "")
	path := flags.String("file", getenv("LATCHKEY_SESSION_FILE"), "")
	device := flags.String("device", "", "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err := io.WriteString(t.out, usage)
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if parsed, err := url.Parse(*endpoint); err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return fmt.Errorf("%w: the -url is no address such as https://auth.example.com/graphql", errUsage)
	}
	if *path == "" {
		folder, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("-file is needed: %w", err)
		}
		*path = filepath.Join(folder, "latchkey-cli", "session.json")
	}
	if *device == "" {
		*device, _ = os.Hostname() // a device without a name is fine
	}
	program := program{t, session.Settings{Endpoint: *endpoint, Store: session.File{Path: *path}}, *device}

	switch args := flags.Args(); {
	case len(args) == 2 && args[0] == "signup":
		return program.signUp(ctx, args[1])
	case len(args) == 2 && args[0] == "login":
		return program.logIn(ctx, args[1])
	case len(args) == 1 && args[0] == "whoami":
		return program.whoAmI(ctx)
	case len(args) == 1 && args[0] == "devices":
		return program.devices(ctx)
	case len(args) == 2 && args[0] == "revoke":
		return program.revoke(ctx, args[1])
	case len(args) == 1 && args[0] == "logout":
		return program.logOut(ctx)
	}
	return fmt.Errorf("%w: no such command", errUsage)
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
