// A page without a face, for what the examples do not do by themselves: many queries at once, by each client.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { createSession } from '@latchkey/client';
import { sessionLink } from '@latchkey/client/apollo';
import { sessionAuth } from '@latchkey/client/urql';
import { MeDocument } from '@latchkey/client/operations';
import { Client, fetchExchange } from '@urql/core';
import { authExchange } from '@urql/exchange-auth';

const { VITE_LATCHKEY_URL: url, VITE_LATCHKEY_DELIVERY: delivery } = import.meta.env;
const session = createSession({ url, delivery, ...(delivery === 'BODY' && { storage: localStorage }) });
const apollo = new ApolloClient({
  link: ApolloLink.from([sessionLink(session), new HttpLink({ uri: session.url })]),
  cache: new InMemoryCache(),
});
const urql = new Client({
  url: session.url,
  exchanges: [authExchange(sessionAuth(session)), fetchExchange],
  fetchOptions: delivery === 'COOKIES' ? { credentials: 'include' } : {},
  preferGetMethod: false,
});

// Each returns the e-mail address of who is signed in, or throws. urql asks only once for what is asked for in the same words.
const ask = {
  async apollo() {
    const { data } = await apollo.query({ query: MeDocument, fetchPolicy: 'no-cache', context: { queryDeduplication: false } });
    return data.me.email;
  },
  async urql(nth) {
    const { data, error } = await urql.query(`query Me { me { email nth${nth}: id } }`, {}, { requestPolicy: 'network-only' }).toPromise();
    if (error) {
      throw error;
    }
    return data.me.email;
  },
  async fetch() {
    const response = await session.fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query: 'query Me { me { email } }' }),
    });
    const { data } = await response.json();
    return data.me.email;
  },
};

Object.assign(window, { session, ask });
