package graph

import (
	"latchkey/auth"
	"latchkey/graph/generated"
)

// Pages of lists as Relay's cursor connections have them.

// defaultPageSize is how many members of a list a client gets that does not say, as in the schema.
const defaultPageSize = 20

func pageSize(first *int) int {
	if first == nil {
		return defaultPageSize
	}
	return *first
}

// pageInfo says where a page of edges with cursors is in the whole, that was asked for with after.
func pageInfo(cursors []string, more bool, after *string) *generated.PageInfo {
	info := &generated.PageInfo{HasNextPage: more, HasPreviousPage: after != nil}
	if len(cursors) > 0 {
		info.StartCursor, info.EndCursor = &cursors[0], &cursors[len(cursors)-1]
	}
	return info
}

func eventConnection(page *auth.EventPage, after *string) *generated.SessionEventConnection {
	var cursors []string
	edges := make([]generated.SessionEventEdge, len(page.Events))
	for i := range page.Events {
		event := &page.Events[i]
		cursors = append(cursors, event.Cursor())
		edges[i] = generated.SessionEventEdge{Cursor: cursors[i], Node: event}
	}
	return &generated.SessionEventConnection{Edges: edges, PageInfo: pageInfo(cursors, page.More, after)}
}

// userConnection is a page of users as somebody who is signed in reads it.
func userConnection(page *auth.UserPage, after *string, reader *auth.Principal) (*generated.UserConnection, error) {
	var cursors []string
	edges := make([]generated.UserEdge, len(page.Users))
	for i := range page.Users {
		user := &page.Users[i]
		user.SessionID = reader.Session.ID
		cursor, err := user.Cursor()
		if err != nil {
			return nil, err
		}
		cursors = append(cursors, cursor)
		edges[i] = generated.UserEdge{Cursor: cursor, Node: user}
	}
	return &generated.UserConnection{Edges: edges, PageInfo: pageInfo(cursors, page.More, after)}, nil
}
