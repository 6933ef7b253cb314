import { cacheExchange, Client, CombinedError, fetchExchange, gql } from '@urql/core';
import { authExchange } from '@urql/exchange-auth';
import { expect, it } from 'vitest';
import type { Session } from '../src/index.js';
import { MeDocument } from '../src/operations/index.js';
import { sessionAuth } from '../src/urql.js';
import { keepsPeopleSignedIn } from './cases.js';
import { server, signUp } from './server.js';

const clientOf = (session: Session, preferGetMethod = false) =>
  new Client({ url: session.url, exchanges: [cacheExchange, authExchange(sessionAuth(session)), fetchExchange], preferGetMethod });

const query = (name: string) => gql<{ me: { id: string } | null }>(`query ${name} { me { id } }`);

keepsPeopleSignedIn((session) => {
  const client = clientOf(session);
  const context = { requestPolicy: 'network-only' } as const;
  return {
    async query(name) {
      const { data, error } = await client.query(query(name), {}, context);
      if (error) {
        throw error;
      }
      return data?.me?.id;
    },
    async change(name) {
      const { error } = await client.mutation(gql(`mutation ${name} { revokeOtherSessions { revokedCount } }`), {});
      if (error) {
        throw error;
      }
    },
    begin: (name) => client.query(query(name), {}, context).subscribe(() => {}).unsubscribe,
    look(error) {
      const { graphQLErrors, response } = error as CombinedError;
      return { errors: graphQLErrors, status: (response as Response | undefined)?.status };
    },
  };
});

it('asks by GET too, as urql does where nothing is said, and waits there as well', async () => {
  const { session, id } = await signUp();
  await server.refuse('Me', 1);
  const { data } = await clientOf(session, true).query(MeDocument, {});
  expect(data?.me?.id).toBe(id);
  expect((await server.seen('Me')).map(({ method, status }) => [method, status])).toEqual([
    ['GET', 503],
    ['GET', 200],
  ]);
});
