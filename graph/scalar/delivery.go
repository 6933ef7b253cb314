package scalar

import (
	"github.com/99designs/gqlgen/graphql"

	"latchkey/auth"
)

// MarshalTokenDelivery writes a way of delivery.
func MarshalTokenDelivery(delivery auth.Delivery) graphql.Marshaler {
	return graphql.MarshalString(string(delivery))
}

// UnmarshalTokenDelivery reads a way of delivery, in its exact spelling: gqlparser ignores case.
func UnmarshalTokenDelivery(value any) (auth.Delivery, error) {
	text, _ := value.(string)
	switch delivery := auth.Delivery(text); delivery {
	case auth.ByBody, auth.ByRefreshCookie, auth.ByCookies:
		return delivery, nil
	}
	return "", &Error{"must be BODY, REFRESH_COOKIE or COOKIES"}
}
