import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { relayStylePagination } from '@apollo/client/utilities';
import { createSession } from '@latchkey/client';
import { clearStoreOnUserChange, sessionLink } from '@latchkey/client/apollo';
import { possibleTypes } from '@latchkey/client/operations';

const { VITE_LATCHKEY_URL: url, VITE_LATCHKEY_DELIVERY: delivery } = import.meta.env;

/** Who is signed in. */
export const session = createSession({ url, delivery, ...(delivery === 'BODY' && { storage: localStorage }) });

/** Asks the server as who is signed in. */
export const client = new ApolloClient({
  link: ApolloLink.from([sessionLink(session), new HttpLink({ uri: session.url })]),
  cache: new InMemoryCache({
    possibleTypes,
    typePolicies: { User: { fields: { sessionEvents: relayStylePagination() } } },
  }),
});

// What one person was shown is not for the next.
clearStoreOnUserChange(client, session);

// What failed while the server was away is asked for again once it is back.
let away = false;
session.subscribe(() => {
  const { status, trouble } = session.state;
  if (away && !trouble && status === 'signedIn') {
    client.refetchQueries({ include: 'active' }).catch(() => {}); // the screens show what fails again
  }
  away = trouble !== null;
});
