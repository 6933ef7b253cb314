package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"latchkey/auth"
	"latchkey/graph/scalar"
)

// Code is the `extensions.code` of a top-level error.
type Code string

// The codes, as clients see them.
const (
	Unauthenticated     Code = "UNAUTHENTICATED"
	Forbidden           Code = "FORBIDDEN"
	BadUserInput        Code = "BAD_USER_INPUT"
	BadRequest          Code = "BAD_REQUEST"
	ParseFailed         Code = errcode.ParseFailed
	ValidationFailed    Code = errcode.ValidationFailed
	OperationTooLarge   Code = "OPERATION_TOO_LARGE"
	RateLimited         Code = "RATE_LIMITED"
	Unavailable         Code = "UNAVAILABLE"
	InternalServerError Code = "INTERNAL_SERVER_ERROR"
)

var (
	errPanic            = errors.New("panic") // logged where it was recovered
	errIntrospectionOff = errors.New("introspection is off")
)

// presenter turns every error into one that a client may see. Those of gqlgen and gqlparser quote what
// was sent, so of theirs only the kind and the place are kept.
type presenter struct {
	log     *slog.Logger
	metrics Metrics
	// inputs are the names of all arguments and input fields: the only names in the path of an input
	// error that do not come from the client.
	inputs map[string]bool
}

func newPresenter(schema *ast.Schema, log *slog.Logger, metrics Metrics) *presenter {
	inputs := map[string]bool{}
	for _, definition := range schema.Types {
		for _, field := range definition.Fields {
			if definition.Kind == ast.InputObject {
				inputs[field.Name] = true
			}
			for _, argument := range field.Arguments {
				inputs[argument.Name] = true
			}
		}
	}
	return &presenter{log: log, metrics: metrics, inputs: inputs}
}

// present implements graphql.ErrorPresenterFunc. It always returns an error of its own: gqlgen writes
// into the ones that it is given.
func (p *presenter) present(ctx context.Context, err error) *gqlerror.Error {
	request := requestOf(ctx)
	shown := &gqlerror.Error{Path: graphql.GetPath(ctx), Extensions: map[string]any{"requestId": request.ID}}
	cause := err
	given, ok := errors.AsType[*gqlerror.Error](err)
	if ok {
		shown.Locations = given.Locations
		if given.Err != nil {
			cause = given.Err // without the path, in which aliases stand as the client chose them
		}
	}
	code, message := p.classify(err, given)
	shown.Message = message
	shown.Extensions["code"] = code

	kind := string(code)
	if unauthenticated, ok := errors.AsType[*auth.UnauthenticatedError](err); ok {
		shown.Extensions["reason"] = unauthenticated.Reason
		kind += ":" + string(unauthenticated.Reason)
	}
	if limited, ok := errors.AsType[*auth.RateLimitedError](err); ok {
		shown.Extensions["retryAt"] = scalar.FormatDateTime(limited.RetryAt)
	}
	p.metrics.Count(kind)
	switch {
	case code == Forbidden:
		p.log.InfoContext(ctx, "forbidden")
	case code == Unavailable:
		p.log.WarnContext(ctx, "unavailable", "error", cause)
	case code == InternalServerError && !errors.Is(err, errPanic):
		p.log.ErrorContext(ctx, "internal server error", "error", cause)
	}
	return shown
}

// classify is the table of errors. What it does not know is nobody's business.
func (p *presenter) classify(err error, given *gqlerror.Error) (Code, string) {
	if unauthenticated, ok := errors.AsType[*auth.UnauthenticatedError](err); ok {
		return Unauthenticated, unauthenticatedMessages[unauthenticated.Reason]
	}
	if invalid, ok := errors.AsType[*auth.InvalidInputError](err); ok {
		return BadUserInput, fmt.Sprintf("%s %s.", invalid.Field, invalid.Problem)
	}
	if unreadable, ok := errors.AsType[*scalar.Error](err); ok {
		return BadUserInput, fmt.Sprintf("%s %s.", p.inputName(given), unreadable.Problem)
	}
	if tooLarge, ok := errors.AsType[*tooLargeError](err); ok {
		return OperationTooLarge, tooLarge.Error()
	}
	if _, ok := errors.AsType[*auth.RateLimitedError](err); ok {
		return RateLimited, "The service has too much to do at the moment. Nothing was counted: try again."
	}
	switch {
	case errors.Is(err, auth.ErrForbidden):
		return Forbidden, "This is not allowed."
	case errors.Is(err, auth.ErrUnavailable):
		return Unavailable, "The service cannot answer at the moment. Nothing is lost: try again."
	case errors.Is(err, errIntrospectionOff):
		return ValidationFailed, "Introspection is off on this server."
	case given != nil && given.Err == nil && given.Extensions["code"] == string(ParseFailed):
		return ParseFailed, "The operation has a syntax error" + place(given) + "."
	case given != nil && given.Err == nil && given.Extensions["code"] == string(ValidationFailed):
		return p.classifyValidation(given)
	}
	return InternalServerError, "Something went wrong here. The log says what, under this request id."
}

var unauthenticatedMessages = map[auth.UnauthenticatedReason]string{
	auth.TokenMissing: "This needs an access token in the header Authorization: Bearer.",
	auth.TokenExpired: "The access token has expired. Refresh it.",
	auth.TokenInvalid: "The access token is not one of this server.",
	auth.SessionEnded: "The session of the access token is over. Sign in again.",
}

// classifyValidation explains why an operation, or its variables, does not fit the schema.
func (p *presenter) classifyValidation(given *gqlerror.Error) (Code, string) {
	if given.Rule != "" {
		explanation, ok := validationRules[strings.TrimSuffix(given.Rule, "WithoutSuggestions")]
		if !ok {
			explanation = "The operation does not fit the schema"
		}
		return ValidationFailed, explanation + place(given) + "."
	}
	if len(given.Path) > 0 { // of a variable
		problem := "has a value of the wrong type"
		switch given.Message {
		case "must be defined", "cannot be null":
			problem = "is missing or null"
		case "unknown field":
			problem = "has a field that its type lacks"
		}
		return BadUserInput, p.inputName(given) + " " + problem + "."
	}
	return BadRequest, "The document has no operation of the given name, or several and no name was given."
}

// inputName names the input that an error is about, by what the schema calls it.
func (p *presenter) inputName(given *gqlerror.Error) string {
	var names []string
	if given != nil {
		for _, element := range given.Path {
			if name, ok := element.(ast.PathName); ok && p.inputs[string(name)] {
				names = append(names, string(name))
			}
		}
	}
	if len(names) == 0 {
		return "A variable"
	}
	return strings.Join(names, ".")
}

func place(given *gqlerror.Error) string {
	if len(given.Locations) == 0 {
		return ""
	}
	return fmt.Sprintf(" at line %d, column %d", given.Locations[0].Line, given.Locations[0].Column)
}

// validationRules explains the rules of the GraphQL specification, section 5, by their names in gqlparser.
var validationRules = map[string]string{
	"FieldsOnCorrectType":          "There is no such field in the schema",
	"FragmentsOnCompositeTypes":    "A fragment cannot be on a scalar, an enum or an input",
	"KnownArgumentNames":           "There is no such argument in the schema",
	"KnownDirectives":              "There is no such directive in the schema, or not for this place",
	"KnownFragmentNames":           "There is no such fragment in the document",
	"KnownRootType":                "The schema has no operations of this kind",
	"KnownTypeNames":               "There is no such type in the schema",
	"LoneAnonymousOperation":       "An operation without a name must be the only one",
	"MaxIntrospectionDepth":        "The introspection is nested too deeply",
	"NoFragmentCycles":             "A fragment contains itself",
	"NoUndefinedVariables":         "A variable is used that the operation does not declare",
	"NoUnusedFragments":            "A fragment is not used",
	"NoUnusedVariables":            "A variable is not used",
	"OverlappingFieldsCanBeMerged": "Two different fields have one name in the answer; give one an alias",
	"PossibleFragmentSpreads":      "The fragment can never apply here",
	"ProvidedRequiredArguments":    "A required argument is missing",
	"ScalarLeafs":                  "An object needs a selection of fields, and a scalar can have none",
	"SingleFieldSubscriptions":     "A subscription has one field",
	"UniqueArgumentNames":          "An argument is given twice",
	"UniqueDirectivesPerLocation":  "A directive is given twice",
	"UniqueFragmentNames":          "Two fragments have one name",
	"UniqueInputFieldNames":        "An input field is given twice",
	"UniqueOperationNames":         "Two operations have one name",
	"UniqueVariableNames":          "A variable is declared twice",
	"ValuesOfCorrectType":          "A value does not fit its type in the schema",
	"VariablesAreInputTypes":       "A variable cannot have the type of an output",
	"VariablesInAllowedPosition":   "A variable's type does not fit the place where it is used",
}
