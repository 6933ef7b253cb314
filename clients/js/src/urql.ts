import type { AuthConfig, AuthUtilities } from '@urql/exchange-auth';
import type { Session } from './session.js';

/**
 * sessionAuth returns what the authExchange takes, so that operations are run as who is signed in:
 *
 *     exchanges: [cacheExchange, authExchange(sessionAuth(session)), fetchExchange]
 *
 * This is the recommended way to use a session with urql, and complete. It gives each operation the session's `fetch`, which
 * refreshes ahead of time, sends an operation again whose access token was refused, and repeats queries that meet a server in
 * trouble until the patience is over. The authExchange is left nothing to repeat, since it repeats once at most, takes no
 * notice of which token was refused, and gives up what waits where a refresh fails. A retryExchange is not needed either: it
 * does not know when a server is back, and unless it is told not to it repeats mutations.
 *
 * A client's own `fetch` does not count: give it to createSession. What is not sent by `fetch`, such as a subscription over a
 * WebSocket, gets its token from Session.accessToken. A cache does not know whose answers it has: make a new client when
 * somebody else is signed in.
 */
export function sessionAuth(session: Session): (utilities: AuthUtilities) => Promise<AuthConfig> {
  return async () => ({
    addAuthToOperation: (operation) => ({ ...operation, context: { ...operation.context, fetch: session.fetch } }),
    // What comes back has been refreshed and repeated as far as that helps.
    willAuthError: () => false,
    didAuthError: () => false,
    refreshAuth: async () => {},
  });
}
