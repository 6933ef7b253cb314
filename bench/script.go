package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"latchkey/bench/fill"
)

// sessionOf returns the session that an access token belongs to.
func sessionOf(authorization string) (string, error) {
	parts := strings.Split(authorization, ".")
	if len(parts) != 3 {
		return "", errors.New("the access token is no JWT")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	var claims struct {
		SID string `json:"sid"`
	}
	return claims.SID, json.Unmarshal(raw, &claims)
}

var (
	parameter = regexp.MustCompile(`\$(\d+)`)
	isUUID    = regexp.MustCompile(`^'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'$`)
	is32Bytes = regexp.MustCompile(`^'\\x[0-9a-f]{64}'$`)
)

// script returns a script of pgbench in which each client does what a request has PostgreSQL do, to the session :n that is its
// own at that moment, and the values that the script refers to.
//
// What differs from the server's use, none of it more than a microsecond of some 30: an id is computed from a number,
// since pgbench has no variables that a list could set; the hashes of a session, its old and its new one and the seed
// between them, are one constant, so that a row can be rotated again; times are those of when the statements were noted.
// The generation is counted by the client whose row it is, and so the guard holds; nothing is looked up for it.
func script(statements []sentStatement) (text string, values map[string]string, err error) {
	values = map[string]string{"hash": fill.Hash}
	fresh := map[string]string{}
	var about bool
	for _, statement := range statements {
		var failed error
		text += parameter.ReplaceAllStringFunc(statement.text, func(reference string) string {
			number, _ := strconv.Atoi(reference[1:])
			var all [asked]string
			for i, args := range statement.args {
				if number > len(args) {
					failed = fmt.Errorf("no argument %s was logged with: %s", reference, statement.text)
					return reference
				}
				all[i] = args[number-1]
			}
			switch kindOf(all, statement.ids) {
			case aboutSession:
				about = true
				return `lpad(:id::text, 32, '0')::uuid`
			case aboutSessions:
				about = true
				return `ARRAY[lpad(:id::text, 32, '0')::uuid]`
			case aboutGeneration:
				return `:generation`
			case aboutHash:
				return `:hash`
			case aboutNew:
				key := fmt.Sprint(all)
				if fresh[key] == "" {
					fresh[key] = strconv.Itoa(2 + len(fresh)) // a series of ids that nothing else is in
				}
				return `lpad(:mark::text, 32, '` + fresh[key] + `')::uuid`
			}
			if all[0] == "NULL" {
				return "NULL"
			}
			name := fmt.Sprintf("value%d", len(values))
			values[name] = strings.ReplaceAll(all[0][1:len(all[0])-1], "''", "'")
			return ":" + name
		}) + ";\n"
		if failed != nil {
			return "", nil, failed
		}
	}
	if !about {
		return "", nil, errors.New("no statement names the session: " + text)
	}
	return text, values, nil
}

// What an argument is, as its values in several requests tell.
const (
	aboutSomethingElse = iota
	aboutSession
	aboutSessions // an array of the one
	aboutGeneration
	aboutHash
	aboutNew // an id made for the request
)

func kindOf(all, ids [asked]string) int {
	isSession, areSessions, grows, isHash, isNew := true, true, true, true, true
	seen := map[string]bool{}
	for i, value := range all {
		isSession = isSession && value == "'"+ids[i]+"'"
		areSessions = areSessions && value == "'{"+ids[i]+"}'"
		isHash = isHash && is32Bytes.MatchString(value)
		isNew = isNew && isUUID.MatchString(value) && !seen[value]
		seen[value] = true
		number, err := strconv.ParseInt(strings.Trim(value, "'"), 10, 64)
		if i > 0 && err == nil {
			before, _ := strconv.ParseInt(strings.Trim(all[i-1], "'"), 10, 64)
			grows = grows && number == before+1
		}
		grows = grows && err == nil
	}
	switch {
	case isSession:
		return aboutSession
	case areSessions:
		return aboutSessions
	case grows:
		return aboutGeneration
	case isHash:
		return aboutHash
	case isNew:
		return aboutNew
	}
	return aboutSomethingElse
}
