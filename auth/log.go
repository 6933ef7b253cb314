package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"

	"github.com/google/uuid"
)

// What happens to accounts is logged too, for those who watch all of them (OWASP ASVS 5.0, 16.3.1): Event is for each
// user. Sessions and users appear as hashes.

func sessionHash(id uuid.UUID) slog.Attr { return slog.String("session", logID(id)) }
func userHash(id uuid.UUID) slog.Attr    { return slog.String("user", logID(id)) }

// logID stands for an id in logs: the same for one id, and of no use as that id (ASVS 16.2.5). That of nobody is empty.
func logID(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	sum := sha256.Sum256(id[:])
	return hex.EncodeToString(sum[:8])
}

func (s *Service) logSignIn(ctx context.Context, message string, session *NewSession) {
	s.log.InfoContext(ctx, message, userHash(session.UserID), sessionHash(session.ID), "delivery", session.Delivery)
}

// logAct logs what an administrator did, or an operator, whose hash is empty.
func (s *Service) logAct(ctx context.Context, message string, act AdminAct, more ...any) {
	actor := uuid.Nil
	if act.ActorID != nil {
		actor = *act.ActorID
	}
	s.log.WarnContext(ctx, message, append([]any{userHash(act.UserID), slog.String("actor", logID(actor))}, more...)...)
}
