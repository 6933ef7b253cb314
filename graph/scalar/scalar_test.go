package scalar_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/graph/scalar"
)

func wantRefused(t *testing.T, value any, err error) {
	t.Helper()
	refused, ok := errors.AsType[*scalar.Error](err)
	if !ok {
		t.Fatalf("%v was taken", value)
	}
	if text, ok := value.(string); ok && text != "" && strings.Contains(refused.Problem, text) {
		t.Fatal("the error repeats the input")
	}
}

func TestADateTimeHasThreeFractionalDigitsAndIsInUTC(t *testing.T) {
	for moment, want := range map[time.Time]string{
		time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC):                               `"2026-03-01T12:00:00.000Z"`,
		time.Date(2026, 3, 1, 12, 0, 0, 999999999, time.UTC):                       `"2026-03-01T12:00:00.999Z"`,
		time.Date(2026, 3, 1, 12, 0, 0, 1000000, time.FixedZone("", 2*60*60)):      `"2026-03-01T10:00:00.001Z"`,
		time.Date(2026, 12, 31, 23, 59, 59, 120000000, time.FixedZone("", -60*60)): `"2027-01-01T00:59:59.120Z"`,
	} {
		var text strings.Builder
		scalar.MarshalDateTime(moment).MarshalGQL(&text)
		if text.String() != want {
			t.Errorf("got %s, want %s", &text, want)
		}
	}
	if read, err := scalar.UnmarshalDateTime("2026-03-01T14:00:00.000+02:00"); err != nil || !read.Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("got %v, %v", read, err)
	}
	for _, value := range []any{"", "2026-03-01", 5, nil} {
		_, err := scalar.UnmarshalDateTime(value)
		wantRefused(t, value, err)
	}
}

func TestAStringIsTextThatBothDatabasesCanStore(t *testing.T) {
	for _, value := range []any{json.Number("5"), 5, true, nil, []any{"x"}, "a\x00b", "a\xffb"} {
		_, err := scalar.UnmarshalString(value)
		wantRefused(t, value, err)
		_, err = scalar.UnmarshalSecret(value)
		wantRefused(t, value, err)
	}
	if secret, err := scalar.UnmarshalSecret("x"); err != nil || secret != auth.Secret("x") {
		t.Errorf("got %v", err)
	}
}

func TestAnIDIsAUUIDInItsUsualForm(t *testing.T) {
	id := uuid.New()
	if read, err := scalar.UnmarshalID(id.String()); err != nil || read != id {
		t.Fatalf("got %v, %v", read, err)
	}
	for _, value := range []any{"", "1", "{" + id.String() + "}", "urn:uuid:" + id.String(), strings.ReplaceAll(id.String(), "-", ""),
		strings.Replace(id.String(), "-", "_", 1), 5, json.Number("5"), nil} {
		_, err := scalar.UnmarshalID(value)
		wantRefused(t, value, err)
	}
}

func TestADeliveryIsSpeltExactly(t *testing.T) {
	for _, value := range []any{"body", "Body", "", 1, nil} {
		_, err := scalar.UnmarshalTokenDelivery(value)
		wantRefused(t, value, err)
	}
}
