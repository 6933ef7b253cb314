package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"latchkey/examples/go/api"
	"latchkey/examples/go/session"
)

// program is what the commands have in common.
type program struct {
	terminal
	settings session.Settings
	device   string
}

// errNoUser says that an answer has neither a user nor an error: Latchkey's always have one of them.
var errNoUser = errors.New("this is not an answer of a Latchkey server")

func (p program) signUp(ctx context.Context, email string) error {
	password, err := readPassword(ctx, p.terminal, "Password: ", "Once more: ")
	if err != nil {
		return err
	}
	if _, err := session.SignUp(ctx, p.settings, email, password, p.device); err != nil {
		return err
	}
	return p.say("opened an account for %s, and signed in", email)
}

func (p program) logIn(ctx context.Context, email string) error {
	password, err := readPassword(ctx, p.terminal, "Password: ")
	if err != nil {
		return err
	}
	if _, err := session.LogIn(ctx, p.settings, email, password, p.device); err != nil {
		return err
	}
	return p.say("signed in as %s", email)
}

func (p program) whoAmI(ctx context.Context) error {
	s, err := session.Open(p.settings)
	if err != nil {
		return err
	}
	answer, err := api.Me(ctx, s)
	if err != nil {
		return err
	}
	if answer.Me == nil {
		return errNoUser
	}
	name := ""
	if answer.Me.Name != nil {
		name = " (" + *answer.Me.Name + ")"
	}
	return p.say("%s%s, %s, since %s", answer.Me.Email, name, answer.Me.Role, answer.Me.CreatedAt.Format(time.DateOnly))
}

func (p program) devices(ctx context.Context) error {
	s, err := session.Open(p.settings)
	if err != nil {
		return err
	}
	answer, err := api.MySessions(ctx, s)
	if err != nil {
		return err
	}
	if answer.Me == nil {
		return errNoUser
	}
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tDEVICE\tADDRESS\tLAST USED")
	for _, device := range answer.Me.Sessions {
		mark := ""
		if device.Current {
			mark = "\tthis one"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s%s\n", device.Id, orDash(device.DeviceName, device.Client), orDash(device.Ip),
			device.LastUsedAt.Format(time.RFC3339), mark)
	}
	return table.Flush()
}

func (p program) revoke(ctx context.Context, id string) error {
	s, err := session.Open(p.settings)
	if err != nil {
		return err
	}
	if id == s.ID() { // so that the file does not keep what is dead
		return p.logOut(ctx)
	}
	answer, err := api.RevokeSession(ctx, s, id)
	if err != nil {
		return err
	}
	if !answer.RevokeSession.Revoked {
		return errors.New("you have no live session with this ID: latchkey-cli devices lists them")
	}
	return p.say("signed that device out")
}

func (p program) logOut(ctx context.Context) error {
	s, err := session.Open(p.settings)
	if errors.Is(err, session.ErrSignedOut) {
		return p.say("nobody was signed in")
	}
	if err != nil {
		return err
	}
	if err := s.SignOut(ctx); err != nil {
		return fmt.Errorf("you are still signed in: %w", err)
	}
	return p.say("signed out")
}

func (p program) say(format string, args ...any) error {
	_, err := fmt.Fprintln(p.out, printable(fmt.Sprintf(format, args...)))
	return err
}

// orDash returns the first of the texts that there is. Others chose them: whoever knows the password can name a device.
func orDash(texts ...*string) string {
	for _, text := range texts {
		if text != nil {
			return printable(*text)
		}
	}
	return "-"
}

// printable returns a text without what would move the cursor of a terminal, or turn around what it shows.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
