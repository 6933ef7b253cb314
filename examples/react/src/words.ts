import { SessionError, type AuthFailureCode, type Role, type SessionEndReason } from '@latchkey/client';
import { sessionErrorOf } from '@latchkey/client/apollo';
import type { AccountEventFragment, SessionEventKind } from '@latchkey/client/operations';

/** What hinders a person, in words. */
export interface Problem {
  /** Where it is shown. */
  readonly about: 'credentials' | 'email' | 'newPassword' | 'request';
  readonly text: string;
  /** When it is worth trying again. */
  readonly retryAt: Date | null;
  /** What the server's log knows the request by. */
  readonly requestId: string | null;
  /** Whether the server may have done what was asked all the same. */
  readonly maybeDone: boolean;
}

interface Failure {
  readonly code: AuthFailureCode;
  readonly message: string;
  readonly retryAt: Date | null;
}

/** failureInWords says what is wrong with what was typed. */
export function failureInWords({ code, message, retryAt }: Failure): Problem {
  const say = (about: Problem['about'], text: string): Problem => ({ about, text, retryAt, requestId: null, maybeDone: false });
  switch (code) {
    case 'INVALID_CREDENTIALS':
      return say('credentials', message); // it tells a sign-in from a change of the password
    case 'EMAIL_TAKEN':
      return say('email', 'There is an account with this address already.');
    case 'WEAK_PASSWORD':
      return say('newPassword', message);
    case 'SIGN_UP_CLOSED':
      return say('request', 'New accounts cannot be made here.');
    case 'TOO_MANY_ATTEMPTS':
      return say('request', 'There were too many attempts. Until the time is over not even the right password is looked at.');
    case 'INVALID_REFRESH_TOKEN':
    case 'SESSION_ENDED':
      return say('request', 'You are signed out. Sign in again.');
    default:
      code satisfies never;
      return say('request', message); // of a newer server
  }
}

/** errorInWords says why a request was not answered as it should have been. */
export function errorInWords(error: unknown): Problem {
  const { code, message, retryAt, requestId } = sessionErrorOf(error) ?? new SessionError('UNKNOWN', `Something went wrong: ${String(error)}`);
  const say = (text: string, maybeDone = false): Problem => ({ about: 'request', text, retryAt, requestId, maybeDone });
  switch (code) {
    case 'UNAVAILABLE':
      return say('The server cannot be reached at the moment. Check your connection, and try again.', true);
    case 'RATE_LIMITED':
      return say('The server has too much to do at the moment. Try again soon.');
    case 'INTERNAL_SERVER_ERROR':
      return say('The server has made a mistake. Try again; if it goes on, tell those who run it.', true);
    case 'BAD_USER_INPUT':
      return say(`The server cannot take this: ${message}`);
    case 'FORBIDDEN':
      return say(`The server refuses this, or anything that comes from ${location.origin}.`);
    case 'UNAUTHENTICATED':
      return say('You are signed out. Sign in again.');
    default:
      return say(message);
  }
}

/** Why a person is signed out. */
export const endInWords: Record<SessionEndReason, string> = {
  SIGNED_OUT: 'You are signed out.',
  REVOKED: 'You signed this device out from another one.',
  EXPIRED: 'You have been signed in for a long time. Sign in again to go on.',
  IDLE: 'You have not been here for a long time. Sign in again to go on.',
  REUSE_DETECTED:
    'We ended this session for your safety: somebody may have copied your sign-in. ' +
    'Sign in again, and change your password if you see a device that you do not know.',
  PASSWORD_CHANGED: 'Your password was changed. Sign in with the new one.',
  USER_DISABLED: 'Your account was disabled. Ask those who run this service.',
  ADMIN: 'An administrator signed you out.',
  STORAGE_ROLLED_BACK: 'The server was restored from a backup that does not know this session. Sign in again.',
};

export const roleInWords: Record<Role, string> = { USER: 'Member', ADMIN: 'Administrator' };

/** othersInWords says how many other devices were signed out. */
export function othersInWords(count: number): string {
  switch (count) {
    case 0:
      return 'No other device was signed in.';
    case 1:
      return '1 other device was signed out.';
    default:
      return `${count} other devices were signed out.`;
  }
}

/** Kinds that a person should look at twice. */
export const worrying: ReadonlySet<SessionEventKind> = new Set(['LOGIN_FAILED', 'PASSWORD_CHANGE_FAILED', 'THROTTLED']);

/** eventInWords says what happened. */
export function eventInWords({ kind, reason, endedCount }: AccountEventFragment): string {
  switch (kind) {
    case 'SIGN_UP':
      return 'Account created';
    case 'LOGIN':
      return 'Signed in';
    case 'LOGIN_FAILED':
      return 'Failed attempt to sign in';
    case 'SESSION_ENDED':
      return reason ? endedInWords[reason] : 'Signed out';
    case 'SESSIONS_ENDED':
      return `${reason === 'ADMIN' ? 'Signed out by an administrator' : 'Signed out everywhere else'} (${endedCount ?? 0})`;
    case 'PASSWORD_CHANGED':
      return 'Password changed';
    case 'PASSWORD_CHANGE_FAILED':
      return 'Failed attempt to change the password';
    case 'THROTTLED':
      return 'Too many failed attempts: the next ones were slowed down';
    case 'USER_DISABLED':
      return 'Account disabled';
    case 'USER_ENABLED':
      return 'Account enabled again';
    case 'ADMIN_GRANTED':
      return 'Became an administrator';
    case 'ADMIN_REVOKED':
      return 'No longer an administrator';
    default:
      kind satisfies never;
      return 'Something else happened'; // of a newer server
  }
}

const endedInWords: Record<SessionEndReason, string> = {
  SIGNED_OUT: 'Signed out',
  REVOKED: 'Signed out from another device',
  EXPIRED: 'Signed out after the longest time allowed',
  IDLE: 'Signed out after a long time without use',
  REUSE_DETECTED: 'Signed out for safety: a sign-in may have been copied',
  PASSWORD_CHANGED: 'Signed out by a new password',
  USER_DISABLED: 'Signed out because the account was disabled',
  ADMIN: 'Signed out by an administrator',
  STORAGE_ROLLED_BACK: 'Signed out because the server was restored from a backup',
};
