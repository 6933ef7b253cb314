package auth

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// NormalizeEmail returns the form under which an e-mail address is unique: NFC, lower case, the domain
// in its ASCII form (RFC 5891). Everything that stores or looks up an address goes through it, so that
// no two accounts differ by spelling alone. Errors: *InvalidInputError.
func NormalizeEmail(typed string) (string, error) {
	invalid := func(problem string) (string, error) {
		return "", &InvalidInputError{Field: "email", Problem: problem}
	}
	if len(typed) > 254 { // RFC 5321 §4.5.3.1.3, less the angle brackets
		return invalid("is longer than 254 bytes")
	}
	address := norm.NFC.String(typed)
	if !isAddress(address) {
		return invalid("is not an e-mail address")
	}
	at := strings.LastIndexByte(address, '@')
	local, domain := address[:at], address[at+1:]
	if len(local) > 64 { // RFC 5321 §4.5.3.1.1
		return invalid("has more than 64 bytes before the @")
	}
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return invalid("has no valid domain after the @")
	}
	local = norm.NFC.String(strings.ToLower(local))
	normal := local + "@" + strings.ToLower(domain)
	switch {
	case !isAddress(normal): // as of a dot that is not ASCII's
		return invalid("has no valid domain after the @")
	case len(local) > 64 || len(normal) > 254: // some letters are longer in lower case
		return invalid("is too long in lower case")
	}
	return normal, nil
}

// isAddress reports whether a text is an address and nothing else: a quoted local part, a comment or a
// display name parse too, but not to themselves.
func isAddress(text string) bool {
	parsed, err := mail.ParseAddress(text)
	return err == nil && parsed.Address == text && !hasControl(text)
}

// label returns a text that people give to something, in NFC and without the space around it, or nil
// where nothing is left.
func label(field string, text *string, maxLength int) (*string, error) {
	if text == nil {
		return nil, nil
	}
	trimmed := norm.NFC.String(strings.TrimSpace(*text))
	switch {
	case trimmed == "":
		return nil, nil
	case utf8.RuneCountInString(trimmed) > maxLength:
		return nil, &InvalidInputError{Field: field, Problem: fmt.Sprintf("is longer than %d characters", maxLength)}
	case hasControl(trimmed):
		return nil, &InvalidInputError{Field: field, Problem: "has a control character"}
	}
	return &trimmed, nil
}

// hasControl also finds what PostgreSQL would refuse and SQLite would store: NUL and invalid UTF-8.
func hasControl(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl)
}
