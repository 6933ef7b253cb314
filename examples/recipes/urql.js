// How to use Latchkey with urql as its documentation has it, and with nothing of ours.
//
//   The exchange       https://formidable.com/open-source/urql/docs/advanced/authentication/
//   Its example        https://github.com/urql-graphql/urql/tree/main/examples/with-refresh-auth
//
// Both have one fault that no server can mend: whatever comes back from a refresh that is not a token signs the person out,
// a lost answer and a server that is being restarted too. Here only the server's word does, see (1). The first has another:
// it reads the tokens once. A second tab, in which nothing is done for a while, comes back with a refresh token that is
// long replaced, and that ends the session, in both tabs. The example reads them before each operation, see (2).
import { cacheExchange, createClient, fetchExchange, gql } from '@urql/core';
import { authExchange } from '@urql/exchange-auth';
import { REFRESH } from './operations.js';
import { startPage } from './page.js';
import { accessToken, forgetTokens, keepTokens, refreshToken } from './tokens.js';

const auth = authExchange(async (utils) => {
  let token = accessToken();
  let refresh = refreshToken();
  return {
    addAuthToOperation(operation) {
      return token ? utils.appendHeaders(operation, { Authorization: `Bearer ${token}` }) : operation;
    },
    didAuthError(error) {
      return error.graphQLErrors.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED');
    },
    willAuthError() {
      token = accessToken(); // (2)
      refresh = refreshToken();
      return token !== null && isExpired(token); // without a token let it pass: it may be a sign-in
    },
    async refreshAuth() {
      const { data } = await utils.mutate(gql(REFRESH), { refreshToken: refresh });
      if (data?.refreshToken.__typename === 'AuthSuccess') {
        keepTokens(data.refreshToken);
      } else if (data) { // (1) the session is over; without data nothing is known, and the next operation tries again
        forgetTokens();
      }
      token = accessToken();
      refresh = refreshToken();
    },
  };
});

// isExpired goes by the clock of this device, which saves a request where it is right. Where it is wrong, the server says
// that the token has expired, and didAuthError hears it.
function isExpired(token) {
  const [, claims] = token.split('.');
  return JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/'))).exp * 1000 <= Date.now();
}

const newClient = () => createClient({
  url: import.meta.env.VITE_LATCHKEY_URL,
  exchanges: [cacheExchange, auth, fetchExchange],
});
let client = newClient();

async function dataOf(answer) {
  const { data, error } = await answer;
  if (error) {
    throw error;
  }
  return data;
}

startPage({
  query: (query) => dataOf(client.query(gql(query), {}, { requestPolicy: 'network-only' })),
  mutate: (mutation, variables = {}) => dataOf(client.mutation(gql(mutation), variables)),
  reset: () => {
    client = newClient(); // whose cache is empty
  },
});
