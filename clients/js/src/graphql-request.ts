import { GraphQLClient } from 'graphql-request';
import type { Session } from './session.js';

type Options = NonNullable<ConstructorParameters<typeof GraphQLClient>[1]>;

/**
 * sessionClient returns a client of the session's server that runs operations as who is signed in, as Session.fetch does: one
 * whose access token was refused is sent again with the next one, and a query that meets a server in trouble is sent again
 * until the patience is over. Where the server could not be reached at all the error is a SessionError.
 */
export function sessionClient(session: Session, options?: Omit<Options, 'fetch'>): GraphQLClient {
  return new GraphQLClient(session.url, { ...options, fetch: session.fetch });
}
