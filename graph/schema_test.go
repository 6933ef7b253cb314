package graph

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"latchkey/auth"
	"latchkey/graph/generated"
)

// These tests are inside the package because they ask what would be refused if the schema were another.

func loadSchema(t *testing.T, change func(text string) string) *ast.Schema {
	t.Helper()
	text, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphqls", Input: change(string(text))})
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func asItIs(text string) string { return text }

func TestEveryRootFieldIsPublicOrNeedsAnAccessToken(t *testing.T) {
	schema := loadSchema(t, asItIs)
	known := map[string]bool{}
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation} {
		for _, field := range root.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			name := root.Name + "." + field.Name
			known[name] = true
			if guarded := field.Directives.ForName(directiveName) != nil; guarded == public[name] {
				t.Errorf("%s must be either public or carry @%s", name, directiveName)
			}
		}
	}
	for name := range public {
		if !known[name] {
			t.Errorf("%s is public and not in the schema", name)
		}
	}
	if schema.Subscription != nil {
		t.Error("nothing guards subscriptions")
	}
}

func TestTheDirectiveStandsOnFieldsOnly(t *testing.T) {
	// On an object it would not run for what is reached through a union or an interface.
	locations := loadSchema(t, asItIs).Directives[directiveName].Locations
	if len(locations) != 1 || locations[0] != ast.LocationFieldDefinition {
		t.Fatalf("got %v, want FIELD_DEFINITION", locations)
	}
}

func TestEveryElementOfTheSchemaIsDescribed(t *testing.T) {
	schema := loadSchema(t, asItIs)
	described := func(name, description string) {
		if strings.TrimSpace(description) == "" {
			t.Errorf("%s has no description", name)
		}
	}
	for _, definition := range schema.Types {
		if definition.BuiltIn {
			continue
		}
		described(definition.Name, definition.Description)
		for _, field := range definition.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			described(definition.Name+"."+field.Name, field.Description)
			for _, argument := range field.Arguments {
				described(definition.Name+"."+field.Name+"."+argument.Name, argument.Description)
			}
		}
		for _, value := range definition.EnumValues {
			described(definition.Name+"."+value.Name, value.Description)
		}
	}
	directive := schema.Directives[directiveName]
	described("@"+directiveName, directive.Description)
	for _, argument := range directive.Arguments {
		described("@"+directiveName+"."+argument.Name, argument.Description)
	}
}

func TestEveryReasonOfTheDomainIsInTheSchema(t *testing.T) {
	schema := loadSchema(t, asItIs)
	for enum, values := range map[string][]string{
		"SessionEndReason": {
			string(auth.Revoked), string(auth.SignedOut), string(auth.Expired), string(auth.Idle), string(auth.ReuseDetected),
			string(auth.PasswordChanged), string(auth.UserDisabled), string(auth.Admin), string(auth.StorageRolledBack),
		},
		"Role": {string(auth.RoleUser), string(auth.RoleAdmin)},
	} {
		if got := len(schema.Types[enum].EnumValues); got != len(values) {
			t.Errorf("%s has %d values, want %d", enum, got, len(values))
		}
		for _, value := range values {
			if schema.Types[enum].EnumValues.ForName(value) == nil {
				t.Errorf("%s lacks %s", enum, value)
			}
		}
	}
}

func TestEveryValidationRuleIsExplained(t *testing.T) {
	for name := range rules.NewDefaultRules().GetInner() {
		if validationRules[strings.TrimSuffix(name, "WithoutSuggestions")] == "" {
			t.Errorf("%s is not explained", name)
		}
	}
}

// execute runs an operation on a schema, without a service: what reaches one panics.
func execute(t *testing.T, schema *ast.Schema, query string, options Options) *graphql.Response {
	t.Helper()
	exec := newExecutor(nil, slog.New(slog.DiscardHandler), options, schema, newDocuments())
	token := auth.Secret("x")
	ctx := graphql.StartOperationTrace(WithRequest(context.Background(), &Request{ID: "request-1", AccessToken: &token}))
	operation, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: query})
	if len(errs) > 0 {
		return exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
	}
	handler, ctx := exec.DispatchOperation(ctx, operation)
	return handler(ctx)
}

func wantCode(t *testing.T, response *graphql.Response, code Code) {
	t.Helper()
	if len(response.Errors) != 1 || response.Errors[0].Extensions["code"] != code {
		t.Fatalf("got %v, want %s", response.Errors, code)
	}
	if response.Errors[0].Extensions["requestId"] != "request-1" {
		t.Fatal("the error has no request id")
	}
}

func TestAFieldThatNobodyDecidedAboutIsRefused(t *testing.T) {
	undecided := loadSchema(t, func(text string) string {
		return strings.Replace(text, "me: User @requiresAccessToken", "me: User", 1)
	})
	for _, query := range []string{
		`{ me { id } }`, `{ x: me { id } }`, `{ ...f } fragment f on Query { me { id } }`, `{ ... @include(if: true) { me { id } } }`,
		`query a { __typename me { id } }`,
	} {
		wantCode(t, execute(t, undecided, query, Options{}), Forbidden)
	}
}

func TestIntrospectionIsThereOnlyWhenItIsOn(t *testing.T) {
	for _, query := range []string{`{ __schema { description } }`, `{ __type(name: "User") { name } }`} {
		wantCode(t, execute(t, nil, query, Options{}), ValidationFailed)
		if response := execute(t, nil, query, Options{Introspection: true}); len(response.Errors) > 0 {
			t.Fatal(response.Errors)
		}
	}
	if response := execute(t, nil, `{ __typename }`, Options{}); len(response.Errors) > 0 {
		t.Fatal(response.Errors)
	}
}

func TestAPanicIsOneErrorAndIsNotShown(t *testing.T) {
	response := execute(t, nil, `{ me { id } }`, Options{}) // there is no service to ask
	wantCode(t, response, InternalServerError)
	if strings.Contains(response.Errors[0].Message, "nil") {
		t.Fatal("the panic is shown")
	}
}

var _ generated.ResolverRoot = (*Resolver)(nil)

func TestEveryCodeIsDocumented(t *testing.T) {
	schema, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{
		string(Unauthenticated), string(Forbidden), string(BadUserInput), string(BadRequest), string(ParseFailed), string(ValidationFailed),
		string(OperationTooLarge), string(Unavailable), string(InternalServerError),
		string(auth.TokenMissing), string(auth.TokenExpired), string(auth.TokenInvalid), string(auth.SessionEnded),
	}
	for _, value := range loadSchema(t, asItIs).Types["AuthFailureCode"].EnumValues {
		codes = append(codes, value.Name)
	}
	for _, code := range codes {
		if !strings.Contains(string(schema), code) {
			t.Errorf("schema.graphqls lacks %s", code)
		}
		if !strings.Contains(string(docs), "`"+code+"`") {
			t.Errorf("docs/errors.md lacks %s", code)
		}
	}
}

// Where a client must expect a failure, the description of the field itself names it.
func TestEachFieldNamesTheFailuresThatItReturns(t *testing.T) {
	schema := loadSchema(t, asItIs)
	for field, codes := range map[string][]string{
		"signUp":        {"EMAIL_TAKEN", "WEAK_PASSWORD", "SIGN_UP_CLOSED", "BAD_USER_INPUT"},
		"login":         {"INVALID_CREDENTIALS", "BAD_USER_INPUT"},
		"refreshToken":  {"INVALID_REFRESH_TOKEN", "SESSION_ENDED"},
		"revokeSession": {"UNAUTHENTICATED", "BAD_USER_INPUT"},
	} {
		description := schema.Mutation.Fields.ForName(field).Description
		for _, code := range codes {
			if !strings.Contains(description, code) {
				t.Errorf("%s does not name %s", field, code)
			}
		}
	}
	if description := schema.Query.Fields.ForName("me").Description; !strings.Contains(description, "UNAUTHENTICATED") {
		t.Error("me does not name UNAUTHENTICATED")
	}
}
