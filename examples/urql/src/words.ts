// What people are told. Each switch names every code of the schema: where a new one comes, tsc stops at `satisfies never`,
// and a page that is older than its server still says something.
import { hindranceIn, SessionError, type AuthFailureCode, type SessionEndReason } from '@latchkey/client';
import { CombinedError } from 'urql';

/** Says why a session ended. Null where nobody need be told. */
export function whyItEnded(reason: SessionEndReason): string | null {
  switch (reason) {
    case 'SIGNED_OUT':
      return null; // they did it themselves
    case 'REVOKED':
      return 'You signed this device out from another one.';
    case 'PASSWORD_CHANGED':
      return 'Your password was changed. Sign in with the new one.';
    case 'EXPIRED':
      return 'You have been signed in for a long time. Sign in again to go on.';
    case 'IDLE':
      return 'You have not been here for a long time. Sign in again to go on.';
    case 'REUSE_DETECTED':
      return 'You were signed out for your safety: somebody may have copied your sign-in.';
    case 'USER_DISABLED':
      return 'Your account was disabled. Ask those who run this service.';
    case 'ADMIN':
      return 'An administrator signed you out.';
    case 'STORAGE_ROLLED_BACK':
      return 'The server was restored from a backup that does not know this session. Sign in again.';
    default:
      reason satisfies never;
      return 'You were signed out.';
  }
}

/** What went wrong with a form, and the name of the field to mend, if it is one. */
export interface Fault {
  readonly text: string;
  readonly field?: 'email' | 'password' | 'newPassword';
}

/** Says what a form must expect to go wrong. */
export function faultOf(failure: {
  readonly code: AuthFailureCode;
  readonly message: string;
  readonly retryAt: Date | string | null;
}): Fault {
  const { code, message: text, retryAt } = failure;
  switch (code) {
    case 'EMAIL_TAKEN':
      return { text, field: 'email' };
    case 'INVALID_CREDENTIALS':
      return { text, field: 'password' };
    case 'WEAK_PASSWORD':
      return { text, field: 'newPassword' };
    case 'TOO_MANY_ATTEMPTS':
      return { text: `There were too many attempts. Try again ${retryAt ? `at ${timeOf(retryAt)}` : 'later'}.` };
    case 'SIGN_UP_CLOSED':
    case 'INVALID_REFRESH_TOKEN':
    case 'SESSION_ENDED':
      return { text };
    default:
      code satisfies never;
      return { text };
  }
}

/** Says why something was not answered: an operation of urql, or what the session was asked for. */
export function troubleOf(error: unknown): string {
  if (error instanceof CombinedError) {
    const [first] = error.graphQLErrors;
    return first && !hindranceIn(error.graphQLErrors) ? first.message : unanswered;
  }
  return error instanceof SessionError && !error.temporary ? error.message : unanswered;
}

const unanswered = 'The server does not answer at the moment. Try again.';

/** Says a moment as people do. */
export function momentOf(moment: string): string {
  return minute.format(new Date(moment));
}

function timeOf(moment: Date | string): string {
  return second.format(new Date(moment));
}

const minute = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });
const second = new Intl.DateTimeFormat('en', { timeStyle: 'medium' });
