package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"

	"latchkey/examples/go/secret"
)

// longestPassword is more than any server takes, so that what is piped in by mistake is not read to its end.
const longestPassword = 64 << 10

// readPassword asks for a password, with each of the prompts in turn, and shows nothing of what is typed. Where standard
// input is no terminal it reads the first line and asks nothing.
func readPassword(ctx context.Context, t terminal, prompts ...string) (secret.Text, error) {
	if !term.IsTerminal(int(t.in.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(t.in, longestPassword)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return secret.Text(strings.TrimRight(line, "\r\n")), nil
	}
	var password secret.Text
	for i, prompt := range prompts {
		_, _ = fmt.Fprint(t.err, prompt)
		typed, err := readHidden(ctx, int(t.in.Fd()))
		_, _ = fmt.Fprintln(t.err)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		if i > 0 && typed != password {
			return "", errors.New("these were two different passwords: nothing was done")
		}
		password = typed
	}
	return password, nil
}

// readHidden reads a line without showing it. An interrupt ends it, and the terminal then shows again what is typed.
func readHidden(ctx context.Context, terminal int) (secret.Text, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	type read struct {
		text []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		done <- read{text, err}
	}()
	select {
	case line := <-done:
		return secret.Text(line.text), line.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(terminal, before))
	}
}
