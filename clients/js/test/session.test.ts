import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createSession, SessionError, type SessionOptions, type TokenStorage } from '../src/index.js';
import { ask, Browser, expired, password, revokeElsewhere, server, signUp } from './server.js';

beforeEach(server.forget);
afterEach(() => vi.restoreAllMocks());

/** A storage such as localStorage, which the tests can look into. */
function storageInMemory(): TokenStorage & { readonly items: Map<string, string> } {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
}

const body = (options?: Partial<SessionOptions>) => createSession({ url: server.url, delivery: 'BODY', ...options });

describe('signing in', () => {
  it('returns as data what a form must expect', async () => {
    const { email } = await signUp();
    expect(await body().logIn({ email, password: 'not the password at all' })).toMatchObject({ __typename: 'AuthFailure', code: 'INVALID_CREDENTIALS', retryAt: null });
    expect(await body().signUp({ email, password })).toMatchObject({ code: 'EMAIL_TAKEN' });
    expect(await body().signUp({ email: 'grace@example.com', password: 'password' })).toMatchObject({ code: 'WEAK_PASSWORD' });
  });

  it('throws at once what no repeating mends', async () => {
    const error = await body().logIn({ email: 'ada\0@example.com', password }).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(SessionError);
    expect(error).toMatchObject({ code: 'BAD_USER_INPUT', temporary: false, requestId: expect.any(String) });
    expect(await server.seen('LogIn')).toHaveLength(1);
  });

  it('is signed in after a sign-up whose answer was lost', async () => {
    await server.cut('SignUp');
    const { session, email } = await signUp();
    expect(session.state).toMatchObject({ status: 'signedIn', user: { email } });
    expect((await server.seen()).map(({ operation }) => operation)).toEqual(['SignUp', 'SignUp', 'LogIn']);
  });

  it('ends the session that it replaces', async () => {
    const { session, email, accessToken } = await signUp();
    await session.logIn({ email, password });
    await expect.poll(() => ask('query Old { me { id } }', {}, accessToken!)).toMatchObject({ errors: [{ extensions: { reason: 'SESSION_ENDED' } }] });
    expect(session.state.status).toBe('signedIn');
  });

  it('says by the clock of the device when the next attempt is let in', async () => {
    const { email } = await signUp();
    const off = 3_600_000;
    vi.spyOn(Date, 'now').mockImplementation(() => performance.timeOrigin + performance.now() + off);
    const session = body();
    let result = await session.logIn({ email, password: 'not the password at all' });
    while (result.__typename === 'AuthFailure' && result.code === 'INVALID_CREDENTIALS') {
      result = await session.logIn({ email, password: 'not the password at all' });
    }
    expect(result).toMatchObject({ code: 'TOO_MANY_ATTEMPTS' });
    const wait = (result as { retryAt: Date }).retryAt.getTime() - Date.now();
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThan(off / 2);
  });

  it('names the device', async () => {
    const { session } = await signUp({ deviceName: "Ada's engine" });
    const answer = await ask('{ me { sessions { deviceName } } }', {}, (await session.accessToken())!);
    expect(answer).toEqual({ data: { me: { sessions: [{ deviceName: "Ada's engine" }] } } });
  });
});

describe('refreshing', () => {
  it('happens once, however many ask, and changes no state', async () => {
    const { session } = await signUp();
    const { state } = session;
    expect(await Promise.all(Array.from({ length: 10 }, session.refresh))).toEqual(Array(10).fill(true));
    expect(await server.seen('Refresh')).toHaveLength(1);
    expect(session.state).toBe(state);
  });

  it('goes on after an answer that was lost, and says nothing of it', async () => {
    const { session } = await signUp();
    const said = vi.fn();
    session.subscribe(said);
    await server.cut('Refresh');
    expect(await session.refresh()).toBe(true);
    expect(said).not.toHaveBeenCalled();
    expect(await ask('query New { me { id } }', {}, (await session.accessToken())!)).toHaveProperty('data.me.id');
  });

  it('waits for ever where it is told to, and not all the time', async () => {
    const { session } = await signUp({ patience: Number.POSITIVE_INFINITY });
    await server.refuse('', 100);
    const refreshed = session.refresh();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect((await server.seen()).length).toBeLessThan(15);
    await server.forget();
    expect(await refreshed).toBe(true);
  });

  it('throws when the patience is over, and signs nobody out', async () => {
    const { session, email } = await signUp({ patience: 400 });
    await server.refuse('', 100, 429); // all of them
    await expect(session.refresh()).rejects.toMatchObject({ code: 'UNAVAILABLE', temporary: true });
    expect(session.state).toMatchObject({ status: 'signedIn', user: { email }, trouble: { code: 'UNAVAILABLE' } });
    await server.forget();
    await expect.poll(() => session.state.trouble, { timeout: 10_000 }).toBeNull(); // nobody asked again
    expect(await session.refresh()).toBe(true);
  });

  it('gives an access token that is good, and none to nobody', async () => {
    const { session, accessToken } = await signUp();
    await expired(accessToken);
    expect(await ask('query Good { me { id } }', {}, (await session.accessToken())!)).toHaveProperty('data.me.id');
    expect(await body().accessToken()).toBeNull();
  });

  it('learns why the session is over', async () => {
    const person = await signUp();
    await revokeElsewhere(person);
    expect(await person.session.refresh()).toBe(false);
    expect(person.session.state).toEqual({ status: 'signedOut', endReason: 'REVOKED', trouble: null });
  });
});

describe('signing out', () => {
  it('ends the session at the server', async () => {
    const { session, accessToken } = await signUp();
    await session.signOut();
    expect(session.state).toMatchObject({ status: 'signedOut', endReason: 'SIGNED_OUT' });
    expect(await ask('query Old { me { id } }', {}, accessToken!)).toMatchObject({ errors: [{ extensions: { reason: 'SESSION_ENDED' } }] });
    expect(await session.refresh()).toBe(false);
  });

  it('does not pretend to where the server cannot be told', async () => {
    const { session } = await signUp({ patience: 300 });
    await server.refuse('SignOut', 100);
    await expect(session.signOut()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(session.state.status).toBe('signedIn');
    await server.forget();
    await session.signOut();
    expect(session.state.status).toBe('signedOut');
  });

  it('takes the cookies back', async () => {
    const browser = new Browser(server.origins[0]);
    const { session } = await signUp({ delivery: 'REFRESH_COOKIE', fetch: browser.fetch });
    expect([...browser.cookies.keys()].sort()).toEqual(['__Host-latchkey-device', '__Host-latchkey-refresh']);
    await session.signOut();
    expect([...browser.cookies.keys()]).toEqual(['__Host-latchkey-device']);
  });
});

describe('what outlives a page', () => {
  it('is the refresh token in its storage', async () => {
    const storage = storageInMemory();
    const { email } = await signUp({ storage });
    const next = body({ storage });
    expect(next.state.status).toBe('resuming');
    expect(await next.refresh()).toBe(true);
    expect(next.state).toMatchObject({ status: 'signedIn', user: { email } });
    await next.signOut();
    expect(storage.items.size).toBe(0);
  });

  it('may be in a storage that takes its time', async () => {
    const items = storageInMemory();
    const storage: TokenStorage = {
      getItem: async (key) => items.getItem(key),
      setItem: async (key, value) => items.setItem(key, value),
      removeItem: async (key) => items.removeItem(key),
    };
    await signUp({ storage });
    expect(await body({ storage }).accessToken()).not.toBeNull();
  });

  it('is nothing where the storage is blocked, and this page stays signed in', async () => {
    const blocked = () => {
      throw new DOMException('no', 'SecurityError');
    };
    const { session } = await signUp({ storage: { getItem: blocked, setItem: blocked, removeItem: blocked } });
    expect(await session.refresh()).toBe(true);
    await session.signOut();
    expect(session.state.status).toBe('signedOut');
  });

  it('is nothing of what could not be written: no old token is used again', async () => {
    const storage = storageInMemory();
    const { session } = await signUp({ storage });
    const full = vi.spyOn(storage, 'setItem').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError');
    });
    for (let i = 0; i < 3; i++) {
      expect(await session.refresh()).toBe(true);
      expect(await ask('query Used { me { id } }', {}, (await session.accessToken())!)).toHaveProperty('data.me.id');
    }
    expect(storage.items.size).toBe(0);
    full.mockRestore();
    expect(await session.refresh()).toBe(true);
    expect(await body({ storage }).refresh()).toBe(true);
  });

  it('is what another tab stored last: no old token is used again', async () => {
    const storage = storageInMemory();
    const { session: one } = await signUp({ storage });
    const two = body({ storage });
    for (let i = 0; i < 3; i++) {
      expect(await two.refresh()).toBe(true);
      expect(await ask('query Used { me { id } }', {}, (await two.accessToken())!)).toHaveProperty('data.me.id');
    }
    expect(await one.refresh()).toBe(true);
    expect(one.state.status).toBe('signedIn');
  });

  it('is a cookie', async () => {
    const browser = new Browser(server.origins[0]);
    const { email } = await signUp({ delivery: 'COOKIES', fetch: browser.fetch });
    const next = createSession({ url: server.url, delivery: 'COOKIES', fetch: browser.fetch });
    expect(await next.accessToken()).toBeNull();
    expect(next.state).toMatchObject({ status: 'signedIn', user: { email } });
  });

  it('is not what a storage has that is of somebody else', async () => {
    const storage = storageInMemory();
    storage.items.set(`latchkey:${server.url}`, '{"theme":"dark"}');
    expect(await body({ storage }).refresh()).toBe(false);
  });
});

describe('an answer that comes late', () => {
  // Two tabs that neither wait for each other nor hear of each other, as where a browser has no locks.
  async function twoTabs() {
    const storage = storageInMemory();
    const { session: slow } = await signUp({ storage });
    const fast = body({ storage });
    await fast.refresh();
    await server.forget();
    await server.delay('Refresh', 700);
    const late = slow.refresh();
    await expect.poll(() => server.seen('Refresh')).toHaveLength(1);
    return { storage, slow, fast, late };
  }

  it('does not undo that another tab signed out', async () => {
    const { storage, slow, fast, late } = await twoTabs();
    await fast.signOut();
    expect(await late).toBe(false);
    expect(slow.state.status).toBe('signedOut');
    expect(storage.items.size).toBe(0);
  });

  it('does not replace who signed in meanwhile', async () => {
    const { email } = await signUp();
    const { storage, slow, fast, late } = await twoTabs();
    await fast.logIn({ email, password });
    await late;
    expect(slow.state).toMatchObject({ status: 'signedIn', user: { email } });
    expect(fast.state).toMatchObject({ status: 'signedIn', user: { email } });
    const next = body({ storage });
    expect(await next.refresh()).toBe(true);
    expect(next.state).toMatchObject({ user: { email } });
  });
});

describe('cookies that are somebody else\'s by now', () => {
  async function twoPeople() {
    const browser = new Browser(server.origins[0]);
    const one = await signUp({ delivery: 'COOKIES', fetch: browser.fetch });
    const other = await signUp({ delivery: 'COOKIES', fetch: browser.fetch }); // of which the first does not hear
    await server.forget();
    return { one, other };
  }
  const send = (query: string): RequestInit => ({
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query }),
  });

  it('show nothing of theirs, and change nothing', async () => {
    for (const operation of ['query Peek { me { email } }', 'mutation Harm { revokeOtherSessions { revokedCount } }']) {
      const { one, other } = await twoPeople();
      const answer = (await (await one.session.fetch(server.url, send(operation))).json()) as { data: unknown; errors: unknown };
      expect(answer.errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED', reason: 'TOKEN_INVALID' } }]);
      expect(JSON.stringify(answer)).not.toContain(other.email);
      expect(one.session.state).toMatchObject({ status: 'signedIn', user: { email: other.email } }); // as it is
    }
  });

  it('are not used for what was asked for before that was known', async () => {
    const { one } = await twoPeople();
    const { accessToken } = await signUp();
    await expired(accessToken); // and so is what came before
    await server.forget();
    await expect(one.session.fetch(server.url, send('mutation Harm { revokeOtherSessions { revokedCount } }'))).rejects.toMatchObject({
      code: 'SIGNED_IN_AS_ANOTHER',
    });
    expect(await server.seen('Harm')).toEqual([]);
  });

  it('leave nobody signed in after a sign-out', async () => {
    const { one, other } = await twoPeople();
    await one.session.signOut();
    expect(one.session.state).toMatchObject({ status: 'signedOut', endReason: 'SIGNED_OUT' });
    await other.session.refresh();
    expect(other.session.state.status).toBe('signedOut');
  });
});

describe('fetch', () => {
  it('sends the token to the server, and to nobody else', async () => {
    const seen: (string | undefined)[] = [];
    const other = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end('{}');
    }).listen(0, 'localhost');
    try {
      await new Promise((resolve) => other.once('listening', resolve));
      const { session } = await signUp();
      await session.fetch(`http://localhost:${(other.address() as AddressInfo).port}/graphql`, { method: 'POST', body: '{}' });
      expect(seen).toEqual([undefined]);
    } finally {
      other.close();
    }
  });

  it('does not do for one person what another asked for', async () => {
    const { session } = await signUp();
    const { email } = await signUp();
    await server.refuse('Waits', 100);
    const answer = session.fetch(server.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query: 'query Waits { me { email } }' }),
    });
    const refused = expect(answer).rejects.toMatchObject({ code: 'SIGNED_IN_AS_ANOTHER' });
    await expect.poll(() => server.seen('Waits')).not.toHaveLength(0);
    await session.logIn({ email, password });
    await server.forget();
    await refused;
    expect(session.state).toMatchObject({ user: { email } });
  });

  it('does not repeat what it cannot know to be a query', async () => {
    const { session } = await signUp();
    for (const sent of [{ extensions: { persistedQuery: { version: 1 } } }, { query: 'mutation Change { revokeOtherSessions { revokedCount } }' }]) {
      await server.forget();
      await server.refuse('', 1);
      const { status } = await session.fetch(server.url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(sent) });
      expect(status).toBe(503);
    }
  });

  it('ends with its signal while a refresh is waited for', async () => {
    const { session, accessToken } = await signUp();
    await expired(accessToken);
    await server.refuse('Refresh', 100);
    const answer = session.fetch(server.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query: 'query Waits { me { id } }' }),
      signal: AbortSignal.timeout(300),
    });
    await expect(answer).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(await server.seen('Waits')).toEqual([]);
    session.close();
  });

  it('ends with its signal, whatever the server does', async () => {
    const { session } = await signUp();
    await server.refuse('Waits', 100);
    const controller = new AbortController();
    const answer = session.fetch(server.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query: 'query Waits { me { id } }' }),
      signal: controller.signal,
    });
    await expect.poll(() => server.seen('Waits')).not.toHaveLength(0);
    controller.abort();
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
    expect(session.state.status).toBe('signedIn');
  });
});

describe('createSession', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('takes no options that cannot be', () => {
    const storage = storageInMemory();
    expect(() => body({ delivery: 'HEADER' as 'BODY' })).toThrow(TypeError);
    expect(() => body({ patience: Number.NaN })).toThrow(TypeError);
    expect(() => body({ patience: '30000' as unknown as number })).toThrow(TypeError);
    expect(() => body({ url: 'not a url' })).toThrow(TypeError);
    expect(() => body({ delivery: 'COOKIES', storage })).toThrow('storage is for the delivery BODY');
    vi.stubGlobal('sessionStorage', storage);
    expect(() => body({ storage })).toThrow('sessionStorage');
  });

  it('asks nobody before it is used where there is no page, and stops when it is closed', async () => {
    let asked = 0;
    const counting: typeof fetch = (...args) => {
      asked++;
      return fetch(...args);
    };
    body({ storage: storageInMemory(), fetch: counting });
    expect(asked).toBe(0);
    const { session } = await signUp({ patience: 0, fetch: counting });
    await server.refuse('', 100);
    await expect(session.refresh()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    asked = 0;
    await expect.poll(() => asked).toBeGreaterThan(0); // it goes on by itself
    session.close();
    asked = 0;
    await new Promise((resolve) => setTimeout(resolve, 1_500)); // longer than it would have waited
    expect(asked).toBe(0);
  });

  it('sends what it was told to no other server', async () => {
    const sent: string[] = [];
    const other = createServer((request, response) => {
      sent.push(request.url!);
      response.writeHead(308, { Location: '/elsewhere' }).end();
    }).listen(0, 'localhost');
    try {
      await new Promise((resolve) => other.once('listening', resolve));
      const session = body({ url: `http://localhost:${(other.address() as AddressInfo).port}/graphql` });
      await expect(session.logIn({ email: 'ada@example.com', password })).rejects.toMatchObject({ code: 'BAD_ANSWER' });
      expect(sent).toEqual(['/graphql']);
    } finally {
      other.close();
    }
  });

  it('knows nobody where a server renders a page that has but a path', async () => {
    const session = createSession({ url: '/graphql', delivery: 'COOKIES' });
    await expect(session.accessToken()).rejects.toMatchObject({ code: 'NO_PAGE', temporary: false });
  });
});
