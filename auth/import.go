package auth

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"
)

// UserRecord is an account as it is brought from elsewhere, or taken there.
type UserRecord struct {
	Email        string
	Name         *string
	PasswordHash Secret // PHC string of argon2id, or bcrypt's $2a$, $2b$ or $2y$
	Role         Role
	CreatedAt    time.Time  // zero: now
	DisabledAt   *time.Time // nil: enabled
}

// The most that checking a hash from elsewhere may cost: every sign-in of that user does it once more.
const (
	mostArgon2idMemory = 256 << 10 // KiB
	mostArgon2idPasses = 16
	mostBcryptCost     = 16 // two seconds or so
)

var bcryptForm = regexp.MustCompile(`^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$`)

// ImportedUser returns the account that a record stands for, to be given to ImportUsers. No password is at hand, so
// none is judged. Errors: *InvalidInputError.
func (s *Service) ImportedUser(record UserRecord) (*NewUser, error) {
	now := s.now()
	normal, err := NormalizeEmail(record.Email)
	if err != nil {
		return nil, err
	}
	name, err := label("name", record.Name, maxLabelLength)
	if err != nil {
		return nil, err
	}
	if problem := badHash(record.PasswordHash.Reveal()); problem != "" {
		return nil, &InvalidInputError{Field: "passwordHash", Problem: problem}
	}
	if record.Role != RoleUser && record.Role != RoleAdmin {
		return nil, &InvalidInputError{Field: "role", Problem: "is neither USER nor ADMIN"}
	}
	if record.CreatedAt.IsZero() {
		record.CreatedAt = now
	}
	for field, at := range map[string]*time.Time{"createdAt": &record.CreatedAt, "disabledAt": record.DisabledAt} {
		if at == nil {
			continue
		}
		*at = at.UTC().Truncate(time.Microsecond)
		if at.After(now) || at.Year() < 1970 {
			return nil, &InvalidInputError{Field: field, Problem: "is not a time between 1970 and now"}
		}
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	return &NewUser{
		User:            User{ID: id, Email: record.Email, Name: name, Role: record.Role, CreatedAt: record.CreatedAt, DisabledAt: record.DisabledAt},
		NormalizedEmail: normal,
		PasswordHash:    record.PasswordHash.Reveal(),
	}, nil
}

// badHash says what is wrong with a password hash, or nothing.
func badHash(hash string) string {
	if isBcrypt(hash) {
		cost, err := bcrypt.Cost([]byte(hash))
		switch {
		case err != nil || !bcryptForm.MatchString(hash):
			return "is not a hash of bcrypt"
		case cost > mostBcryptCost:
			return fmt.Sprintf("costs more than %d", mostBcryptCost)
		}
		return ""
	}
	params, _, _, err := argon2id.DecodeHash(hash)
	switch {
	case err != nil || params.Iterations < 1 || params.Parallelism < 1 || params.KeyLength < 16:
		return "is a hash of neither argon2id nor bcrypt"
	case params.Memory > mostArgon2idMemory || params.Iterations > mostArgon2idPasses:
		return fmt.Sprintf("takes more than %d KiB or %d passes", mostArgon2idMemory, mostArgon2idPasses)
	}
	return ""
}

// ImportUsers stores accounts, all of them or none, but those whose address has an account already, and returns how
// many it stored. So an import that was interrupted is simply done again. Errors: ErrUnavailable.
func (s *Service) ImportUsers(ctx context.Context, users []NewUser) (added int, err error) {
	added, err = s.store.ImportUsers(ctx, users)
	if err != nil {
		return 0, fmt.Errorf("import users: %w", err)
	}
	return added, nil
}

// ExportUsers calls each with every account, in the order of the normalised addresses, and ends with its error.
// Errors: ErrUnavailable.
func (s *Service) ExportUsers(ctx context.Context, each func(UserRecord) error) error {
	query := UserQuery{Limit: 1000}
	for {
		users, err := s.store.UserRecords(ctx, query)
		if err != nil {
			return fmt.Errorf("export users: %w", err)
		}
		for _, user := range users {
			err := each(UserRecord{
				Email: user.Email, Name: user.Name, PasswordHash: Secret(user.PasswordHash), Role: user.Role,
				CreatedAt: user.CreatedAt, DisabledAt: user.DisabledAt,
			})
			if err != nil {
				return err
			}
		}
		if len(users) < query.Limit {
			return nil
		}
		query.After = users[len(users)-1].NormalizedEmail
	}
}
