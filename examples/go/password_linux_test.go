package main_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// newTerminal returns both ends of a terminal: what a person holds, and what a program gets.
func newTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// echoes reports whether a terminal shows what is typed.
func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// attach starts the program on a terminal, whose interrupts reach it.
func attach(t *testing.T, c command, terminal *os.File, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), cli, args...)
	cmd.Env = []string{"LATCHKEY_URL=" + c.endpoint, "HOME=" + c.folder}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// answer waits for a prompt, as people do, and types.
func answer(t *testing.T, person io.ReadWriter, program *os.File, prompt, typed string) {
	t.Helper()
	shown := make([]byte, len(prompt))
	_, err := io.ReadFull(person, shown)
	want(t, fmt.Sprintf("prompt (%v)", err), string(shown), prompt)
	for echoes(t, program) { // the prompt comes a moment before
	}
	if _, err := io.WriteString(person, typed); err != nil {
		t.Fatal(err)
	}
}

func TestAPasswordThatIsTypedIsNotShown(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		c := command{start(t, databaseURL), t.TempDir()}
		email := newEmail()
		for second, told := range map[string]string{
			password:         "opened an account for " + email + ", and signed in\r\n",
			password + " no": "latchkey-cli: these were two different passwords: nothing was done\r\n",
		} {
			person, program := newTerminal(t)
			cmd := attach(t, c, program, "signup", email)
			answer(t, person, program, "Password: ", password+"\n")
			answer(t, person, program, "\r\nOnce more: ", second+"\n")
			_ = cmd.Wait() // what was told says how it ended
			_ = program.Close()
			rest, _ := io.ReadAll(person) // until the other end is closed, which is an error
			want(t, "shown", string(rest), "\r\n"+told)
		}
	})
}

func TestAnInterruptAtThePromptLeavesATerminalThatShowsWhatIsTyped(t *testing.T) {
	t.Parallel()
	person, program := newTerminal(t)
	cmd := attach(t, command{"http://localhost/graphql", t.TempDir()}, program, "login", newEmail())
	answer(t, person, program, "Password: ", "\x03")
	exit, ok := errors.AsType[*exec.ExitError](cmd.Wait())
	want(t, "interrupted", ok && exit.ExitCode() == 130, true)
	want(t, "echoes", echoes(t, program), true)
}
