// What the compiler must say of the kit's types. types.test.ts asks it.
import type { AuthFailureCode, Session, SessionState, SignInResult } from '../src/index.js';
import type { ChangePasswordMutation, SessionEventKind } from '../src/operations/index.js';

declare const session: Session;

// All cases are there: nothing is left.
export function all(result: SignInResult): string {
  switch (result.__typename) {
    case 'AuthSuccess':
      return result.user.email;
    case 'AuthFailure':
      return result.message;
  }
}

// One is missing, and the compiler says so.
// @ts-expect-error
export function withoutFailure(result: SignInResult): string {
  switch (result.__typename) {
    case 'AuthSuccess':
      return result.user.email;
  }
}

export function allOfChangePassword({ changePassword: result }: ChangePasswordMutation): number {
  switch (result.__typename) {
    case 'ChangePasswordSuccess':
      return result.revokedCount;
    case 'AuthFailure':
      // @ts-expect-error it is a failure
      return result.revokedCount;
  }
}

// @ts-expect-error AuthFailure is missing
export function changed({ changePassword: result }: ChangePasswordMutation): number {
  switch (result.__typename) {
    case 'ChangePasswordSuccess':
      return result.revokedCount;
  }
}

export function allCodes(code: AuthFailureCode): string {
  switch (code) {
    case 'EMAIL_TAKEN':
    case 'INVALID_CREDENTIALS':
    case 'INVALID_REFRESH_TOKEN':
    case 'SESSION_ENDED':
    case 'SIGN_UP_CLOSED':
    case 'TOO_MANY_ATTEMPTS':
    case 'WEAK_PASSWORD':
      return 'known';
    default:
      code satisfies never;
      return 'of a newer server';
  }
}

export function withoutCode(code: AuthFailureCode): string {
  switch (code) {
    case 'EMAIL_TAKEN':
    case 'INVALID_CREDENTIALS':
    case 'INVALID_REFRESH_TOKEN':
    case 'SESSION_ENDED':
    case 'SIGN_UP_CLOSED':
    case 'WEAK_PASSWORD':
      return 'known';
    default:
      // @ts-expect-error TOO_MANY_ATTEMPTS is missing
      code satisfies never;
      return 'of a newer server';
  }
}

// There is no such code, and no such event.
// @ts-expect-error
export const wrongCode: AuthFailureCode = 'WRONG_PASSWORD';
// @ts-expect-error
export const wrongKind: SessionEventKind = 'SIGNED_UP';

// A user is there only while somebody is signed in.
export function emailIn(state: SessionState): string | null {
  // @ts-expect-error
  void state.user;
  return state.status === 'signedIn' ? state.user.email : null;
}

// @ts-expect-error a sign-in needs a password
void session.logIn({ email: 'ada@example.com' });
