package auth

import (
	_ "embed"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// commonPasswords has one password per line, in lower case. It is that of zxcvbn-ts (passwords/package.json names the
// version, passwords/LICENSE the terms); `make passwords` writes it. To search all of it takes a fifth of a
// millisecond, and is done for twenty repeated units at most; split into lines, it would keep a megabyte of memory.
//
//go:embed passwords/common.txt
var commonPasswords string

// longestCommonPassword is more bytes than any common password has: no unit of a repetition is longer.
const longestCommonPassword = 20

// shortRepeated matches the unit of what the list leaves out: a few letters or digits, over and over.
var shortRepeated = regexp.MustCompile(`^[a-z0-9]{1,3}$`)

// isCommonPassword reports whether a password, in NFC, is one of those that attackers try first, in any letter
// case, or a repetition of one (NIST SP 800-63B-4 §3.1.1.2). As the standard wants it, the whole is compared:
// a sentence may contain common words.
func isCommonPassword(password string) bool {
	folded := strings.ToLower(password)
	isCommon := func(text string) bool {
		line := text + "\n"
		return len(text) <= longestCommonPassword && !strings.Contains(text, "\n") &&
			(strings.HasPrefix(commonPasswords, line) || strings.Contains(commonPasswords, "\n"+line))
	}
	if isCommon(folded) {
		return true
	}
	for period := 1; period <= min(longestCommonPassword, len(folded)-1); period++ {
		unit := folded[:period]
		if folded[period:] == folded[:len(folded)-period] && (isCommon(unit) || shortRepeated.MatchString(unit)) {
			return true
		}
	}
	return false
}

// minOwnWord is the fewest code points of a word that ownWords returns: shorter ones, such as initials, are
// in too many sentences.
const minOwnWord = 3

// ownWords are what somebody who knows a person would try: the person's address and name, and what this
// service is called. Each stands before those that it contains.
func ownWords(issuer, email string, name *string) []string {
	words := []string{"latchkey", email}
	local, domain, _ := strings.Cut(email, "@")
	words = append(words, local, domain)
	if site, err := url.Parse(issuer); err == nil {
		words = append(words, site.Hostname())
	}
	if name != nil {
		words = append(words, *name)
		words = append(words, strings.Fields(*name)...)
	}
	for i, word := range words {
		words[i] = strings.ToLower(norm.NFC.String(word))
	}
	words = slices.DeleteFunc(words, func(word string) bool { return utf8.RuneCountInString(word) < minOwnWord })
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	return words
}

// lengthWithout returns how many code points of a password, in NFC, remain without the given words.
func lengthWithout(password string, words []string) int {
	rest := strings.ToLower(password)
	for _, word := range words {
		rest = strings.ReplaceAll(rest, word, "")
	}
	return utf8.RuneCountInString(rest)
}
