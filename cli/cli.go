// Package cli is what an operator types beside starting the server.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"latchkey/auth"
	"latchkey/config"
)

// Usage returns the text of --help.
func Usage() string {
	return `Latchkey signs people in and keeps them signed in, over GraphQL.

Usage:
  latchkey                     start the server
  latchkey user add EMAIL      make an account; the password is asked for, or read from standard input
  latchkey user list           list the accounts
  latchkey user disable EMAIL  bar a user from signing in, and end all sessions of that user now
  latchkey --help              show this

Environment (variable, default, meaning):
` + config.Usage()
}

// Terminal is where a command reads and writes.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
}

// Parse returns the command in arguments, which is not empty, to be run once there is a service.
func Parse(args []string) (func(context.Context, *auth.Service, Terminal) error, error) {
	if args[0] == "user" {
		switch {
		case len(args) == 3 && args[1] == "add":
			return func(ctx context.Context, service *auth.Service, terminal Terminal) error {
				return addUser(ctx, service, terminal, args[2])
			}, nil
		case len(args) == 2 && args[1] == "list":
			return listUsers, nil
		case len(args) == 3 && args[1] == "disable":
			return func(ctx context.Context, service *auth.Service, terminal Terminal) error {
				return disableUser(ctx, service, terminal, args[2])
			}, nil
		}
	}
	return nil, errors.New("unknown command; try --help")
}

func addUser(ctx context.Context, service *auth.Service, terminal Terminal, email string) error {
	password, err := readPassword(terminal)
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	user, err := service.AddUser(ctx, email, password)
	if weak, ok := errors.AsType[*auth.WeakPasswordError](err); ok {
		return errors.New(weak.Problem)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(terminal.Out, "added %s, id %s\n", user.Email, user.ID)
	return err
}

// readPassword asks for a password without showing it where a person types it, and else reads a line.
func readPassword(terminal Terminal) (auth.Secret, error) {
	if file, ok := terminal.In.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		_, _ = fmt.Fprint(terminal.Err, "Password: ")
		typed, err := term.ReadPassword(int(file.Fd()))
		_, _ = fmt.Fprintln(terminal.Err)
		return auth.Secret(typed), err
	}
	const most = 64 << 10
	text, err := io.ReadAll(io.LimitReader(terminal.In, most))
	if err != nil {
		return "", err
	}
	line, rest, _ := strings.Cut(string(text), "\n")
	if strings.TrimSpace(rest) != "" {
		return "", errors.New("standard input has several lines")
	}
	return auth.Secret(strings.TrimSuffix(line, "\r")), nil
}

func listUsers(ctx context.Context, service *auth.Service, terminal Terminal) error {
	table := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "EMAIL\tROLE\tSTATUS\tCREATED\tID")
	for after := ""; ; {
		users, err := service.Users(ctx, after, 100)
		if err != nil {
			return err
		}
		if len(users) == 0 {
			return table.Flush()
		}
		for _, user := range users {
			status := "enabled"
			if user.DisabledAt != nil {
				status = "disabled"
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", user.Email, user.Role, status, user.CreatedAt.Format(time.RFC3339), user.ID)
		}
		after = users[len(users)-1].Email
	}
}

func disableUser(ctx context.Context, service *auth.Service, terminal Terminal, email string) error {
	ended, err := service.DisableUser(ctx, email)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(terminal.Out, "disabled %s, sessions ended: %d\n", email, ended)
	return err
}
