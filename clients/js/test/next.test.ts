import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ClientError, GraphQLClient } from 'graphql-request';
import { NextRequest } from 'next/server.js';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { sessionClient } from '../src/graphql-request.js';
import { createSession } from '../src/index.js';
import { graphqlHandler, refreshByCookie, serverFetch } from '../src/next.js';
import { MeDocument } from '../src/operations/index.js';
import { Browser, expired, revokeElsewhere, server, signUp, type Person } from './server.js';

const app = server.origins[0]!; // where the Next app is
const accessCookie = '__Host-latchkey-access';
const refreshCookie = '__Host-latchkey-refresh';

// A browser that knows nothing but the app. Its requests go through the route's handler.
function newBrowser(latchkey = server.url): Browser {
  const { GET, POST } = graphqlHandler({ url: latchkey });
  return new Browser(app, (input, init) => {
    const request = new NextRequest(new Request(input, init));
    return request.method === 'GET' ? GET(request) : POST(request);
  });
}

async function signUpInApp(): Promise<Person & { browser: Browser }> {
  const browser = newBrowser();
  return { browser, ...(await signUp({ url: `${app}/api/graphql`, delivery: 'COOKIES', fetch: browser.fetch })) };
}

// Opens a page as a browser does.
function open(cookies: string, headers: Record<string, string> = {}, init: { method?: string } = {}): NextRequest {
  return new NextRequest(`${app}/account`, {
    ...init,
    headers: { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document', Accept: 'text/html', Cookie: cookies, ...headers },
  });
}

// What server components see of the request, once the middleware let it pass.
function seenByComponents(request: NextRequest, response: Response): NextRequest {
  const headers = new Headers(request.headers);
  for (const name of response.headers.get('X-Middleware-Override-Headers')?.split(',') ?? []) {
    headers.set(name, response.headers.get(`X-Middleware-Request-${name}`)!);
  }
  return new NextRequest(request.url, { headers });
}

function isUnchanged({ headers }: Response): boolean {
  return headers.get('X-Middleware-Next') === '1' && !headers.has('Set-Cookie') && !headers.has('X-Middleware-Override-Headers');
}

async function askAs(request: NextRequest): Promise<string | undefined> {
  const client = new GraphQLClient(server.url, { fetch: serverFetch(request.cookies, { url: server.url }) });
  return (await client.request(MeDocument)).me?.id;
}

// A server of the test's own, to look at what comes and goes.
async function listen(listener: RequestListener): Promise<string> {
  const own = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => own.once('listening', resolve));
  onTestFinished(() => {
    own.closeAllConnections();
    own.close();
  });
  return `http://127.0.0.1:${(own.address() as AddressInfo).port}/graphql`;
}

beforeEach(server.forget);

it('has a session that modules may create where a server renders', () => {
  const session = createSession({ url: '/api/graphql', delivery: 'COOKIES' });
  expect(session.state.status).toBe('resuming');
});

it('signs in, asks and signs out through the route of an app', async () => {
  const { browser, session, id } = await signUpInApp();
  expect([...browser.cookies.keys()].toSorted()).toEqual([accessCookie, '__Host-latchkey-device', refreshCookie]);
  expect(await session.accessToken()).toBeNull();
  browser.cookies.set('theirs', 'of the app');
  const client = sessionClient(session);
  expect((await client.request(MeDocument)).me?.id).toBe(id);
  browser.cookies.delete(accessCookie);
  expect((await client.request(MeDocument)).me?.id).toBe(id);
  expect(await server.seen('Refresh')).toHaveLength(1);
  await session.signOut();
  expect([...browser.cookies.keys()]).toEqual(['__Host-latchkey-device', 'theirs']);
});

it('passes on what concerns the server, and back what concerns the browser', async () => {
  const concerns = {
    accept: 'application/json',
    authorization: 'Bearer t',
    'content-type': 'application/json',
    origin: app,
    'sec-fetch-site': 'same-origin',
    'user-agent': 'Test',
    'x-forwarded-for': '192.0.2.1',
    traceparent: '00-1-2-01',
    'graphql-require-preflight': '1',
  };
  const wanted = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'retry-after': '2',
    'x-request-id': 'r1',
    date: 'Thu, 01 Jan 2026 00:00:00 GMT',
  };
  const latchkeys = `${accessCookie}=a; ${refreshCookie}=b; __Host-latchkey-device=c; latchkey-access=d`;
  let came: IncomingMessage | undefined;
  const url = await listen((request, response) => {
    came = request;
    request.resume().on('end', () => {
      response.setHeader('Set-Cookie', ['one=1; Path=/; Expires=Thu, 01 Jan 2032 00:00:00 GMT', 'two=2; HttpOnly']);
      response.writeHead(418, {
        ...wanted,
        Connection: 'close',
        Server: 'secret',
        'X-Powered-By': 'secret',
      });
      response.end('{"data":null}');
    });
  });
  const answer = await graphqlHandler({ url }).POST(
    new NextRequest(`${app}/api/graphql`, {
      method: 'POST',
      body: '{"query":"{ me { id } }"}',
      headers: { ...concerns, Cookie: `theirs=1; ${latchkeys}; x${accessCookie}=no`, Referer: `${app}/secret`, 'X-Internal': 'secret' },
    }),
  );
  const { cookie, ...headers } = came!.headers;
  expect(cookie).toBe(latchkeys);
  // Those of fetch itself besides.
  const ofFetch = ['accept-encoding', 'accept-language', 'cache-control', 'connection', 'host', 'pragma', 'sec-fetch-mode', 'transfer-encoding'];
  expect(Object.fromEntries(Object.entries(headers).filter(([name]) => !ofFetch.includes(name)))).toEqual(concerns);
  expect(answer.status).toBe(418);
  expect(await answer.text()).toBe('{"data":null}');
  expect(answer.headers.getSetCookie()).toEqual(['one=1; Path=/; Expires=Thu, 01 Jan 2032 00:00:00 GMT', 'two=2; HttpOnly']);
  answer.headers.delete('Set-Cookie');
  expect(Object.fromEntries(answer.headers)).toEqual(wanted);
});

it('leaves to the server which origins may ask, and how much', async () => {
  const { POST } = graphqlHandler({ url: server.url });
  const post = (origin: string, query: string) => {
    const headers = { 'Content-Type': 'application/json', Origin: origin };
    return POST(new NextRequest(`${app}/api/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) }));
  };
  expect((await post(app, '{ __typename }')).status).toBe(200);
  expect((await post('https://evil.example', '{ __typename }')).status).toBe(403);
  for (const kilobytes of [80, 4_000]) {
    const tooLarge = await post(app, `{ __typename } #${'x'.repeat(kilobytes * 1024)}`);
    expect([tooLarge.status, await tooLarge.text()]).toEqual([413, expect.stringContaining('OPERATION_TOO_LARGE')]);
  }
});

it('passes queries by GET on', async () => {
  const { GET } = graphqlHandler({ url: server.url });
  const address = `${app}/api/graphql?query=${encodeURIComponent('{ __typename }')}`;
  const answer = await GET(new NextRequest(address, { headers: { 'Sec-Fetch-Site': 'same-origin' } }));
  expect(await answer.json()).toEqual({ data: { __typename: 'Query' } });
});

it('answers UNAVAILABLE for a server that does not answer', async () => {
  const silent = await listen(() => {});
  const cut = await listen((_, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '100' });
    response.write('{"data"', () => response.destroy());
  });
  const elsewhere = await listen((_, response) => response.writeHead(307, { Location: server.url }).end());
  for (const url of ['http://127.0.0.1:1/graphql', silent, cut, elsewhere]) {
    const request = new NextRequest(`${app}/api/graphql`, { method: 'POST', body: '{}', headers: { Cookie: `${refreshCookie}=x` } });
    const answer = await graphqlHandler({ url, timeout: 200 }).POST(request);
    expect([answer.status, answer.headers.get('Cache-Control')]).toEqual([503, 'no-store']);
    expect(await answer.json()).toEqual({ errors: [{ message: expect.any(String), extensions: { code: 'UNAVAILABLE' } }] });
  }

  const { fetch } = newBrowser('http://127.0.0.1:1/graphql');
  const session = createSession({ url: `${app}/api/graphql`, delivery: 'COOKIES', patience: 0, fetch });
  await expect(session.refresh()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(session.state.status).toBe('resuming'); // and not signed out
});

it('refreshes where a page is opened, for the browser and for what renders the page', async () => {
  const { browser, id } = await signUpInApp();
  browser.cookies.set('theirs', 'of the app');
  const before = browser.cookies.get(refreshCookie);
  browser.cookies.delete(accessCookie);
  const request = open(browser.cookieHeader);
  const response = await refreshByCookie(request, { url: server.url });
  expect(await server.seen('Refresh')).toHaveLength(1);
  expect(response.headers.get('X-Middleware-Next')).toBe('1');
  expect(response.headers.get('Cache-Control')).toBe('private, no-store');

  const seen = seenByComponents(request, response);
  expect(seen.cookies.get('theirs')?.value).toBe('of the app');
  expect(seen.headers.get('Accept')).toBe('text/html');
  expect(await askAs(seen)).toBe(id);
  browser.keep(response);
  expect(browser.cookies.get(refreshCookie)).not.toBe(before);
  expect(seen.cookies.get(accessCookie)?.value).toBe(browser.cookies.get(accessCookie));
  expect(seen.cookies.get(refreshCookie)?.value).toBe(browser.cookies.get(refreshCookie));

  expect(isUnchanged(await refreshByCookie(open(browser.cookieHeader), { url: server.url }))).toBe(true); // it is good yet
  expect(await server.seen('Refresh')).toHaveLength(1);
});

it('refreshes an access token that has expired', async () => {
  const { browser, id } = await signUpInApp();
  const old = open(browser.cookieHeader);
  await expired(browser.cookies.get(accessCookie)!);
  const said = await askAs(old).catch((error: ClientError) => error.response.errors?.[0]?.extensions);
  expect(said).toMatchObject({ reason: 'TOKEN_EXPIRED' });
  expect(await server.seen('Refresh')).toEqual([]); // never where it could not be stored
  const request = open(browser.cookieHeader);
  expect(await askAs(seenByComponents(request, await refreshByCookie(request, { url: server.url })))).toBe(id);
  expect(await server.seen('Refresh')).toHaveLength(1);
});

it('refreshes as long before the end as a session does', async () => {
  const { browser } = await signUpInApp();
  const now = Date.now() / 1000;
  for (const [iat, exp, isGood] of [
    [now - 200, now + 100, true],
    [now - 280, now + 20, false],
    [now - 2, now + 3, true],
    [now - 4, now + 1, false],
  ] as const) {
    browser.cookies.set(accessCookie, `e30.${Buffer.from(JSON.stringify({ iat, exp, name: '¿ÿ' })).toString('base64url')}.x`);
    expect(isUnchanged(await refreshByCookie(open(browser.cookieHeader), { url: server.url }))).toBe(isGood);
  }
  browser.cookies.set(accessCookie, 'no token');
  expect(isUnchanged(await refreshByCookie(open(browser.cookieHeader), { url: server.url }))).toBe(false);
});

it('asks for new tokens with the refresh cookie alone', async () => {
  let status = 200;
  let came: IncomingMessage | undefined;
  const url = await listen((request, response) => {
    came = request;
    response.setHeader('Set-Cookie', [`${refreshCookie}=new; Path=/; Secure`, `${accessCookie}=new; Path=/; Secure`]);
    response.writeHead(status, { 'Content-Type': 'application/json' }).end('{}');
  });
  const concerns = { 'user-agent': 'Test', 'x-forwarded-for': '192.0.2.1', traceparent: '00-1-2-01' };
  const cookies = `theirs=1; ${refreshCookie}=old; ${accessCookie}=old; __Host-latchkey-device=d`;
  const request = open(cookies, { ...concerns, Authorization: 'Bearer t', Referer: app });
  const response = await refreshByCookie(request, { url });
  expect(seenByComponents(request, response).headers.get('Cookie')).toBe(
    `theirs=1; __Host-latchkey-device=d; ${refreshCookie}=new; ${accessCookie}=new`,
  );
  expect(came!.headers).toMatchObject({ ...concerns, cookie: `${refreshCookie}=old` });
  expect([came!.headers.authorization, came!.headers.referer]).toEqual([undefined, undefined]);
  status = 500;
  expect(isUnchanged(await refreshByCookie(request, { url }))).toBe(true);
});

it('refreshes for nothing but the opening of a page', async () => {
  const { browser } = await signUpInApp();
  browser.cookies.delete(accessCookie);
  const cookies = browser.cookieHeader;
  for (const request of [
    open('theirs=1'),
    open(cookies, {}, { method: 'POST' }),
    open(cookies, { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }), // a link within the app, or its prefetch
    open(cookies, { 'Next-Router-Prefetch': '1' }),
    open(cookies, { 'X-Middleware-Prefetch': '1' }),
    open(cookies, { Purpose: 'prefetch' }),
    open(cookies, { 'Sec-Purpose': 'prefetch;prerender' }),
  ]) {
    expect(isUnchanged(await refreshByCookie(request, { url: server.url }))).toBe(true);
  }
  expect(await server.seen('Refresh')).toEqual([]);

  const ofOldBrowser = open(cookies);
  ofOldBrowser.headers.delete('Sec-Fetch-Mode');
  expect(isUnchanged(await refreshByCookie(ofOldBrowser, { url: server.url }))).toBe(false);
});

it('lets a page go on as it is while the server is in trouble, and signs nobody out', async () => {
  const { browser, id } = await signUpInApp();
  browser.cookies.delete(accessCookie);
  const cookies = browser.cookieHeader;
  await server.refuse('Refresh', 1);
  expect(isUnchanged(await refreshByCookie(open(cookies), { url: server.url }))).toBe(true);
  await server.delay('Refresh', 60_000);
  expect(isUnchanged(await refreshByCookie(open(cookies), { url: server.url, timeout: 100 }))).toBe(true);
  await server.cut('Refresh');
  expect(isUnchanged(await refreshByCookie(open(cookies), { url: server.url }))).toBe(true);
  expect(isUnchanged(await refreshByCookie(open(cookies), { url: 'http://127.0.0.1:1/graphql' }))).toBe(true);

  const request = open(cookies); // twice it was exchanged, and the browser knows nothing of that
  expect(await askAs(seenByComponents(request, await refreshByCookie(request, { url: server.url })))).toBe(id);
});

it('lets a page go on as it is when the session is over', async () => {
  const person = await signUpInApp();
  await revokeElsewhere(person);
  person.browser.cookies.delete(accessCookie);
  expect(isUnchanged(await refreshByCookie(open(person.browser.cookieHeader), { url: server.url }))).toBe(true);
});

it('gives pages that are opened at once the same tokens', async () => {
  const { browser, session, id } = await signUpInApp();
  browser.cookies.delete(accessCookie);
  const cookies = browser.cookieHeader;
  const responses = await Promise.all(Array.from({ length: 5 }, () => refreshByCookie(open(cookies), { url: server.url })));
  responses.forEach((response) => browser.keep(response));
  const refreshTokens = responses.map(({ headers }) => headers.getSetCookie().find((cookie) => cookie.startsWith(refreshCookie)));
  expect(refreshTokens[0]).toBeDefined();
  expect(new Set(refreshTokens.map((cookie) => cookie?.split(';')[0])).size).toBe(1);
  expect((await sessionClient(session).request(MeDocument)).me?.id).toBe(id);
  expect(await session.refresh()).toBe(true);
});

it('shows the server nothing but the access cookie, and nobody else anything', async () => {
  const came: (string | undefined)[] = [];
  const url = await listen((request, response) => {
    came.push(request.headers.cookie);
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"data":{}}');
  });
  const { cookies } = open(`${accessCookie}=a; ${refreshCookie}=b; theirs=1`);
  const fetchAs = serverFetch(cookies, { url });
  await fetchAs(url, { method: 'POST', body: '{}', headers: { Cookie: 'theirs=1' } });
  await fetchAs(new URL('?query={__typename}', url));
  await fetchAs(url.replace('/graphql', '/other'));
  await serverFetch(open('theirs=1').cookies, { url })(url, { headers: { Cookie: 'theirs=1' } });
  expect(came).toEqual([`${accessCookie}=a`, `${accessCookie}=a`, undefined, undefined]);
  const elsewhere = await listen((_, response) => response.writeHead(307, { Location: url }).end());
  await expect(serverFetch(cookies, { url: elsewhere })(elsewhere)).rejects.toThrow(/redirects/);
  expect(came).toHaveLength(4);
});
