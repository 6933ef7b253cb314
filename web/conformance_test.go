package web_test

import (
	"testing"

	"latchkey/db/dbtest"
	"latchkey/internal/stand"
)

func TestEveryAuditOfGraphQLOverHTTPPasses(t *testing.T) {
	s := newExplorable(t, dbtest.SQLite(t))
	output, err := stand.NodeCommand(t, "conformance", "audit.mjs", s.URL+"/graphql").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
}
