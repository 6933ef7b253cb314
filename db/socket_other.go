//go:build !linux

package db

import "syscall"

// limitUnacknowledged does nothing where the kernel has no TCP_USER_TIMEOUT: keepalive and the deadlines
// of statements remain.
func limitUnacknowledged(string, string, syscall.RawConn) error { return nil }
