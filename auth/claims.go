package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"latchkey/token"
)

// maxExtraClaims is how many bytes the extra claims may have when they are filled in: a token must fit into a cookie.
const maxExtraClaims = 2 << 10

// registeredClaims are those that mean something to verifiers, or may come to (RFC 7519 §4.1, RFC 9068 §2.2), and ours.
var registeredClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "gen", "roles", "client_id", "scope", "auth_time", "acr", "amr", "act", "cnf"}

// ExtraClaims are claims that an operator adds to every access token, for verifiers that want their own. The zero value
// is none.
type ExtraClaims struct {
	members []byte // of a JSON object, without its braces
}

// placeholders are what stands in extra claims for what differs from user to user.
var placeholders = map[string]func(*SessionState) string{
	"{{user.id}}":    func(s *SessionState) string { return s.UserID.String() },
	"{{user.role}}":  func(s *SessionState) string { return string(s.User.Role) },
	"{{session.id}}": func(s *SessionState) string { return s.ID.String() },
}

// ParseExtraClaims returns the claims in a JSON object. In its strings {{user.id}}, {{user.role}} and {{session.id}} stand
// for what they say. Its error is fit to be shown to operators.
func ParseExtraClaims(text []byte) (ExtraClaims, error) {
	var claims map[string]json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&claims); err != nil || claims == nil {
		return ExtraClaims{}, errors.New("is not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return ExtraClaims{}, errors.New("has something behind the JSON object")
	}
	if !jsontext.Value(text).IsValid() {
		return ExtraClaims{}, errors.New("has a name twice, or is not in UTF-8")
	}
	for name := range claims {
		if strings.Contains(name, "{{") {
			return ExtraClaims{}, errors.New("has a placeholder in the name of a claim")
		}
		for _, own := range registeredClaims { // which some verifiers, ours too, read in any letter case
			if strings.EqualFold(name, own) {
				return ExtraClaims{}, fmt.Errorf("has the claim %s, which is Latchkey's own", own)
			}
		}
	}
	if len(claims) == 0 {
		return ExtraClaims{}, nil
	}
	compact, err := json.Marshal(claims)
	if err != nil {
		return ExtraClaims{}, errors.New("is not a JSON object")
	}
	parsed := ExtraClaims{members: compact[1 : len(compact)-1]}
	filled := parsed.fill(&SessionState{User: User{Role: RoleAdmin}})
	switch {
	case len(filled) > maxExtraClaims:
		return ExtraClaims{}, fmt.Errorf("has more than %d bytes", maxExtraClaims)
	case bytes.Contains(filled, []byte("{{")):
		return ExtraClaims{}, errors.New("has a placeholder other than {{user.id}}, {{user.role}} and {{session.id}}")
	}
	return parsed, nil
}

// fill returns the members for a session, whose values need no escaping.
func (c ExtraClaims) fill(state *SessionState) []byte {
	filled := c.members
	for placeholder, value := range placeholders {
		filled = bytes.ReplaceAll(filled, []byte(placeholder), []byte(value(state)))
	}
	return filled
}

// mintedClaims are those of a token with the extra ones behind them.
type mintedClaims struct {
	token.Claims
	extra []byte // members of a JSON object, or none
}

// MarshalJSON implements json.Marshaler. One audience is a text and no list (RFC 7519 §4.1.3): some verifiers take no list.
func (c mintedClaims) MarshalJSON() ([]byte, error) {
	own, err := json.Marshal(struct {
		token.Claims
		Audience string `json:"aud"`
	}{c.Claims, c.Audience[0]})
	if err != nil || len(c.extra) == 0 {
		return own, err
	}
	own[len(own)-1] = ','
	return append(append(own, c.extra...), '}'), nil
}
