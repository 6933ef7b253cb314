package db

import (
	"fmt"
	"time"
)

// instant scans a time from both databases, in UTC. SQLite has microseconds in an integer, which its
// driver turns into a time only where the column's declared type came along.
type instant struct{ time.Time }

// Scan implements sql.Scanner.
func (i *instant) Scan(value any) error {
	switch value := value.(type) {
	case time.Time:
		i.Time = value.UTC()
	case int64:
		i.Time = time.UnixMicro(value).UTC()
	default:
		return fmt.Errorf("cannot read a time from %T", value)
	}
	return nil
}

// pointer returns the time, or nil where the column was NULL.
func (i *instant) pointer() *time.Time {
	if i == nil {
		return nil
	}
	return &i.Time
}
