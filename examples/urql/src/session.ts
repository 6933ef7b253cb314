import { createSession } from '@latchkey/client';
import { sessionAuth } from '@latchkey/client/urql';
import { authExchange } from '@urql/exchange-auth';
import { cacheExchange, Client, fetchExchange } from 'urql';

const { VITE_LATCHKEY_URL: url, VITE_LATCHKEY_DELIVERY: delivery = 'COOKIES' } = import.meta.env;

/** The session of this page and its tabs. */
export const session = createSession({
  url: url ?? 'http://localhost:8080/graphql',
  delivery,
  // All tabs read it there, and so does any script that gets into the page: the other two deliveries are safer.
  ...(delivery === 'BODY' && { storage: localStorage }),
});

/** newClient returns a client with an empty cache. Each session gets a new one: a cache does not know whose answers it has. */
export function newClient(): Client {
  return new Client({
    url: session.url,
    exchanges: [cacheExchange, authExchange(sessionAuth(session)), fetchExchange],
    preferGetMethod: false, // what is asked of an account is in no log of URLs
    requestPolicy: 'cache-and-network', // devices come and go
  });
}
