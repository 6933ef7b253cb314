package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"latchkey/auth"
)

func parseKeys(name string, rest []string) (command, error) {
	switch {
	case name == "list" && len(rest) == 0:
		return listKeys, nil
	case name == "revoke" && len(rest) == 1:
		return revokeKey(rest[0]), nil
	case name == "rotate":
		atOnce := len(rest) > 0 && rest[0] == "--now"
		if atOnce {
			rest = rest[1:]
		}
		kinds := []auth.KeyKind{auth.SigningKey, auth.RefreshKey}
		switch {
		case len(rest) == 0:
		case len(rest) == 1 && (rest[0] == string(kinds[0]) || rest[0] == string(kinds[1])):
			kinds = []auth.KeyKind{auth.KeyKind(rest[0])}
		default:
			return nil, errors.New("a kind of key is signing or refresh")
		}
		return rotateKeys(kinds, atOnce), nil
	}
	return nil, errUnknown
}

func listKeys(ctx context.Context, service *auth.Service, terminal Terminal) error {
	keys, err := service.Keys(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KIND\tSTATE\tMADE\tUSED FROM\tREVOKED\tID")
	for _, key := range keys {
		revoked := "-"
		if key.RevokedAt != nil {
			revoked = key.RevokedAt.Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", key.Kind, key.State,
			key.CreatedAt.Format(time.RFC3339), key.ActiveAt.Format(time.RFC3339), revoked, key.ID)
	}
	return table.Flush()
}

func rotateKeys(kinds []auth.KeyKind, atOnce bool) command {
	return func(ctx context.Context, service *auth.Service, terminal Terminal) error {
		for _, kind := range kinds {
			next, err := service.RotateKey(ctx, kind, atOnce)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(terminal.Out, "next %s key %s, used from %s\n", kind, next.ID, next.ActiveAt.Format(time.RFC3339))
			if err != nil {
				return err
			}
		}
		return nil
	}
}

func revokeKey(id string) command {
	return func(ctx context.Context, service *auth.Service, terminal Terminal) error {
		key, err := service.RevokeKey(ctx, id)
		if errors.Is(err, auth.ErrNotFound) {
			return errors.New("there is no key with this id; keys list shows those that there are")
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(terminal.Out, "revoked %s key %s\n", key.Kind, key.ID)
		return err
	}
}
