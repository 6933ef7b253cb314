package history

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// state is a session as the protocol has it, without its windows of time: where those decide, the model
// allows either, and the scans of Check say which it must be.
type state struct {
	exists   bool
	ended    bool
	live     Token // without a Print while the rotation that made it has not been answered
	previous Token // the token that live was made from
}

// steps returns the states in which an operation may leave a session, none where it cannot have
// happened. An operation of unknown outcome may have had its effect or none.
func (s state) steps(o Operation) []state {
	ended := s
	ended.ended = true
	switch o.Kind {
	case Login:
		if s.exists {
			return nil
		}
		return []state{{exists: true, live: o.Got}}
	case Restored:
		return []state{{exists: true, live: o.Token}}
	case Me:
		if (o.Outcome == OK) == s.ended {
			return nil
		}
		return []state{s}
	case Revoke:
		switch {
		case o.Outcome == Unknown && !s.ended:
			return []state{s, ended}
		case o.Outcome == OK && o.Revoked == s.ended, o.Outcome == Refused && !s.ended:
			return nil
		}
		return []state{ended}
	}
	return s.refresh(o)
}

func (s state) refresh(o Operation) []state {
	if s.ended {
		if o.Outcome == OK {
			return nil
		}
		return []state{s}
	}
	ended := s
	ended.ended = true
	isLive := o.Token == s.live
	rotated := state{exists: true, previous: o.Token, live: Token{Session: o.Token.Session, Generation: o.Token.Generation + 1}}
	switch o.Outcome {
	case OK:
		rotated.live = o.Got
		switch {
		case isLive:
			return []state{rotated}
		case o.Token == s.previous && (s.live == o.Got || s.live.Print == ""):
			s.live = o.Got
			return []state{s}
		}
		return nil
	case Refused: // with SESSION_ENDED: reuse
		if isLive {
			return nil
		}
		return []state{ended}
	}
	if isLive {
		return []state{s, rotated}
	}
	return []state{s, ended}
}

// model is the sequential specification of one session.
var model = func() porcupine.Model {
	nondeterministic := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(current, _, operation any) []any {
			var next []any
			for _, s := range current.(state).steps(operation.(Operation)) {
				next = append(next, s)
			}
			return next
		},
	}
	return nondeterministic.ToModel()
}()

// linearizable reports whether a session's operations can have happened one by one, each at an instant
// between its start and its end; decided is false where the time did not suffice to find out.
func linearizable(operations []Operation, timeout time.Duration) (ok, decided bool) {
	var events []porcupine.Operation
	lost := map[Token]int{}
	for _, o := range operations {
		if !o.changesOrReads() {
			continue
		}
		if o.Outcome == Unknown {
			// Of all unanswered uses of one token two can matter: one that rotates, and one that, when
			// the token is no longer live, ends the session. The two that began first can do so at any
			// time at which others can; without this the search would be exponential in their number.
			if lost[o.Token]++; lost[o.Token] > 2 {
				continue
			}
		}
		end := int64(o.End)
		if o.Outcome == Unknown {
			end = math.MaxInt64 // its effect may come at any time, or never
		}
		events = append(events, porcupine.Operation{Call: int64(o.Start), Return: end, Output: o})
	}
	switch porcupine.CheckOperationsTimeout(model, events, timeout) {
	case porcupine.Ok:
		return true, true
	case porcupine.Illegal:
		return false, true
	}
	return false, false
}

// changesOrReads reports whether the operation says something about the session's state.
func (o Operation) changesOrReads() bool {
	switch {
	case o.Forged, o.Outcome == Refused && !o.saysEnded(), o.Outcome == Unknown && (o.Kind == Me || o.Kind == Login):
		return false
	}
	return true
}

// saysEnded reports whether the answer is that the session is over.
func (o Operation) saysEnded() bool {
	return o.Outcome == Refused && (o.Code == "SESSION_ENDED" || o.Code == "UNAUTHENTICATED" && o.Reason == "SESSION_ENDED")
}
