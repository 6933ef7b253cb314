package scalar

import (
	"github.com/99designs/gqlgen/graphql"
)

// TokenDelivery is how tokens reach the client.
type TokenDelivery string

// The ways of delivery.
const (
	Body          TokenDelivery = "BODY"
	RefreshCookie TokenDelivery = "REFRESH_COOKIE"
	Cookies       TokenDelivery = "COOKIES"
)

// MarshalTokenDelivery writes a TokenDelivery.
func MarshalTokenDelivery(delivery TokenDelivery) graphql.Marshaler {
	return graphql.MarshalString(string(delivery))
}

// UnmarshalTokenDelivery reads a TokenDelivery, in its exact spelling: gqlparser ignores case.
func UnmarshalTokenDelivery(value any) (TokenDelivery, error) {
	text, _ := value.(string)
	switch delivery := TokenDelivery(text); delivery {
	case Body, RefreshCookie, Cookies:
		return delivery, nil
	}
	return "", &Error{"must be BODY, REFRESH_COOKIE or COOKIES"}
}
