// How to use Latchkey with Apollo Client 4 as its documentation has it, and with nothing of ours.
//
//   The header         https://www.apollographql.com/docs/react/networking/authentication#header
//   The repetition     https://www.apollographql.com/docs/react/data/error-handling#retrying-operations
//   The error link     https://www.apollographql.com/docs/react/api/link/apollo-link-error
//   The cache          https://www.apollographql.com/docs/react/networking/authentication#reset-store-on-logout
//
// The documentation gets the new token from a function that it does not show, and which cannot wait. Here it can, by RxJS,
// of which Apollo Client's observables are.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { SetContextLink } from '@apollo/client/link/context';
import { ErrorLink } from '@apollo/client/link/error';
import { from, switchMap } from 'rxjs';
import { REFRESH } from './operations.js';
import { startPage } from './page.js';
import { accessToken, forgetTokens, keepTokens, refreshToken } from './tokens.js';

const httpLink = new HttpLink({ uri: import.meta.env.VITE_LATCHKEY_URL });

const authLink = new SetContextLink(({ headers }) => {
  const token = accessToken();
  return { headers: { ...headers, authorization: token ? `Bearer ${token}` : '' } };
});

const errorLink = new ErrorLink(({ error, operation, forward }) => {
  if (CombinedGraphQLErrors.is(error)) {
    for (const { extensions } of error.errors) {
      if (extensions?.code === 'UNAUTHENTICATED') {
        return from(getNewToken()).pipe(
          switchMap((token) => {
            const { headers } = operation.getContext();
            operation.setContext({ headers: { ...headers, authorization: `Bearer ${token}` } });
            return forward(operation);
          }),
        );
      }
    }
  }
});

// Each query that failed gets a token of its own: five at once are five refreshes, with one and the same refresh token, and
// Latchkey gives all of them the same successor.
//
// One thing no server can mend. A query that fails late, when the others have their tokens, refreshes a second time. If the
// answer to an earlier refresh comes only after that, it puts the older refresh token back, and once REFRESH_GRACE is over
// using that one ends the session. If an earlier refresh reaches the server only after that, the session ends at once
// (docs/rotation.md). So an application should let all its queries share one refresh at a time, and all its tabs.
async function getNewToken() {
  const { data } = await client.mutate({ mutation: gql(REFRESH), variables: { refreshToken: refreshToken() } });
  const outcome = data.refreshToken;
  if (outcome.__typename !== 'AuthSuccess') {
    forgetTokens(); // the session is over; nothing else is a reason to sign anybody out
    throw new Error(outcome.message);
  }
  keepTokens(outcome);
  return outcome.accessToken;
}

const client = new ApolloClient({
  link: ApolloLink.from([errorLink, authLink, httpLink]),
  cache: new InMemoryCache(),
});

startPage({
  query: async (query) => (await client.query({ query: gql(query), fetchPolicy: 'network-only' })).data,
  mutate: async (mutation, variables) => (await client.mutate({ mutation: gql(mutation), variables })).data,
  reset: () => client.clearStore(),
});
