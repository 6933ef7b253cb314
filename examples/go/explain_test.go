package main

import (
	"testing"

	"latchkey/examples/go/api"
)

func TestEveryEndOfASessionHasASentenceOfItsOwn(t *testing.T) {
	told := map[string]api.SessionEndReason{why("of a later version"): "any other"}
	for _, reason := range api.AllSessionEndReason {
		sentence := why(reason)
		if other, twice := told[sentence]; twice {
			t.Errorf("%s is told like %s: %s", reason, other, sentence)
		}
		told[sentence] = reason
	}
}
