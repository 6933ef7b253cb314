package token

import "github.com/google/uuid"

// Ended is the body of GET /sessions/ended: what ended since the cursor that was given.
type Ended struct {
	Cursor      string      `json:"cursor"`      // to be given next; opaque
	More        bool        `json:"more"`        // whether to ask again at once
	Sessions    []uuid.UUID `json:"sessions"`    // which can come twice
	RevokedKeys []string    `json:"revokedKeys"` // the `kid` of every signing key that ever was
	// KeepFor is how many seconds a session is to be remembered: no access token lives longer, and one that was issued
	// longer ago is not to be taken.
	KeepFor int `json:"keepFor"`
}
