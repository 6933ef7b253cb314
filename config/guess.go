package config

import "strings"

// fewestSurprises is how many characters of a secret must not follow from those before them.
const fewestSurprises = 20

// placeholders stand in secrets that were copied from somewhere, or that a shell was to fill in. They are such as chance does
// not make.
var placeholders = []string{"secret", "password", "passphrase", "changeme", "change-me", "change_me", "example", "replace", "latchkey", "qwerty", "asdfgh", "$(", "${"}

// isGuessable reports whether a secret is a placeholder, or has a pattern: a part that comes again, or characters that
// count up or down. Whether it is random cannot be told, so the rest is the operator's. zxcvbn knows more, and would cost
// each start 60 ms and 10 MB.
func isGuessable(secret string) bool {
	lower := strings.ToLower(secret)
	for _, placeholder := range placeholders {
		if strings.Contains(lower, placeholder) {
			return true
		}
	}
	seen := map[string]bool{}
	surprises, step := 0, 0
	for i := range len(lower) {
		before := step
		if i > 0 {
			step = int(lower[i]) - int(lower[i-1])
		}
		counts := i > 1 && step == before && step >= -1 && step <= 1
		again := false
		if i > 1 {
			triple := lower[i-2 : i+1]
			again, seen[triple] = seen[triple], true
		}
		if !counts && !again {
			surprises++
		}
	}
	return surprises < fewestSurprises
}
