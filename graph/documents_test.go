package graph

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// These tests are inside the package because they look at what is kept. That nothing else of it shows is tested in package
// web, through the front door.

// kitchen prepares operations, one after the other, and executes none.
type kitchen struct {
	documents *documents
	prepare   func(query string, variables map[string]any) gqlerror.List
}

func newKitchen(options Options) kitchen {
	documents := newDocuments()
	exec := newExecutor(nil, slog.New(slog.DiscardHandler), options, nil, documents)
	return kitchen{documents, func(query string, variables map[string]any) gqlerror.List {
		ctx := graphql.StartOperationTrace(WithRequest(context.Background(), &Request{ID: "request-1"}))
		operation, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
		if len(errs) > 0 {
			return exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs).Errors
		}
		return nil
	}}
}

func (k kitchen) keeps(text string) bool {
	_, kept := k.documents.Get(context.Background(), text)
	return kept
}

func TestNoOperationIsKeptInWhichASecretCouldStand(t *testing.T) {
	id := "01a20fe5-a91a-72e6-9b50-ac73a1f7d6b8"
	for name, test := range map[string]struct {
		kept, notKept string
		variables     map[string]any // of both
	}{
		"an argument":     {`query ($id: ID!) { user(id: $id) { id } }`, `{ user(id: "` + id + `") { id } }`, map[string]any{"id": id}},
		"an input object": {`mutation ($p: String!) { login(input: {email: $p, password: $p}) { __typename } }`, `mutation { login(input: {email: "a@b.example", password: "secret"}) { __typename } }`, map[string]any{"p": "secret"}},
		"one of its fields": {`mutation ($p: String!) { login(input: {email: $p, password: $p, delivery: BODY}) { __typename } }`,
			`mutation ($p: String!) { login(input: {email: $p, password: "secret", delivery: BODY}) { __typename } }`, map[string]any{"p": "secret"}},
		"a block string": {`mutation ($t: String) { refreshToken(input: {refreshToken: $t}) { __typename } }`,
			`mutation { refreshToken(input: {refreshToken: """secret"""}) { __typename } }`, map[string]any{"t": "secret"}},
		"an empty text": {`query ($s: String) { users(search: $s) { pageInfo { hasNextPage } } }`, `{ users(search: "") { pageInfo { hasNextPage } } }`, nil},
		"a default value": {`mutation ($t: String = null) { refreshToken(input: {refreshToken: $t}) { __typename } }`,
			`mutation ($t: String = "secret") { refreshToken(input: {refreshToken: $t}) { __typename } }`, nil},
		"an object in a default value": {`mutation ($i: RefreshTokenInput = {refreshToken: null}) { refreshToken(input: $i) { __typename } }`,
			`mutation ($i: RefreshTokenInput = {refreshToken: "secret"}) { refreshToken(input: $i) { __typename } }`, nil},
		"a directive":            {`{ ... @defer(if: false) { __typename } }`, `{ ... @defer(if: false, label: "secret") { __typename } }`, nil},
		"a fragment":             {`query ($id: ID!) { ...f } fragment f on Query { user(id: $id) { id } }`, `{ ...f } fragment f on Query { user(id: "` + id + `") { id } }`, map[string]any{"id": id}},
		"an operation not meant": {`query a { __typename } query b { me { id } }`, `query a { __typename } query b { user(id: "` + id + `") { id } }`, nil},
		"a description":          {`query a { __typename }`, `"secret" query a { __typename }`, nil},
		"a comment":              {"{\n__typename\n}", "{\n# secret\n__typename\n}", nil},
		"a comment at the end":   {"{ __typename } ", "{ __typename } # secret", nil},
		"a large text":           {`{ __typename` + strings.Repeat(" ", maxKeptText-14) + ` }`, `{ __typename` + strings.Repeat(" ", maxKeptText-13) + ` }`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKitchen(Options{})
			for range 2 {
				for _, query := range []string{test.kept, test.notKept} {
					errs := k.prepare(query, test.variables)
					if name == "an operation not meant" { // of two, none was named
						errs = nil
					}
					if len(errs) > 0 {
						t.Fatalf("%s: %v", query, errs)
					}
				}
			}
			if k.keeps(test.notKept) || !k.keeps(test.kept) || k.documents.size != len(test.kept) {
				t.Fatalf("kept: %q", k.documents.kept.Keys())
			}
		})
	}
}

func TestWhatIsRefusedIsRefusedTwice(t *testing.T) {
	for name, test := range map[string]struct {
		query string
		code  Code
	}{
		"a syntax error":      {`{ me { id `, ParseFailed},
		"an unknown field":    {`{ me { password } }`, ValidationFailed},
		"a name for a secret": {`mutation { login(input: {email: a, password: hunter2}) { __typename } }`, ValidationFailed},
		"a number for one":    {`mutation { refreshToken(input: {refreshToken: 12345}) { __typename } }`, ValidationFailed},
		"no operation":        {`fragment f on Query { __typename }`, BadRequest},
		"too many aliases":    {`{ me {` + strings.Repeat(" a: id", maxAliases+1) + ` } }`, OperationTooLarge},
		"too many tokens":     {`{ me {` + strings.Repeat(" id", maxTokens) + ` } }`, OperationTooLarge},
		"too many fields":     {`{` + strings.Repeat(" __typename", maxQueryFields+1) + ` }`, OperationTooLarge},
		"two mutations":       {`mutation { a: revokeSession { revoked } b: revokeSession { revoked } }`, OperationTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKitchen(Options{})
			first, second := k.prepare(test.query, nil), k.prepare(test.query, nil)
			wantCode(t, &graphql.Response{Errors: first[:1]}, test.code)
			if fmt.Sprint(first) != fmt.Sprint(second) {
				t.Fatalf("first %v, then %v", first, second)
			}
			if k.documents.kept.Len() > 0 {
				t.Fatal("kept")
			}
		})
	}
}

func TestTheVariablesOfAKeptDocumentAreLookedAtEachTime(t *testing.T) {
	k := newKitchen(Options{})
	const query = `query ($first: Int) { users(first: $first) { pageInfo { hasNextPage } } }`
	if errs := k.prepare(query, map[string]any{"first": 1}); errs != nil || !k.keeps(query) {
		t.Fatal(errs)
	}
	var deep any = 1
	for range maxValueDepth + 1 {
		deep = []any{deep}
	}
	wantCode(t, &graphql.Response{Errors: k.prepare(query, map[string]any{"first": 1, "x": deep})}, OperationTooLarge)
	wantCode(t, &graphql.Response{Errors: k.prepare(query, map[string]any{"first": "one"})}, BadUserInput)
	if errs := k.prepare(query, map[string]any{"first": 2}); errs != nil {
		t.Fatal(errs)
	}
}

// A client that sends nothing twice costs a few megabytes, and what comes often stays.
func TestAFloodOfDocumentsTakesSoMuchMemoryAndNoMore(t *testing.T) {
	k := newKitchen(Options{})
	largest := func(i int) string { // as many nodes as a text of its length can have
		head := fmt.Sprintf("query q%04d{me{", i)
		return head + strings.Repeat("id ", (maxKeptText-len(head)-2)/3) + "}}"
	}
	const often = `{ me { id } }`
	before := heap()
	for i := range maxKept/maxKeptText + 8 {
		for _, query := range []string{largest(i), often} {
			if errs := k.prepare(query, nil); errs != nil {
				t.Fatal(errs)
			}
		}
		document, _ := k.documents.Get(context.Background(), often)
		k.documents.Add(context.Background(), often, document) // as of two requests at the same time the slower one does
		total := 0
		for _, text := range k.documents.kept.Keys() {
			total += len(text)
		}
		if total != k.documents.size || total > maxKept {
			t.Fatalf("%d bytes are kept, and it counts %d", total, k.documents.size)
		}
	}
	if k.documents.size < maxKept-maxKeptText || k.keeps(largest(0)) || !k.keeps(often) {
		t.Fatalf("%d documents of %d bytes are kept", k.documents.kept.Len(), k.documents.size)
	}
	taken := heap() - before
	runtime.KeepAlive(k)
	t.Logf("%d documents take %d KiB", k.documents.kept.Len(), taken>>10)
	if taken > 8<<20 {
		t.Fatalf("they take %d KiB", taken>>10)
	}
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what a sync.Pool holds survives one
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
