import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache, ServerError } from '@apollo/client';
import type { TypedDocumentNode } from '@apollo/client';
import { concat, NEVER, of } from 'rxjs';
import { expect, it } from 'vitest';
import { clearStoreOnUserChange, sessionErrorOf, sessionLink } from '../src/apollo.js';
import { createSession, type Session } from '../src/index.js';
import { MeDocument, possibleTypes } from '../src/operations/index.js';
import { keepsPeopleSignedIn, statesOf } from './cases.js';
import { password, revokeElsewhere, server, signUp } from './server.js';

function clientOf(session: Session, fetchWith: typeof fetch = fetch): ApolloClient {
  return new ApolloClient({
    link: ApolloLink.from([sessionLink(session), new HttpLink({ uri: session.url, fetch: fetchWith })]),
    cache: new InMemoryCache({ possibleTypes }),
  });
}

const query = (name: string): TypedDocumentNode<{ me: { id: string } | null }> => gql(`query ${name} { me { id } }`);

keepsPeopleSignedIn((session, fetchWith) => {
  const client = clientOf(session, fetchWith);
  const fetchPolicy = 'network-only';
  return {
    query: async (name) => (await client.query({ query: query(name), fetchPolicy })).data?.me?.id,
    change: (name) => client.mutate({ mutation: gql(`mutation ${name} { revokeOtherSessions { revokedCount } }`) }),
    begin(name) {
      const subscription = client.watchQuery({ query: query(name), fetchPolicy }).subscribe({});
      return () => subscription.unsubscribe();
    },
    look: (error) => ({
      status: ServerError.is(error) ? error.statusCode : undefined,
      errors: CombinedGraphQLErrors.is(error) ? error.errors : undefined,
    }),
  };
});

it('leaves the context of an operation as it is, but for who asks', async () => {
  const { session, id } = await signUp();
  const sent: Request[] = [];
  const client = clientOf(session, (...args) => {
    sent.push(new Request(...args));
    return fetch(...args);
  });
  const context = { headers: { 'X-Mine': 'kept', authorization: 'Bearer another' }, credentials: 'omit' };
  expect((await client.query({ query: MeDocument, context })).data?.me?.id).toBe(id);
  expect(sent.map(({ headers, credentials }) => [headers.get('X-Mine'), credentials])).toEqual([['kept', 'omit']]);
});

it('says why an operation failed that found out that the session was ended elsewhere', async () => {
  const person = await signUp();
  const client = clientOf(person.session);
  clearStoreOnUserChange(client, person.session); // which cancels what is under way
  await client.query({ query: MeDocument });
  await revokeElsewhere(person);
  const answers = ['One', 'Two'].map((name) => client.query({ query: query(name), fetchPolicy: 'network-only' }));
  for (const answer of answers) {
    const error: unknown = await answer.catch((error: unknown) => error);
    expect(CombinedGraphQLErrors.is(error) && error.errors[0]?.extensions).toMatchObject({ reason: 'SESSION_ENDED' });
  }
  expect(person.session.state).toMatchObject({ status: 'signedOut', endReason: 'REVOKED' });
  await expect.poll(() => client.extract()).toEqual({});
});

it('asks again what a page begins when its session is found to be over', async () => {
  const person = await signUp();
  const client = clientOf(person.session);
  clearStoreOnUserChange(client, person.session);
  await revokeElsewhere(person);
  const results: unknown[] = [];
  person.session.subscribe(() => {
    const shown = client.watchQuery({ query: gql('query Public { __typename }'), fetchPolicy: 'network-only' });
    shown.subscribe(({ data, error }) => results.push(error ?? data));
  });
  await client.query({ query: query('FindsOut') }).catch(() => {});
  await expect.poll(() => results.at(-1)).toEqual({ __typename: 'Query' });
});

it('hands on all parts of an answer', async () => {
  const { session } = await signUp();
  const parts = [{ data: { part: 1 } }, { data: { part: 2 } }];
  const link = ApolloLink.from([sessionLink(session), new ApolloLink(() => of(...parts))]);
  for (const text of ['query InParts { part }', 'subscription InParts { part }']) {
    const seen: unknown[] = [];
    const client = new ApolloClient({ link, cache: new InMemoryCache() });
    await new Promise<void>((resolve) => {
      ApolloLink.execute(link, { query: gql(text) }, { client }).subscribe({ next: (part) => seen.push(part), complete: resolve });
    });
    expect(seen).toEqual(parts);
  }
});

it('authorizes a subscription, and runs it once', async () => {
  const { session } = await signUp();
  const refused = { data: null, errors: [{ message: 'Sign in.', extensions: { code: 'UNAUTHENTICATED', reason: 'TOKEN_EXPIRED' } }] };
  let runs = 0;
  const link = ApolloLink.from([sessionLink(session), new ApolloLink(() => (runs++, concat(of(refused), NEVER)))]);
  const answers: unknown[] = [];
  const query = gql('subscription Refused { me { id } }');
  ApolloLink.execute(link, { query }, { client: clientOf(session) }).subscribe((answer) => answers.push(answer));
  await expect.poll(() => answers).toEqual([refused]);
  await session.refresh();
  await session.refresh();
  expect(runs).toBe(1);

  await server.refuse('Once', 1);
  const client = clientOf(session);
  for (const status of [503, 400]) { // Latchkey has no subscriptions, and says so
    await new Promise((resolve) => {
      client.subscribe({ query: gql('subscription Once { me { id } }') }).subscribe({ next: resolve, error: resolve });
    });
    expect((await server.seen('Once')).at(-1)).toMatchObject({ status, authorized: true });
  }
  expect(await server.seen('Once')).toHaveLength(2);
});

it('says what its errors say of the server', async () => {
  const { session } = await signUp({ patience: 0 });
  const client = clientOf(session);
  const errorOf = (mutation: string) => client.mutate({ mutation: gql(mutation) }).then(() => null, sessionErrorOf);
  expect(await errorOf('mutation Bad { revokeSession(input: { sessionId: "not an id" }) { revoked } }')).toMatchObject({
    code: 'BAD_USER_INPUT',
    requestId: expect.any(String),
    temporary: false,
  });
  await server.refuse('Refused', 1);
  expect(await errorOf('mutation Refused { revokeOtherSessions { revokedCount } }')).toMatchObject({ code: 'UNAVAILABLE', temporary: true });
  await server.cut('Cut');
  expect(await errorOf('mutation Cut { revokeOtherSessions { revokedCount } }')).toMatchObject({ code: 'UNAVAILABLE' });
  expect(sessionErrorOf(new Error('of somebody else'))).toBeNull();
  session.close(); // or it would ask on whether the server is well
});

it('clears the store when nobody is signed in any more, and asks nothing as nobody', async () => {
  const { session, id } = await signUp();
  const client = clientOf(session);
  clearStoreOnUserChange(client, session);
  const shown = client.watchQuery({ query: MeDocument });
  const results: unknown[] = [];
  shown.subscribe({ next: ({ data }) => results.push(data?.me?.id), error: (error) => results.push(error) });
  await expect.poll(() => results).toEqual([undefined, id]);
  await server.forget();

  await session.signOut();
  expect(client.extract()).toEqual({});
  expect(shown.getCurrentResult().data).toBeUndefined();
  await expect(client.query({ query: query('AsNobody') })).rejects.toSatisfy(CombinedGraphQLErrors.is); // is not cancelled
  expect(results).toEqual([undefined, id]);
  expect((await server.seen()).map(({ operation }) => operation)).toEqual(['SignOut', 'AsNobody']);
});

it('clears the store although a query that was run again is waited for by nobody any more', async () => {
  const { session } = await signUp();
  let left = 0;
  const client = clientOf(session, async (input, init) => {
    const request = new Request(input, init);
    if ((await request.clone().text()).includes('query Left') && ++left === 1) {
      request.headers.set('Authorization', 'Bearer of.another.server');
    }
    return left === 2 ? new Promise<Response>(() => {}) : fetch(request);
  });
  clearStoreOnUserChange(client, session);
  await client.query({ query: MeDocument });
  const waiting = client.watchQuery({ query: query('Left'), fetchPolicy: 'network-only' }).subscribe({});
  await expect.poll(() => left).toBe(2);
  waiting.unsubscribe();
  await session.signOut();
  await expect.poll(() => client.extract()).toEqual({});
});

it('clears the store for the next person, and asks anew what is shown', async () => {
  const other = await signUp();
  const { session, id } = await signUp();
  const client = clientOf(session);
  clearStoreOnUserChange(client, session);
  const shown = client.watchQuery({ query: MeDocument });
  const ids: unknown[] = [];
  shown.subscribe(({ data }) => ids.push(data?.me?.id));
  await expect.poll(() => ids).toEqual([undefined, id]);

  await session.logIn({ email: other.email, password });
  expect(JSON.stringify(client.extract())).not.toContain(id);
  expect((await client.query({ query: MeDocument })).data?.me?.id).toBe(other.id);
  await expect.poll(() => ids).toEqual([undefined, id, undefined, other.id]);
});

it('keeps the store while the same person is signed in', async () => {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  };
  const { id, email } = await signUp({ storage });

  const session = createSession({ url: server.url, delivery: 'BODY', storage }); // as after a reload
  const client = clientOf(session);
  client.writeQuery({ query: query('Kept'), data: { me: { __typename: 'User' as const, id } as { id: string } } });
  const stop = clearStoreOnUserChange(client, session);
  const states = statesOf(session);
  expect(session.state.status).toBe('resuming');
  await session.refresh();
  expect(session.state.status).toBe('signedIn');
  await session.refresh();
  await server.refuse('Waits', 3);
  await client.query({ query: query('Waits'), fetchPolicy: 'no-cache' });
  await session.logIn({ email, password });
  expect(states.some(({ trouble }) => trouble)).toBe(true);
  expect(client.readQuery({ query: query('Kept') })).toMatchObject({ me: { id } });

  stop();
  await session.signOut();
  expect(client.readQuery({ query: query('Kept') })).toMatchObject({ me: { id } });
});
