package graph

import (
	"context"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// How much text is kept of operations. What was parsed takes up to 80 times its text: 5 MiB in all, whoever fills it.
const (
	maxKeptText = 2 << 10  // bytes of one document
	maxKept     = 64 << 10 // bytes of all documents
)

// documents refuse operations that cost too much, and keep the others once they are parsed and validated: clients send the
// same few again and again. They are the executor's cache too, so that what is in it was measured.
type documents struct {
	mu   sync.Mutex
	kept *simplelru.LRU[string, *ast.QueryDocument] // by their text; nobody writes into a document once it is here
	size int                                        // bytes of all texts
}

var (
	_ graphql.OperationParameterMutator = (*documents)(nil)
	_ graphql.Cache[*ast.QueryDocument] = (*documents)(nil)
)

func newDocuments() *documents {
	kept, err := simplelru.NewLRU[string, *ast.QueryDocument](maxKept, nil) // in number they never reach it
	if err != nil {
		panic(err) // of a size below one
	}
	return &documents{kept: kept}
}

// keepable reports whether a document may stay in memory. A quotation mark begins a text, and a number sign a comment: in
// either may stand a password. Without them a document is names, numbers and punctuation.
func keepable(text string) bool {
	return len(text) <= maxKeptText && !strings.ContainsAny(text, `"#`)
}

// ExtensionName implements graphql.HandlerExtension.
func (*documents) ExtensionName() string { return "Documents" }

// Validate implements graphql.HandlerExtension.
func (*documents) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters implements graphql.OperationParameterMutator: it refuses operations that cost too much, before
// they are validated and in a time linear in their length: validation is not linear, and execution even less. It leaves
// syntax errors to the executor, which parses again.
func (d *documents) MutateOperationParameters(_ context.Context, params *graphql.RawParams) *gqlerror.Error {
	var err error
	if !d.has(params.Query) {
		if keepable(params.Query) {
			params.Query = strings.Clone(params.Query) // of a GET it is a part of the URL, which would be kept as well
		}
		if document, parseErr := parser.ParseQueryWithTokenLimit(&ast.Source{Input: params.Query}, maxTokens); parseErr == nil {
			err = measure(document)
		} else if strings.Contains(parseErr.Error(), "exceeded token limit") {
			err = &tooLargeError{"tokens", maxTokens}
		}
	}
	if err == nil && !shallow(params.Variables, maxValueDepth+1) {
		err = &tooLargeError{"levels of lists and objects in its variables", maxValueDepth}
	}
	if err != nil {
		return gqlerror.Wrap(err)
	}
	return nil
}

func (d *documents) has(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept.Contains(text)
}

// Get implements graphql.Cache.
func (d *documents) Get(_ context.Context, text string) (*ast.QueryDocument, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept.Get(text)
}

// Add implements graphql.Cache. The executor calls it with documents that passed MutateOperationParameters and are valid.
func (d *documents) Add(_ context.Context, text string, document *ast.QueryDocument) {
	if !keepable(text) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept.Contains(text) { // a request at the same time was faster
		return
	}
	d.kept.Add(text, document)
	for d.size += len(text); d.size > maxKept; {
		oldest, _, _ := d.kept.RemoveOldest()
		d.size -= len(oldest)
	}
}
