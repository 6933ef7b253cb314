package graph

import (
	"errors"

	"latchkey/auth"
	"latchkey/graph/generated"
	"latchkey/graph/scalar"
)

// signInResult is what signUp, login and refreshToken answer.
type signInResult interface {
	generated.SignUpResult
	generated.LoginResult
	generated.RefreshTokenResult
}

// resultOf makes data of the outcomes that a client is to expect, and leaves other errors as they are.
func resultOf(tokens *auth.Tokens, err error) (signInResult, error) {
	if err == nil {
		return generated.AuthSuccess{
			AccessToken:           &tokens.AccessToken,
			AccessTokenExpiresAt:  tokens.AccessTokenExpiresAt,
			RefreshToken:          &tokens.RefreshToken,
			RefreshTokenExpiresAt: tokens.RefreshTokenExpiresAt,
			Session:               &tokens.Session,
			User:                  &tokens.User,
		}, nil
	}
	var (
		weak  *auth.WeakPasswordError
		ended *auth.SessionEndedError
	)
	switch {
	case errors.Is(err, auth.ErrInvalidCredentials):
		return failure(generated.AuthFailureCodeInvalidCredentials, "The e-mail address or the password is wrong.")
	case errors.Is(err, auth.ErrInvalidRefreshToken):
		return failure(generated.AuthFailureCodeInvalidRefreshToken, "This is not a refresh token of this server. Sign in again.")
	case errors.Is(err, auth.ErrEmailTaken):
		return failure(generated.AuthFailureCodeEmailTaken, "There is an account with this e-mail address.")
	case errors.Is(err, auth.ErrSignUpClosed):
		return failure(generated.AuthFailureCodeSignUpClosed, "This server opens no accounts by itself.")
	case errors.As(err, &weak):
		return failure(generated.AuthFailureCodeWeakPassword, weak.Problem)
	case errors.As(err, &ended):
		return generated.AuthFailure{
			Code:      generated.AuthFailureCodeSessionEnded,
			Message:   "The session is over. Sign in again.",
			EndReason: &ended.Reason,
		}, nil
	}
	return nil, err
}

func failure(code generated.AuthFailureCode, message string) (signInResult, error) {
	return generated.AuthFailure{Code: code, Message: message}, nil
}

// inBody refuses the ways of delivery that this server does not have.
func inBody(delivery scalar.TokenDelivery) error {
	if delivery != scalar.Body {
		return &auth.InvalidInputError{Field: "delivery", Problem: "must be BODY: cookies are not available"}
	}
	return nil
}
