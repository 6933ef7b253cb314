// The server that the tests ask: a real one, behind a proxy that fails when it is told to (internal/stand). `go test ./clients`
// starts both, and names them in LATCHKEY_CONTROL.
import { expect } from 'vitest';
import { createSession, type Session, type SessionOptions } from '../src/index.js';

const control = process.env.LATCHKEY_CONTROL;
if (!control) {
  throw new Error('LATCHKEY_CONTROL is not set: `go test ./clients` starts a server, and sets it');
}

/** An operation that came to the proxy. */
export interface Seen {
  readonly operation: string;
  readonly method: string;
  /** 0: nothing was answered. */
  readonly status: number;
  readonly authorized: boolean;
  readonly error: { readonly code: string; readonly reason: string } | null;
}

async function call(method: 'GET' | 'POST', path: string, parameters: Record<string, string | number> = {}): Promise<unknown> {
  const url = new URL(path, control);
  Object.entries(parameters).forEach(([name, value]) => url.searchParams.set(name, String(value)));
  const response = await fetch(url, { method });
  if (!response.ok) {
    throw new Error(`${method} ${url.pathname}: ${await response.text()}`);
  }
  return method === 'GET' ? response.json() : undefined;
}

const { url, origins } = (await call('GET', '/')) as { url: string; origins: string[] };

export const server = {
  /** The GraphQL endpoint. */
  url: `${url}/graphql`,
  /** Origins of pages that may ask it. */
  origins,
  stop: () => call('POST', '/server/stop'),
  start: () => call('POST', '/server/start'),
  /** The server does what the next operations of this name ask, and nobody hears its answer. */
  cut: (operation: string, times = 1) => call('POST', '/answers/cut', { operation, times }),
  /** A gateway answers the next operations of this name, and does not ask the server. It may say when to come again, in seconds. */
  refuse: (operation: string, times: number, status = 503, retryAfter?: number) =>
    call('POST', '/answers/refuse', { operation, times, status, ...(retryAfter !== undefined && { retryAfter }) }),
  delay: (operation: string, milliseconds: number) => call('POST', '/answers/delay', { operation, for: `${milliseconds}ms` }),
  /** What came since forget, oldest first; with a name, only that. */
  async seen(operation?: string): Promise<Seen[]> {
    const all = (await call('GET', '/requests')) as Seen[];
    return all.filter((one) => operation === undefined || one.operation === operation);
  },
  /** Forgets what came, and what is still to be done to answers. */
  async forget(): Promise<void> {
    await call('POST', '/requests/clear');
    await call('POST', '/answers/clear');
  },
};

/** A fetch that keeps cookies and says where it comes from, as a browser does. */
export class Browser {
  readonly cookies = new Map<string, string>();

  constructor(
    readonly origin = new URL(server.url).origin,
    readonly send: typeof fetch = fetch,
  ) {}

  get cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  keep(response: Response): void {
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!;
      if (/max-age=(0|-\d+)(;|$)/i.test(cookie)) {
        this.cookies.delete(name!);
      } else {
        this.cookies.set(name!, value!);
      }
    }
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const headers = new Headers(request.headers);
    headers.set('Origin', this.origin);
    // As the Fetch standard has it: same-origin is what nobody asked for.
    if (request.credentials === 'include' || new URL(request.url).origin === this.origin) {
      headers.set('Cookie', this.cookieHeader);
    }
    const response = await this.send(request, { headers });
    this.keep(response);
    return response;
  };
}

export const password = 'correct horse battery staple';
let people = 0;

/** Somebody who has an account, and is signed in with this session. */
export interface Person {
  readonly session: Session;
  readonly email: string;
  readonly id: string;
  /** The first access token. Null where it is in a cookie. */
  readonly accessToken: string | null;
}

/** Opens an account. Without options the tokens are in the answers, and kept in memory. */
export async function signUp(options?: Partial<SessionOptions>): Promise<Person> {
  const session = createSession({ url: server.url, delivery: 'BODY', ...options });
  const email = `ada.${process.pid}.${Date.now()}.${++people}@example.com`;
  const result = await session.signUp({ email, password });
  if (result.__typename !== 'AuthSuccess') {
    throw new Error(result.message);
  }
  return { session, email, id: result.user.id, accessToken: await session.accessToken() };
}

/** Ends a person's session from another device. */
export async function revokeElsewhere({ email, session }: Person): Promise<void> {
  const other = createSession({ url: server.url, delivery: 'BODY' });
  await other.logIn({ email, password });
  const { state } = session;
  if (state.status !== 'signedIn') {
    throw new Error('nobody is signed in');
  }
  const revoke = 'mutation RevokeElsewhere($id: ID!) { revokeSession(input: { sessionId: $id }) { revoked } }';
  const answer = await ask(revoke, { id: state.sessionId }, (await other.accessToken())!);
  expect(answer).toEqual({ data: { revokeSession: { revoked: true } } });
}

/** Waits until the server takes an access token no more. */
export async function expired(accessToken: string | null): Promise<void> {
  const answer = async () => JSON.stringify(await ask('query IsItExpired { me { id } }', {}, accessToken!));
  await expect.poll(answer, { timeout: 10_000, interval: 100 }).toContain('TOKEN_EXPIRED');
}

/** Asks without a session. */
export async function ask(query: string, variables: object, accessToken: string): Promise<unknown> {
  const response = await fetch(server.url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${accessToken}` },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

/** A fetch through something that loses the Authorization header, as some proxies do. */
export const fetchWithoutAuthorization: typeof fetch = (input, init) => {
  const request = new Request(input, init);
  request.headers.delete('Authorization');
  return fetch(request);
};
