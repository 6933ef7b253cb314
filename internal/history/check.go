package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Invariant names a promise.
type Invariant string

// The promises, as docs/reliability.md words them.
const (
	OneSuccessor  Invariant = "all answers to one refresh token carry one successor"
	NextInLine    Invariant = "a successor is of the next generation and the same session"
	OneAtATime    Invariant = "a session's operations happen one at a time, each between its start and its end"
	FinalRevoke   Invariant = "after a revoke was acknowledged nothing of that session is answered"
	NobodyLost    Invariant = "no fault logs an honest client out"
	ThiefNoticed  Invariant = "a token that is used after its successor ends the session"
	NoForgery     Invariant = "a forged token is refused and changes nothing"
	AwayIsAway    Invariant = "without the database nothing protected is answered and no session ends"
	KnownAnswers  Invariant = "an answer is one that the contract has"
	PromptAnswers Invariant = "an operation is answered in a bounded time"
)

// Window is a stretch of a run.
type Window struct{ From, To time.Duration }

// Rules are what Check must know of a run.
type Rules struct {
	Grace time.Duration // REFRESH_GRACE of the servers
	// ConfirmedWithin is how long after an answer a use of a successor has been written down for
	// certain, if no fault comes in between.
	ConfirmedWithin time.Duration
	Faults          []Window // when the network, a server or the database may have been at fault
	Away            []Window // when no server could reach the database, for certain
	// Slowest is how long an answer may take. Zero: any time, as where processes were paused.
	Slowest time.Duration
	// ClocksDiffer is set where servers had different ideas of the time: one may find an access token
	// expired, or not yet issued, that another one minted.
	ClocksDiffer bool
}

// Violation is a broken promise.
type Violation struct {
	Invariant  Invariant
	Session    uuid.UUID
	What       string
	Operations []Operation // those that show it, or all of the session
}

// String describes the violation, and lists its operations one to a line.
func (v Violation) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "broken: %s\n  session %s: %s", v.Invariant, v.Session, v.What)
	for _, operation := range v.Operations {
		fmt.Fprintf(&text, "\n    %s", operation)
	}
	return text.String()
}

// LoggedOut returns how many honest clients a history shows to have lost their session.
func LoggedOut(violations []Violation) int {
	lost := map[uuid.UUID]bool{}
	for _, violation := range violations {
		if violation.Invariant == NobodyLost {
			lost[violation.Session] = true
		}
	}
	return len(lost)
}

// Check returns every promise that a history shows to be broken, one at most of each kind per session.
func Check(operations []Operation, rules Rules) []Violation {
	sessions := map[uuid.UUID][]Operation{}
	for _, operation := range operations {
		sessions[operation.Session] = append(sessions[operation.Session], operation)
	}
	ids := make([]uuid.UUID, 0, len(sessions))
	for id := range sessions {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	var violations []Violation
	for _, id := range ids {
		own := slices.SortedStableFunc(slices.Values(sessions[id]), func(a, b Operation) int { return cmp.Compare(a.Start, b.Start) })
		for _, scan := range scans {
			if what, shown := scan.find(own, rules); what != "" {
				violations = append(violations, Violation{scan.invariant, id, what, shown})
			}
		}
		if id == uuid.Nil { // operations whose session nobody learned
			continue
		}
		if ok, decided := linearizable(own, 20*time.Second); !ok {
			what := "there is no order in which they can have happened"
			if !decided {
				what = "no order was found in which they can have happened, in 20 seconds"
			}
			violations = append(violations, Violation{OneAtATime, id, what, own})
		}
	}
	return violations
}

// scans look through one session's operations, ordered by their start, for one broken promise each.
var scans = []struct {
	invariant Invariant
	find      func(operations []Operation, rules Rules) (what string, shown []Operation)
}{
	{OneSuccessor, oneSuccessor},
	{NextInLine, nextInLine},
	{FinalRevoke, finalRevoke},
	{NobodyLost, nobodyLost},
	{ThiefNoticed, thiefNoticed},
	{NoForgery, noForgery},
	{AwayIsAway, awayIsAway},
	{KnownAnswers, knownAnswers},
	{PromptAnswers, promptAnswers},
}

func oneSuccessor(operations []Operation, _ Rules) (string, []Operation) {
	if wasRestored(operations) {
		return "", nil // the database forgot which one it had given
	}
	first := map[Token]Operation{}
	for _, o := range operations {
		if o.Kind != Refresh || o.Outcome != OK {
			continue
		}
		earlier, seen := first[o.Token]
		if seen && earlier.Got != o.Got {
			return "two successors", []Operation{earlier, o}
		}
		first[o.Token] = o
	}
	return "", nil
}

func nextInLine(operations []Operation, _ Rules) (string, []Operation) {
	for _, o := range operations {
		if o.Outcome != OK || o.Kind != Refresh && o.Kind != Login {
			continue
		}
		if o.Got.Session != o.Session || o.Got.Generation != o.Token.Generation+1 {
			return "not the next generation", []Operation{o}
		}
	}
	return "", nil
}

func finalRevoke(operations []Operation, _ Rules) (string, []Operation) {
	if wasRestored(operations) {
		return "", nil
	}
	for _, revoke := range operations {
		if revoke.Kind != Revoke || revoke.Outcome != OK {
			continue
		}
		for _, o := range operations {
			if o.Start > revoke.End && o.Outcome == OK && (o.Kind == Me || o.Kind == Refresh) {
				return "answered after the end", []Operation{revoke, o}
			}
		}
	}
	return "", nil
}

// nobodyLost looks for refusals that nothing explains which began before their answer.
func nobodyLost(operations []Operation, _ Rules) (string, []Operation) {
	for i, o := range operations {
		if !o.saysEnded() && (o.Outcome != Refused || o.Kind != Refresh || o.Forged) {
			continue
		}
		explained := slices.ContainsFunc(operations, func(other Operation) bool {
			return other.Start < o.End && (other.Hostile || other.Kind == Revoke || other.Kind == Restored)
		})
		if !explained {
			return "an honest client was refused", operations[max(0, i-30):min(len(operations), i+5)]
		}
	}
	return "", nil
}

func thiefNoticed(operations []Operation, rules Rules) (string, []Operation) {
	for _, rotation := range operations {
		if rotation.Kind != Refresh || rotation.Outcome != OK {
			continue
		}
		for _, use := range operations {
			if use.Kind != Me || use.Outcome != OK || use.Access != rotation.Got.Generation {
				continue
			}
			dead := use.End + rules.ConfirmedWithin + rules.Grace
			for _, o := range operations {
				if o.Kind == Refresh && o.Token == rotation.Token && o.Outcome == OK && o.Start > dead && !overlaps(rules.Faults, use.Start, o.End) {
					return "a replay was answered", []Operation{rotation, use, o}
				}
			}
		}
	}
	return "", nil
}

func noForgery(operations []Operation, _ Rules) (string, []Operation) {
	for _, o := range operations {
		if o.Forged && o.Outcome == OK {
			return "answered", []Operation{o}
		}
	}
	return "", nil
}

func awayIsAway(operations []Operation, rules Rules) (string, []Operation) {
	for _, o := range operations {
		if o.Outcome == Unknown || o.Kind == Restored || o.Forged || o.Reason == "TOKEN_EXPIRED" {
			continue
		}
		for _, away := range rules.Away {
			if o.Start > away.From && o.End < away.To {
				return "answered all the same", []Operation{o}
			}
		}
	}
	return "", nil
}

func knownAnswers(operations []Operation, rules Rules) (string, []Operation) {
	for _, o := range operations {
		if o.Outcome != Refused || o.saysEnded() {
			continue
		}
		switch {
		case o.Forged && (o.Code == "INVALID_REFRESH_TOKEN" || o.Code == "UNAUTHENTICATED" || o.Code == "BAD_USER_INPUT"):
		case rules.ClocksDiffer && o.Code == "UNAUTHENTICATED" && (o.Reason == "TOKEN_EXPIRED" || o.Reason == "TOKEN_INVALID"):
		default:
			return "an answer that was not to come", []Operation{o}
		}
	}
	return "", nil
}

func promptAnswers(operations []Operation, rules Rules) (string, []Operation) {
	for _, o := range operations {
		// A login waits for a processor, as long as others sign in, and not for what is broken.
		if rules.Slowest > 0 && o.Kind != Restored && o.Kind != Login && o.End-o.Start > rules.Slowest {
			return fmt.Sprintf("more than %s", rules.Slowest), []Operation{o}
		}
	}
	return "", nil
}

func wasRestored(operations []Operation) bool {
	return slices.ContainsFunc(operations, func(o Operation) bool { return o.Kind == Restored })
}

func overlaps(windows []Window, from, to time.Duration) bool {
	return slices.ContainsFunc(windows, func(w Window) bool { return w.From < to && from < w.To })
}
