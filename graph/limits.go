package graph

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
)

// What an operation may have. The largest that a client of this schema needs is the introspection query of
// GraphiQL: fewer than 500 tokens, 15 deep. The time to validate grows with the square of the fields: one
// that is named 5000 times took a second.
const (
	maxTokens             = 1000
	maxDepth              = 10 // of fields in fields
	maxIntrospectionDepth = 20 // the same, from __schema and __type on
	maxValueDepth         = 10 // of lists and objects in arguments and variables
	maxAliases            = 20
	maxDirectives         = 20
	maxFragments          = 20
	maxFields             = 1000 // with every fragment written out where it is spread
	maxQueryFields        = 10   // at the root of a query
	maxMutationFields     = 1    // at the root of a mutation, besides __typename: nobody guesses passwords in bulk
)

// MaxErrors is how many errors of one operation a client is told.
const MaxErrors = 3

// tooLargeError says which limit an operation exceeds.
type tooLargeError struct {
	what string
	most int
}

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("The operation has more than %d %s.", e.most, e.what)
}

// size is what a selection costs with every fragment written out.
type size struct{ fields, depth, introspectionDepth int }

// measurement is one walk over a document.
type measurement struct {
	document                             *ast.QueryDocument
	fragments                            map[string]size // of those that were walked; a second spread is a look-up
	walking                              map[string]bool
	aliases, directives, inlineFragments int
	err                                  error
}

// measure returns a *tooLargeError, or nil.
func measure(document *ast.QueryDocument) error {
	m := &measurement{document: document, fragments: map[string]size{}, walking: map[string]bool{}}
	m.most("fragments", len(document.Fragments), maxFragments)
	for _, operation := range document.Operations {
		m.directive(operation.Directives)
		for _, variable := range operation.VariableDefinitions {
			m.directive(variable.Directives)
			m.value(variable.DefaultValue, maxValueDepth)
		}
		what, most := "fields at the root of a query", maxQueryFields
		if operation.Operation == ast.Mutation {
			what, most = "field at the root of a mutation", maxMutationFields
		}
		m.most(what, m.rootFields(operation.SelectionSet, operation.Operation, map[string]bool{}), most)
		m.check(m.selection(operation.SelectionSet))
	}
	for _, fragment := range document.Fragments {
		s := m.spread(fragment.Name) // of one that no operation spreads too: it will be validated
		m.most("fields", s.fields, maxFields)
		m.most("levels of fields", s.depth, maxIntrospectionDepth)
	}
	m.most("aliases", m.aliases, maxAliases)
	m.most("directives", m.directives, maxDirectives)
	m.most("fragments", m.inlineFragments, maxFragments)
	return m.err
}

func (m *measurement) check(s size) {
	m.most("fields", s.fields, maxFields)
	m.most("levels of fields", s.depth, maxDepth)
	m.most("levels of introspection", s.introspectionDepth, maxIntrospectionDepth)
}

// most keeps the first limit that is exceeded.
func (m *measurement) most(what string, got, most int) {
	if m.err == nil && got > most {
		m.err = &tooLargeError{what, most}
	}
}

func (m *measurement) directive(list ast.DirectiveList) {
	m.directives += len(list)
	for _, directive := range list {
		m.arguments(directive.Arguments)
	}
}

func (m *measurement) arguments(list ast.ArgumentList) {
	for _, argument := range list {
		m.value(argument.Value, maxValueDepth)
	}
}

// value goes no deeper than it may: the parser has bounded the tokens, and with them the depth.
func (m *measurement) value(value *ast.Value, left int) {
	if value == nil {
		return
	}
	if len(value.Children) > 0 && left == 0 {
		m.most("levels of lists and objects in a value", maxValueDepth+1, maxValueDepth)
		return
	}
	for _, child := range value.Children {
		m.value(child.Value, left-1)
	}
}

// rootFields counts the fields at the root of an operation, with those that fragments bring along.
func (m *measurement) rootFields(set ast.SelectionSet, operation ast.Operation, seen map[string]bool) int {
	count := 0
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			if operation != ast.Mutation || selection.Name != "__typename" {
				count++
			}
		case *ast.InlineFragment:
			count += m.rootFields(selection.SelectionSet, operation, seen)
		case *ast.FragmentSpread:
			if fragment := m.document.Fragments.ForName(selection.Name); fragment != nil && !seen[selection.Name] {
				seen[selection.Name] = true // twice is once: fields of one name are merged
				count += m.rootFields(fragment.SelectionSet, operation, seen)
			}
		}
	}
	return count
}

func (m *measurement) selection(set ast.SelectionSet) size {
	var total size
	for _, selection := range set {
		var s size
		switch selection := selection.(type) {
		case *ast.Field:
			m.directive(selection.Directives)
			m.arguments(selection.Arguments)
			if selection.Alias != selection.Name {
				m.aliases++
			}
			s = m.selection(selection.SelectionSet)
			s.fields++
			if selection.Name == "__schema" || selection.Name == "__type" {
				s.introspectionDepth = max(s.introspectionDepth, s.depth) + 1
				s.depth = 0
			} else {
				s.depth++
			}
		case *ast.InlineFragment:
			m.inlineFragments++
			m.directive(selection.Directives)
			s = m.selection(selection.SelectionSet)
		case *ast.FragmentSpread:
			m.directive(selection.Directives)
			s = m.spread(selection.Name)
		}
		total.fields = min(total.fields+s.fields, maxFields+1) // a bomb must not overflow it
		total.depth = max(total.depth, s.depth)
		total.introspectionDepth = max(total.introspectionDepth, s.introspectionDepth)
	}
	return total
}

// spread returns the size of a fragment. One that contains itself has none: validation refuses it.
func (m *measurement) spread(name string) size {
	if s, ok := m.fragments[name]; ok {
		return s
	}
	fragment := m.document.Fragments.ForName(name)
	if fragment == nil || m.walking[name] {
		return size{}
	}
	m.walking[name] = true
	m.directive(fragment.Directives)
	s := m.selection(fragment.SelectionSet)
	m.fragments[name] = s
	return s
}

// shallow reports whether the lists and objects of a value, itself included, are nested at most so deep.
func shallow(value any, left int) bool {
	switch value := value.(type) {
	case map[string]any:
		for _, member := range value {
			if left == 0 || !shallow(member, left-1) {
				return false
			}
		}
	case []any:
		for _, element := range value {
			if left == 0 || !shallow(element, left-1) {
				return false
			}
		}
	}
	return true
}
