import { beforeAll, beforeEach, expect, it } from 'vitest';
import type { ErrorInAnswer, Session, SessionState } from '../src/index.js';
import { Browser, expired, fetchWithoutAuthorization, revokeElsewhere, server, signUp, type Person } from './server.js';

/** A GraphQL client with the kit's adapter. */
export interface Client {
  /** Asks the server, and no cache, for the id of who is signed in, by an operation of this name. */
  query(name: string): Promise<string | undefined>;
  /** Runs a mutation of this name. */
  change(name: string): Promise<unknown>;
  /** Begins a query, and returns how to stop waiting for it. */
  begin(name: string): () => void;
  /** What is in an error of this client. */
  look(error: unknown): { readonly status?: number | undefined; readonly errors?: readonly ErrorInAnswer[] | undefined };
}

export function statesOf(session: Session): SessionState[] {
  const states = [session.state];
  session.subscribe(() => states.push(session.state));
  return states;
}

/**
 * keepsPeopleSignedIn has a client live through what a session promises. The second argument of newClient is what is to be
 * fetched with, where the client does not take the session's own.
 */
export function keepsPeopleSignedIn(newClient: (session: Session, fetchWith: typeof fetch) => Client): void {
  let early: Person[];
  beforeAll(async () => {
    early = [await signUp(), await signUp()]; // by the time of the last cases their tokens have expired
  });
  beforeEach(server.forget);

  const failure = (answer: Promise<unknown>): Promise<unknown> => answer.then(() => null).catch((error: unknown) => error);

  it('runs operations as who is signed in', async () => {
    const { session, id } = await signUp();
    await server.forget();
    const client = newClient(session, fetch);
    expect(await client.query('Ask')).toBe(id);
    await client.change('Change');
    expect((await server.seen()).map(({ operation, authorized }) => [operation, authorized])).toEqual([
      ['Ask', true],
      ['Change', true],
    ]);
  });

  it('sends cookies where they are what signs in', async () => {
    const browser = new Browser(server.origins[0]);
    const { session, id } = await signUp({ delivery: 'COOKIES', fetch: browser.fetch });
    const client = newClient(session, browser.fetch);
    expect(await client.query('Ask')).toBe(id);
    browser.cookies.delete('__Host-latchkey-access');
    expect(await client.query('Ask')).toBe(id);
    expect(await server.seen('Refresh')).toHaveLength(1);
  });

  it('lets queries wait for a server in trouble, and fails changes', async () => {
    const { session, id } = await signUp();
    const client = newClient(session, fetch);
    await server.refuse('Waits', 3);
    expect(await client.query('Waits')).toBe(id);
    expect((await server.seen('Waits')).map(({ status }) => status)).toEqual([503, 503, 503, 200]);

    await server.refuse('Fails', 1);
    expect(client.look(await failure(client.change('Fails')))).toMatchObject({ status: 503 });
    expect(await server.seen('Fails')).toHaveLength(1);
    expect(session.state.status).toBe('signedIn');
  });

  it('lets nobody be whom a query began for that had to wait', async () => {
    const { session } = await signUp();
    const client = newClient(session, fetch);
    await server.refuse('Waits', 1, 503, 5);
    const answer = failure(client.query('Waits'));
    await expect.poll(() => server.seen('Waits')).toHaveLength(1);
    await session.signOut();
    expect(client.look(await answer).errors?.[0]?.extensions).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING' });
    expect((await server.seen('Waits')).map(({ authorized }) => authorized)).toEqual([true, false]);
  });

  it('lets queries wait for a server that is started again', async () => {
    const { session, id } = await signUp();
    await server.stop();
    const answer = newClient(session, fetch).query('Waits');
    await expect.poll(() => session.state.trouble?.code).toBe('UNAVAILABLE');
    expect(session.state.status).toBe('signedIn');
    await server.start();
    expect(await answer).toBe(id);
    await expect.poll(() => session.state.trouble).toBeNull();
  });

  it('repeats a query whose answer was cut, and not a change', async () => {
    const { session, id } = await signUp();
    const client = newClient(session, fetch);
    await server.cut('Cut');
    expect(await client.query('Cut')).toBe(id);
    await server.cut('Fails');
    expect(await failure(client.change('Fails'))).toBeInstanceOf(Error);
    expect((await server.seen('Fails')).map(({ status }) => status)).toEqual([0]);
    expect(session.state.status).toBe('signedIn');
  });

  it('fails a query when the patience is over, with what the server said', async () => {
    const { session } = await signUp({ patience: 300 });
    const client = newClient(session, fetch);
    await server.refuse('Waits', 100);
    expect(client.look(await failure(client.query('Waits')))).toMatchObject({ status: 503 });
    expect(session.state.status).toBe('signedIn');
  });

  it('says why an operation failed that found out that the session was ended elsewhere', async () => {
    const person = await signUp();
    const client = newClient(person.session, fetch);
    await revokeElsewhere(person);
    const failures = await Promise.all(['One', 'Two'].map((name) => failure(client.query(name))));
    for (const error of failures) {
      expect(client.look(error).errors?.[0]?.extensions).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'SESSION_ENDED' });
    }
    expect(person.session.state).toMatchObject({ status: 'signedOut', endReason: 'REVOKED' });
  });

  it('does not refresh twice for one operation', async () => {
    const { session } = await signUp({ fetch: fetchWithoutAuthorization });
    const client = newClient(session, fetchWithoutAuthorization);
    const began = Date.now();
    const forItsAge = () => Math.ceil((Date.now() - began) / 1_000); // on a slow machine a token grows old meanwhile
    for (let asked = 1; asked <= 8; asked++) {
      const error = await failure(client.query('NeverLetIn'));
      expect(client.look(error).errors?.[0]?.extensions).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING' });
      expect((await server.seen('Refresh')).length).toBeLessThanOrEqual(asked + forItsAge() - 1);
    }
    const refreshes = (await server.seen('Refresh')).length;
    expect(refreshes).toBeGreaterThan(0);
    expect(refreshes).toBeLessThanOrEqual(4 + forItsAge() - 1); // what it is told again and again it believes
    expect(session.state.status).toBe('signedIn');
  });

  it('refreshes once for all queries whose token the server refused, although it looked good', async () => {
    let spoiled = 0;
    const spoil: typeof fetch = (...args) => {
      const request = new Request(...args);
      if (request.headers.has('Authorization') && spoiled-- > 0) {
        request.headers.set('Authorization', 'Bearer of.another.server');
      }
      return fetch(request);
    };
    const { session, id } = await signUp({ fetch: spoil });
    spoiled = 6;
    const client = newClient(session, spoil);
    const names = ['One', 'Two', 'Three', 'Four', 'Five', 'Six'];
    expect(await Promise.all(names.map((name) => client.query(name)))).toEqual(names.map(() => id));
    expect(await server.seen('Refresh')).toHaveLength(1);
  });

  it('ends what nobody waits for any more', async () => {
    const sent: Request[] = [];
    const watched: typeof fetch = (...args) => {
      const request = new Request(...args);
      sent.push(request);
      return fetch(request);
    };
    const { session } = await signUp({ fetch: watched });
    const client = newClient(session, watched);
    await server.delay('Slow', 60_000);
    const stop = client.begin('Slow');
    await expect.poll(() => server.seen('Slow')).toHaveLength(1);
    stop();
    await expect.poll(() => sent.at(-1)!.signal.aborted).toBe(true);

    await server.refuse('Waits', 1);
    const stopWaiting = client.begin('Waits');
    await expect.poll(async () => (await server.seen('Waits')).map(({ status }) => status)).toEqual([503]);
    stopWaiting();
    await client.query('Other'); // which finds out that the trouble is over: whatever waits for that goes on
    await expect.poll(() => session.state.trouble).toBeNull();
    await client.query('Another');
    expect(await server.seen('Waits')).toHaveLength(1);
  });

  it('refreshes once for all queries of one moment', async () => {
    const { session, id, accessToken } = early[0]!;
    await expired(accessToken);
    await server.forget();
    const client = newClient(session, fetch);
    expect(await Promise.all(['One', 'Two', 'Three', 'Four', 'Five'].map((name) => client.query(name)))).toEqual(Array(5).fill(id));
    expect(await server.seen('Refresh')).toHaveLength(1);
  });

  it('lets nobody notice that the answer to a refresh was lost', async () => {
    const { session, id, accessToken } = early[1]!;
    await expired(accessToken);
    await server.forget();
    await server.cut('Refresh');
    const states = statesOf(session);
    expect(await newClient(session, fetch).query('Ask')).toBe(id);
    expect((await server.seen('Refresh')).map(({ status }) => status)).toEqual([0, 200]);
    expect(states.filter(({ status, trouble }) => status !== 'signedIn' || trouble)).toEqual([]);
  });
}
