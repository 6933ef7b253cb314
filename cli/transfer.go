package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"latchkey/auth"
)

const (
	// importBatch is how many accounts are stored at once: all of them or none.
	importBatch = 500
	maxLine     = 64 << 10
)

// record is a line of the files that import reads and export writes.
type record struct {
	Email        string     `json:"email"`
	Name         *string    `json:"name,omitempty"`
	PasswordHash string     `json:"passwordHash,omitempty"`
	Role         string     `json:"role,omitempty"`
	CreatedAt    time.Time  `json:"createdAt,omitzero"`
	DisabledAt   *time.Time `json:"disabledAt,omitempty"`
}

// importing is one run of import.
type importing struct {
	service  *auth.Service
	terminal Terminal
	bar      io.Writer      // counts bytes
	lines    map[string]int // where an address stood, by its normalised form
	batch    []auth.NewUser

	added, present, bad int
}

// importUsers returns the command that stores the accounts of a file, one JSON object a line. Bad lines are named and
// left out. An address that has an account already is left as it is, so the command can be repeated.
func importUsers(path string) command {
	return func(ctx context.Context, service *auth.Service, terminal Terminal) error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		i := &importing{service: service, terminal: terminal, bar: io.Discard, lines: map[string]int{}}
		if output, ok := terminal.Err.(*os.File); ok && term.IsTerminal(int(output.Fd())) {
			bar := progressbar.DefaultBytes(info.Size(), "importing")
			defer func() { _ = bar.Exit() }()
			i.bar = bar
		}
		if err := i.readAll(ctx, bufio.NewReaderSize(io.TeeReader(file, i.bar), maxLine)); err != nil {
			return fmt.Errorf("%w (%d added so far: repeat the command to go on)", err, i.added)
		}
		_, err = fmt.Fprintf(terminal.Out, "added: %d, had an account already: %d, bad lines: %d\n", i.added, i.present, i.bad)
		if err == nil && i.bad > 0 {
			err = errors.New("some lines are bad; mend them and import again")
		}
		return err
	}
}

func (i *importing) readAll(ctx context.Context, in *bufio.Reader) error {
	for number := 1; ; number++ {
		line, cut, err := in.ReadLine()
		if errors.Is(err, io.EOF) {
			return i.flush(ctx)
		}
		for rest := cut; rest && err == nil; {
			_, rest, err = in.ReadLine()
		}
		if err != nil {
			return err
		}
		switch {
		case cut:
			i.refuse(number, fmt.Sprintf("is longer than %d bytes", maxLine))
		case len(line) > 0:
			i.read(number, line)
		}
		if len(i.batch) == importBatch {
			if err := i.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// read takes a line in, or says what is wrong with it without repeating any of it.
func (i *importing) read(number int, line []byte) {
	r := record{Role: string(auth.RoleUser)}
	if err := json.Unmarshal(line, &r, json.RejectUnknownMembers(true)); err != nil {
		i.refuse(number, "is not a JSON object with the members email, name, passwordHash, role, createdAt and disabledAt")
		return
	}
	user, err := i.service.ImportedUser(auth.UserRecord{
		Email: r.Email, Name: r.Name, PasswordHash: auth.Secret(r.PasswordHash), Role: auth.Role(r.Role),
		CreatedAt: r.CreatedAt, DisabledAt: r.DisabledAt,
	})
	if err != nil {
		i.refuse(number, err.Error())
		return
	}
	if before, ok := i.lines[user.NormalizedEmail]; ok {
		i.refuse(number, fmt.Sprintf("has the address of line %d", before))
		return
	}
	i.lines[user.NormalizedEmail] = number
	i.batch = append(i.batch, *user)
}

func (i *importing) refuse(number int, problem string) {
	i.bad++
	_, _ = fmt.Fprintf(i.terminal.Err, "line %d: %s\n", number, problem)
}

func (i *importing) flush(ctx context.Context) error {
	added, err := i.service.ImportUsers(ctx, i.batch)
	if err != nil {
		return err
	}
	i.added += added
	i.present += len(i.batch) - added
	i.batch = i.batch[:0]
	return nil
}

// exportUsers returns the command that writes all accounts, one JSON object a line, as import reads them.
func exportUsers(withHashes bool) command {
	return func(ctx context.Context, service *auth.Service, terminal Terminal) error {
		out := bufio.NewWriter(terminal.Out)
		err := service.ExportUsers(ctx, func(user auth.UserRecord) error {
			r := record{Email: user.Email, Name: user.Name, Role: string(user.Role), CreatedAt: user.CreatedAt, DisabledAt: user.DisabledAt}
			if withHashes {
				r.PasswordHash = user.PasswordHash.Reveal()
			}
			line, err := json.Marshal(r)
			if err != nil {
				return err
			}
			_, err = out.Write(append(line, '\n'))
			return err
		})
		return errors.Join(err, out.Flush())
	}
}
