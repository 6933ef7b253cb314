import type { ServerClock } from './clock.js';
import type { SignedInFragment } from './generated/documents.js';
import type { SessionUser } from './session.js';

/** What a tab knows of a session. The refresh token is not among it: it stays in its cookie or its storage. */
export interface Tokens {
  readonly accessToken: string | null;
  readonly sessionId: string;
  readonly user: SessionUser;
  // By the server's clock, in milliseconds.
  readonly startedAt: number;
  /** From when on it is exchanged, while it is still good: up to half a minute before its end. */
  readonly refreshAt: number;
  /** From when on nothing is begun with it: up to five seconds before its end. */
  readonly staleAt: number;
  readonly expiresAt: number;
}

/** tokensOf returns what the server has just granted. */
export function tokensOf({ accessToken, accessTokenExpiresAt, session, user }: SignedInFragment, clock: ServerClock): Tokens {
  const now = clock.now();
  let expiresAt = Date.parse(accessTokenExpiresAt);
  if (expiresAt <= now) {
    expiresAt = now + 10_000; // it is new: the clock is wrong, or the line slow. If the server refuses it, it is exchanged
  }
  const life = expiresAt - now;
  return {
    accessToken,
    sessionId: session.id,
    user,
    startedAt: Date.parse(session.createdAt),
    refreshAt: expiresAt - Math.min(30_000, life / 3),
    staleAt: expiresAt - Math.min(5_000, life / 20),
    expiresAt,
  };
}

/** isTokens tells whether what came from elsewhere has the shape of tokens. */
export function isTokens(told: Partial<Tokens> | null | undefined): told is Tokens {
  return (
    typeof told?.sessionId === 'string' &&
    typeof told.user?.id === 'string' &&
    [told.startedAt, told.refreshAt, told.staleAt, told.expiresAt].every((time) => typeof time === 'number') &&
    (told.accessToken === null || typeof told.accessToken === 'string')
  );
}

/** isNewer tells whether what another tab knows is newer than what this one does. */
export function isNewer(theirs: Tokens, mine: Tokens | null): boolean {
  if (!mine) {
    return true;
  }
  return theirs.sessionId === mine.sessionId ? theirs.expiresAt > mine.expiresAt : theirs.startedAt > mine.startedAt;
}
