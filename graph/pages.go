package graph

import (
	"latchkey/auth"
	"latchkey/graph/generated"
)

// defaultPageSize is how many members of a list a client gets that does not say, as in the schema.
const defaultPageSize = 20

func pageSize(first *int) int {
	if first == nil {
		return defaultPageSize
	}
	return *first
}

// eventConnection is a page of events as Relay has it.
func eventConnection(page *auth.EventPage, after *string) *generated.SessionEventConnection {
	connection := &generated.SessionEventConnection{Edges: make([]generated.SessionEventEdge, len(page.Events))}
	for i := range page.Events {
		event := &page.Events[i]
		connection.Edges[i] = generated.SessionEventEdge{Cursor: event.Cursor(), Node: event}
	}
	info := &generated.PageInfo{HasNextPage: page.More, HasPreviousPage: after != nil}
	if edges := connection.Edges; len(edges) > 0 {
		info.StartCursor, info.EndCursor = &edges[0].Cursor, &edges[len(edges)-1].Cursor
	}
	connection.PageInfo = info
	return connection
}
