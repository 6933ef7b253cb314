package graph

import (
	"fmt"
	"strings"
	"testing"
)

func TestAnOperationMayHaveSoMuchAndNoMore(t *testing.T) {
	bomb := func(levels int) string { // each level spreads the next one twice
		text := "{ ...f0 }"
		for i := range levels {
			text += fmt.Sprintf(" fragment f%d on Query { ...f%d ...f%d }", i, i+1, i+1)
		}
		return text + fmt.Sprintf(" fragment f%d on Query { __typename }", levels)
	}
	nested := func(levels int) string {
		return "{ __schema { types { " + strings.Repeat("ofType { ", levels-3) + "name " + strings.Repeat("} ", levels-3) + "} } }"
	}
	value := func(levels int) string {
		return `{ __type(name: ` + strings.Repeat("[", levels) + `"User"` + strings.Repeat("]", levels) + `) { name } }`
	}
	aliases := func(n int) string {
		text := "{ __type(name: \"User\") {"
		for i := range n {
			text += fmt.Sprintf(" a%d: name", i)
		}
		return text + " } }"
	}
	for name, test := range map[string]struct {
		fits, exceeds string
		says          string
	}{
		"tokens": {"{ __type(name: \"User\") {" + strings.Repeat(" name", 900) + " } }", "{ __type(name: \"User\") {" + strings.Repeat(" name", 1000) + " } }", "1000 tokens"},
		"levels of fields": {"{ me " + strings.Repeat("{ sessions ", 8) + "{ id" + strings.Repeat(" }", 10), "{ me " + strings.Repeat("{ sessions ", 9) + "{ id" + strings.Repeat(" }", 11),
			"10 levels of fields"},
		"introspection": {nested(20), nested(21), "20 levels of introspection"},
		"values":        {value(10), value(11), "10 levels of lists"},
		"values of directives": {"{ __typename @skip(if: " + strings.Repeat("[", 10) + "true" + strings.Repeat("]", 10) + ") }",
			"{ __typename @skip(if: " + strings.Repeat("[", 11) + "true" + strings.Repeat("]", 11) + ") }", "10 levels of lists"},
		"aliases":    {aliases(20), aliases(21), "20 aliases"},
		"directives": {"{ __typename" + strings.Repeat(" @skip(if: false)", 20) + " }", "{ __typename" + strings.Repeat(" @skip(if: false)", 21) + " }", "20 directives"},
		"fragments":  {"{" + strings.Repeat(" ... { __typename }", 10) + " }", "{ __type(name: \"User\") {" + strings.Repeat(" ... { name }", 21) + " } }", "20 fragments"},
		"a bomb":     {bomb(2), bomb(15), "fields"},
		"query":      {"{" + strings.Repeat(" __typename", 10) + " }", "{" + strings.Repeat(" __typename", 9) + " ... { __typename __typename } }", "10 fields at the root"},
		"mutation": {`mutation { __typename revokeSession { revoked } __typename }`, `mutation { revokeSession { revoked } ...f } fragment f on Mutation { x: revokeSession { revoked } }`,
			"1 field at the root"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range execute(t, nil, test.fits, Options{Introspection: true}).Errors {
				if err.Extensions["code"] == OperationTooLarge {
					t.Fatalf("refused: %v", err)
				}
			}
			response := execute(t, nil, test.exceeds, Options{Introspection: true})
			wantCode(t, response, OperationTooLarge)
			if !strings.Contains(response.Errors[0].Message, test.says) {
				t.Fatalf("got %q, want %q", response.Errors[0].Message, test.says)
			}
		})
	}
}

// The introspection of GraphiQL 4 and graphql-js 16: what tools send must fit.
const introspectionQuery = `
query IntrospectionQuery {
  __schema {
    description
    queryType { name kind }
    mutationType { name kind }
    subscriptionType { name kind }
    types { ...FullType }
    directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } }
  }
}
fragment FullType on __Type {
  kind name description specifiedByURL
  fields(includeDeprecated: true) {
    name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason
  }
  inputFields(includeDeprecated: true) { ...InputValue }
  interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue {
  name description type { ...TypeRef } defaultValue isDeprecated deprecationReason
}
fragment TypeRef on __Type {
  kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
}`

func TestTheIntrospectionOfToolsFits(t *testing.T) {
	if response := execute(t, nil, introspectionQuery, Options{Introspection: true}); len(response.Errors) > 0 {
		t.Fatal(response.Errors)
	}
	wantCode(t, execute(t, nil, introspectionQuery, Options{}), ValidationFailed)
}
