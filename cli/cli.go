// Package cli is what an operator types beside starting the server.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
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
  latchkey                              start the server
  latchkey user add [--admin] EMAIL     make an account; the password is asked for, or read from standard input
  latchkey user list                    list the accounts
  latchkey user set-role EMAIL ROLE     make a user an administrator (ADMIN), or one no more (USER)
  latchkey user disable EMAIL           bar a user from signing in, and end all sessions of that user now
  latchkey user enable EMAIL            let a user sign in again
  latchkey user import FILE.jsonl       make accounts of records, one JSON object a line; may be repeated
  latchkey user export [--with-hashes]  write such records
  latchkey keys list                    list the keys of the tokens, and where each is on its way
  latchkey keys rotate [--now] [KIND]   make the next key, signing or refresh, or of both; it is used in ten minutes
  latchkey keys revoke ID               end the use of a leaked key everywhere, now
  latchkey doctor                       check the settings, the database, its clock and the keys, and say what to do
  latchkey migrate                      bring the database's schema up to date, for servers with MIGRATE=off
  latchkey health                       exit with 0 if the server that this environment describes is ready, else with 1
  latchkey --version                    show which version this is
  latchkey --help                       show this

Environment (variable, default, meaning):
` + config.Usage()
}

// Terminal is where a command reads and writes.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
}

// command is what an operator has typed, to be run once there is a service.
type command = func(context.Context, *auth.Service, Terminal) error

var errUnknown = errors.New("unknown command; try --help")

// Parse returns the command in arguments, which is not empty, to be run once there is a service.
func Parse(args []string) (command, error) {
	if len(args) < 2 {
		return nil, errUnknown
	}
	switch name, rest := args[1], args[2:]; args[0] {
	case "user":
		return parseUser(name, rest)
	case "keys":
		return parseKeys(name, rest)
	}
	return nil, errUnknown
}

func parseUser(name string, rest []string) (command, error) {
	switch {
	case name == "add" && len(rest) == 2 && rest[0] == "--admin":
		return addUser(rest[1], auth.RoleAdmin), nil
	case name == "add" && len(rest) == 1:
		return addUser(rest[0], auth.RoleUser), nil
	case name == "list" && len(rest) == 0:
		return listUsers, nil
	case name == "set-role" && len(rest) == 2:
		role := auth.Role(rest[1])
		if role != auth.RoleUser && role != auth.RoleAdmin {
			return nil, errors.New("a role is USER or ADMIN")
		}
		return setRole(rest[0], role), nil
	case name == "disable" && len(rest) == 1:
		return disableUser(rest[0]), nil
	case name == "enable" && len(rest) == 1:
		return enableUser(rest[0]), nil
	case name == "import" && len(rest) == 1:
		return importUsers(rest[0]), nil
	case name == "export" && len(rest) == 1 && rest[0] == "--with-hashes":
		return exportUsers(true), nil
	case name == "export" && len(rest) == 0:
		return exportUsers(false), nil
	}
	return nil, errUnknown
}

func addUser(email string, role auth.Role) command {
	return func(ctx context.Context, service *auth.Service, terminal Terminal) error {
		password, err := readPassword(terminal)
		if err != nil {
			return fmt.Errorf("read the password: %w", err)
		}
		user, err := service.AddUser(ctx, email, password, role)
		if weak, ok := errors.AsType[*auth.WeakPasswordError](err); ok {
			return errors.New(weak.Problem)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(terminal.Out, "added %s, id %s\n", user.Email, user.ID)
		return err
	}
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
	for user, err := range allUsers(ctx, service) {
		if err != nil {
			return err
		}
		status := "enabled"
		if user.DisabledAt != nil {
			status = "disabled"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", user.Email, user.Role, status, user.CreatedAt.Format(time.RFC3339), user.ID)
	}
	return table.Flush()
}

// allUsers yields all users, or the error that ends them.
func allUsers(ctx context.Context, service *auth.Service) iter.Seq2[*auth.User, error] {
	return func(yield func(*auth.User, error) bool) {
		var after *string
		for {
			page, err := service.Users(ctx, "", 100, after)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Users {
				if !yield(&page.Users[i], nil) {
					return
				}
			}
			if !page.More {
				return
			}
			cursor, err := page.Users[len(page.Users)-1].Cursor()
			if err != nil {
				yield(nil, err)
				return
			}
			after = &cursor
		}
	}
}

func setRole(email string, role auth.Role) command {
	return onUser(email, func(ctx context.Context, service *auth.Service, terminal Terminal, user *auth.User) error {
		if err := service.SetRole(ctx, auth.Actor{}, user.ID, role); err != nil {
			return err
		}
		_, err := fmt.Fprintf(terminal.Out, "%s is %s\n", user.Email, role)
		return err
	})
}

func disableUser(email string) command {
	return onUser(email, func(ctx context.Context, service *auth.Service, terminal Terminal, user *auth.User) error {
		ended, err := service.DisableUser(ctx, auth.Actor{}, user.ID)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(terminal.Out, "disabled %s, sessions ended: %d\n", user.Email, ended)
		return err
	})
}

func enableUser(email string) command {
	return onUser(email, func(ctx context.Context, service *auth.Service, terminal Terminal, user *auth.User) error {
		if err := service.EnableUser(ctx, auth.Actor{}, user.ID); err != nil {
			return err
		}
		_, err := fmt.Fprintf(terminal.Out, "enabled %s\n", user.Email)
		return err
	})
}

// onUser returns a command on the user with an address.
func onUser(email string, do func(context.Context, *auth.Service, Terminal, *auth.User) error) command {
	return func(ctx context.Context, service *auth.Service, terminal Terminal) error {
		user, err := service.UserByEmail(ctx, email)
		if errors.Is(err, auth.ErrNotFound) {
			return errors.New("nobody has this address")
		}
		if err != nil {
			return err
		}
		return do(ctx, service, terminal, user)
	}
}
