import { ClientError } from 'graphql-request';
import { expect, it } from 'vitest';
import { sessionClient } from '../src/graphql-request.js';
import { MeDocument, RevokeOtherSessionsDocument } from '../src/operations/index.js';
import { keepsPeopleSignedIn } from './cases.js';
import { server, signUp } from './server.js';

const query = (name: string) => `query ${name} { me { id } }`;

keepsPeopleSignedIn((session) => {
  const client = sessionClient(session);
  return {
    query: async (name) => (await client.request<{ me: { id: string } | null }>(query(name))).me?.id,
    change: (name) => client.request(`mutation ${name} { revokeOtherSessions { revokedCount } }`),
    begin(name) {
      const controller = new AbortController();
      client.request({ document: query(name), signal: controller.signal }).catch(() => {});
      return () => controller.abort();
    },
    look: (error) => (error instanceof ClientError ? error.response : {}),
  };
});

it('takes typed operations, and options', async () => {
  const { session, id, email } = await signUp();
  await server.forget();
  const client = sessionClient(session, { method: 'GET', errorPolicy: 'all' });
  const { me } = await client.request(MeDocument);
  expect(me).toMatchObject({ id, email });
  expect((await client.request(RevokeOtherSessionsDocument)).revokeOtherSessions.revokedCount).toBe(0);
  expect((await server.seen()).map(({ method }) => method)).toEqual(['GET', 'POST']);
});
