package history_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"latchkey/internal/history"
)

var session = uuid.MustParse("01a20a96-e148-7ced-8b17-38f53fc89883")

// token returns one of the session's tokens: the same for the same arguments.
func token(generation uint32, variant byte) history.Token {
	raw := make([]byte, 72)
	copy(raw[4:], session[:])
	binary.BigEndian.PutUint32(raw[20:], generation)
	raw[24] = variant
	parsed, err := history.ParseToken("lkr1." + base64.RawURLEncoding.EncodeToString(raw))
	if err != nil {
		panic(err)
	}
	return parsed
}

// A history is written with one operation a second, each taking half a second; at shifts it.
type step func(at time.Duration) history.Operation

func operation(o history.Operation) step {
	return func(at time.Duration) history.Operation {
		o.Session, o.Start, o.End = session, at, at+time.Second/2
		if o.Outcome == "" {
			o.Outcome = history.OK
		}
		return o
	}
}

func login() step { return operation(history.Operation{Kind: history.Login, Got: token(1, 0)}) }

func refresh(from, to history.Token) step {
	return operation(history.Operation{Kind: history.Refresh, Token: from, Got: to})
}

func lost(from history.Token) step {
	return operation(history.Operation{Kind: history.Refresh, Token: from, Outcome: history.Unknown})
}

func ended(from history.Token) step {
	return operation(history.Operation{Kind: history.Refresh, Token: from, Outcome: history.Refused, Code: "SESSION_ENDED"})
}

func me(generation uint32) step {
	return operation(history.Operation{Kind: history.Me, Access: generation})
}

func meEnded(generation uint32) step {
	return operation(history.Operation{Kind: history.Me, Access: generation, Outcome: history.Refused, Code: "UNAUTHENTICATED", Reason: "SESSION_ENDED"})
}

func revoke(revoked bool) step {
	return operation(history.Operation{Kind: history.Revoke, Token: token(1, 0), Revoked: revoked})
}

func restored(to history.Token) step {
	return operation(history.Operation{Kind: history.Restored, Token: to})
}

func change(of step, by func(*history.Operation)) step {
	return func(at time.Duration) history.Operation {
		o := of(at)
		by(&o)
		return o
	}
}

func hostile(of step) step { return change(of, func(o *history.Operation) { o.Hostile = true }) }
func forged(of step) step  { return change(of, func(o *history.Operation) { o.Forged = true }) }

// during lets an operation last long enough to overlap the next ones.
func during(of step, seconds int) step {
	return change(of, func(o *history.Operation) { o.End = o.Start + time.Duration(seconds)*time.Second })
}

func TestTheCheckerTellsWhatIsPromisedFromWhatIsBroken(t *testing.T) {
	t1, t2, t3, other2 := token(1, 0), token(2, 0), token(3, 0), token(2, 1)
	window := []history.Window{{From: 1500 * time.Millisecond, To: time.Minute}}
	for name, test := range map[string]struct {
		steps  []step
		rules  history.Rules
		broken []history.Invariant
	}{
		"an ordinary life":         {steps: []step{login(), me(1), refresh(t1, t2), me(2), refresh(t2, t3), me(3), revoke(true), ended(t3), meEnded(3)}},
		"a retry":                  {steps: []step{login(), refresh(t1, t2), refresh(t1, t2), refresh(t2, t3)}},
		"a lost answer, no effect": {steps: []step{login(), lost(t1), refresh(t1, t2)}},
		"a lost answer, an effect": {steps: []step{login(), lost(t1), refresh(t1, t2), refresh(t1, t2)}},
		"a thousand lost answers": {steps: slices.Concat([]step{login()}, slices.Repeat([]step{lost(t1)}, 500), []step{refresh(t1, t2)},
			slices.Repeat([]step{lost(t2)}, 500), []step{refresh(t2, t3), me(3)})},
		"a thousand lost answers, and a wrong one": {steps: slices.Concat([]step{login()}, slices.Repeat([]step{lost(t1)}, 500), []step{refresh(t1, t2)},
			slices.Repeat([]step{lost(t2)}, 500), []step{refresh(t2, t3), refresh(t1, t2)}),
			broken: []history.Invariant{history.OneAtATime}},
		"a replay that is noticed": {steps: []step{login(), refresh(t1, t2), refresh(t2, t3), hostile(ended(t1)), meEnded(3), ended(t3)}},
		"a lost replay that ends":  {steps: []step{login(), refresh(t1, t2), refresh(t2, t3), hostile(lost(t1)), meEnded(3)}},
		"a lost revoke that ends":  {steps: []step{login(), change(revoke(true), func(o *history.Operation) { o.Outcome = history.Unknown }), me(1), meEnded(1)}},
		"a revoke beside a query":  {steps: []step{login(), during(revoke(true), 3), me(1)}},
		"a second revoke":          {steps: []step{login(), revoke(true), revoke(false)}},
		"a forgery that is refused": {steps: []step{login(), forged(change(ended(t1), func(o *history.Operation) { o.Code = "INVALID_REFRESH_TOKEN" })),
			refresh(t1, t2)}},
		"a loss that is noticed": {steps: []step{login(), refresh(t1, t2), restored(t1), refresh(t1, other2), ended(t2)}},

		"two successors": {steps: []step{login(), refresh(t1, t2), refresh(t1, other2)},
			broken: []history.Invariant{history.OneSuccessor, history.OneAtATime}},
		"a generation left out": {steps: []step{login(), refresh(t1, t3)},
			broken: []history.Invariant{history.NextInLine}},
		"a replay that is answered": {steps: []step{login(), refresh(t1, t2), refresh(t2, t3), hostile(refresh(t1, t2))},
			broken: []history.Invariant{history.OneAtATime}},
		"a replay that is answered though its successor was used": {
			steps:  []step{login(), refresh(t1, t2), me(2), me(2), me(2), me(2), hostile(refresh(t1, t2))},
			rules:  history.Rules{Grace: time.Second, ConfirmedWithin: 2 * time.Second},
			broken: []history.Invariant{history.ThiefNoticed}},
		"the same, where a fault may have hidden the use": {
			steps: []step{login(), refresh(t1, t2), me(2), me(2), me(2), me(2), hostile(refresh(t1, t2))},
			rules: history.Rules{Grace: time.Second, ConfirmedWithin: 2 * time.Second, Faults: window}},
		"reuse that ends nothing": {steps: []step{login(), refresh(t1, t2), refresh(t2, t3), hostile(ended(t1)), me(3)},
			broken: []history.Invariant{history.OneAtATime}},
		"a query after a revoke": {steps: []step{login(), revoke(true), me(1)},
			broken: []history.Invariant{history.FinalRevoke, history.OneAtATime}},
		"a refresh after a revoke": {steps: []step{login(), refresh(t1, t2), revoke(true), refresh(t1, t2)},
			broken: []history.Invariant{history.FinalRevoke, history.OneAtATime}},
		"a revoke that does not know its own effect": {steps: []step{login(), revoke(false)},
			broken: []history.Invariant{history.OneAtATime}},
		"an honest client logged out": {steps: []step{login(), lost(t1), ended(t1)},
			broken: []history.Invariant{history.NobodyLost}},
		"an honest client's token forgotten": {
			steps:  []step{login(), change(ended(t1), func(o *history.Operation) { o.Code = "INVALID_REFRESH_TOKEN" })},
			broken: []history.Invariant{history.NobodyLost, history.KnownAnswers}},
		"an honest session ended": {steps: []step{login(), meEnded(1)},
			broken: []history.Invariant{history.NobodyLost, history.OneAtATime}},
		"a forgery that is answered": {steps: []step{login(), forged(refresh(t1, t2))},
			broken: []history.Invariant{history.NoForgery}},
		"two tokens of one generation": {steps: []step{login(), refresh(t1, t2), restored(t1), refresh(t1, other2), refresh(t2, t3)},
			broken: []history.Invariant{history.OneAtATime}},
		"an answer without a database": {steps: []step{login(), me(1), me(1)}, rules: history.Rules{Away: window},
			broken: []history.Invariant{history.AwayIsAway}},
		"an unknown answer": {steps: []step{login(), change(meEnded(1), func(o *history.Operation) { o.Code, o.Reason = "INTERNAL_SERVER_ERROR", "" })},
			broken: []history.Invariant{history.KnownAnswers}},
		"a slow answer": {steps: []step{login(), during(me(1), 30)}, rules: history.Rules{Slowest: 10 * time.Second},
			broken: []history.Invariant{history.PromptAnswers}},
	} {
		t.Run(name, func(t *testing.T) {
			var operations []history.Operation
			for i, step := range test.steps {
				operations = append(operations, step(time.Duration(i)*time.Second))
			}
			var broken []history.Invariant
			for _, violation := range history.Check(operations, test.rules) {
				broken = append(broken, violation.Invariant)
			}
			slices.Sort(broken)
			slices.Sort(test.broken)
			if !slices.Equal(broken, test.broken) {
				t.Errorf("got %s, want %s", lines(broken), lines(test.broken))
			}
		})
	}
}

func lines(invariants []history.Invariant) string {
	text := fmt.Sprintf("%d broken", len(invariants))
	for _, invariant := range invariants {
		text += "\n  " + string(invariant)
	}
	return text
}
