// Package api has the operations of operations.graphql as Go functions, with a type for every answer. genqlient checks
// them against the server's schema and writes generated.go:
//
//	go generate ./...
//
// A union, such as the result of LogIn, is an interface that has one Go type for each member. Switch on it as package
// session does, and never without a default: it is nil where the answer has none.
package api

//go:generate go run github.com/Khan/genqlient
