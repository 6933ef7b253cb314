// Package secret has the type of passwords and tokens.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Text is what must not be seen. However it is printed or logged it shows "[redacted]"; only Reveal returns it. As JSON
// it shows itself, since that is how it is sent and kept: never write the JSON of an answer to a log.
type Text string

// Reveal returns the text itself.
func (t Text) Reveal() string { return string(t) }

// Format implements fmt.Formatter, for every verb: %x and %#v too.
func (Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String implements fmt.Stringer, for those who call it themselves.
func (Text) String() string { return redacted }

// GoString implements fmt.GoStringer, for those who call it themselves.
func (Text) GoString() string { return redacted }

// LogValue implements slog.LogValuer.
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }
