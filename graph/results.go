package graph

import (
	"context"
	"errors"

	"latchkey/auth"
	"latchkey/graph/generated"
)

// signInResult is what signUp, login and refreshToken answer.
type signInResult interface {
	generated.SignUpResult
	generated.LoginResult
	generated.RefreshTokenResult
}

// failure is what all of them answer, and changePassword, where they do not.
type failure interface {
	signInResult
	generated.ChangePasswordResult
}

// resultOf delivers tokens, or says why there are none. No failure touches a cookie: it may be the answer to an
// older request than the one that set it.
func (r *Resolver) resultOf(ctx context.Context, tokens *auth.Tokens, err error) (signInResult, error) {
	if err != nil {
		return r.failureOf(err)
	}
	success := generated.AuthSuccess{
		AccessTokenExpiresAt:  tokens.AccessTokenExpiresAt,
		RefreshTokenExpiresAt: tokens.RefreshTokenExpiresAt,
		Session:               &tokens.Session,
		User:                  &tokens.User,
	}
	// Each token goes one way only: what a cookie hides from scripts must not stand in the body too.
	cookies := &requestOf(ctx).Cookies
	*cookies = Cookies{MaxAge: tokens.RefreshTokenExpiresAt.Sub(tokens.IssuedAt)}
	if tokens.DeviceToken != "" {
		cookies.DeviceToken = &tokens.DeviceToken
	}
	switch tokens.Session.Delivery {
	case auth.ByCookies:
		cookies.AccessToken, cookies.RefreshToken = &tokens.AccessToken, &tokens.RefreshToken
	case auth.ByRefreshCookie:
		success.AccessToken, cookies.RefreshToken = &tokens.AccessToken, &tokens.RefreshToken
		cookies.Clear = true // an access cookie would be that of an earlier session
	default:
		success.AccessToken, success.RefreshToken = &tokens.AccessToken, &tokens.RefreshToken
	}
	return success, nil
}

// signedIn is resultOf for a sign-in. It takes back the cookies that it does not set: they are those of the session
// that the sign-in has ended.
func (r *Resolver) signedIn(ctx context.Context, tokens *auth.Tokens, err error) (signInResult, error) {
	result, err := r.resultOf(ctx, tokens, err)
	if tokens != nil {
		requestOf(ctx).Cookies.Clear = true
	}
	return result, err
}

// failureOf makes data of the outcomes that a client is to expect, and returns other errors as they are.
func (r *Resolver) failureOf(err error) (failure, error) {
	var (
		weak  *auth.WeakPasswordError
		ended *auth.SessionEndedError
		many  *auth.TooManyAttemptsError
	)
	switch {
	case errors.Is(err, auth.ErrInvalidCredentials):
		return r.refuse(generated.AuthFailureCodeInvalidCredentials, "The e-mail address or the password is wrong.")
	case errors.Is(err, auth.ErrWrongPassword):
		return r.refuse(generated.AuthFailureCodeInvalidCredentials, "The current password is wrong.")
	case errors.Is(err, auth.ErrInvalidRefreshToken):
		return r.refuse(generated.AuthFailureCodeInvalidRefreshToken, "This is not a refresh token of this server. Sign in again.")
	case errors.Is(err, auth.ErrEmailTaken):
		return r.refuse(generated.AuthFailureCodeEmailTaken, "There is an account with this e-mail address.")
	case errors.Is(err, auth.ErrSignUpClosed):
		return r.refuse(generated.AuthFailureCodeSignUpClosed, "This server opens no accounts by itself.")
	case errors.As(err, &weak):
		return r.refuse(generated.AuthFailureCodeWeakPassword, weak.Problem)
	case errors.As(err, &many):
		r.metrics.Count(string(generated.AuthFailureCodeTooManyAttempts))
		return generated.AuthFailure{
			Code:    generated.AuthFailureCodeTooManyAttempts,
			Message: "There were too many attempts. Try again later.",
			RetryAt: &many.RetryAt,
		}, nil
	case errors.As(err, &ended):
		r.metrics.Count(string(ended.Reason))
		return generated.AuthFailure{
			Code:      generated.AuthFailureCodeSessionEnded,
			Message:   "The session is over. Sign in again.",
			EndReason: &ended.Reason,
		}, nil
	}
	return nil, err
}

func (r *Resolver) refuse(code generated.AuthFailureCode, message string) (failure, error) {
	r.metrics.Count(string(code))
	return generated.AuthFailure{Code: code, Message: message}, nil
}
