import { NextResponse, type NextRequest } from 'next/server.js';

/** Where the Latchkey server is, as seen from the server of the Next app. */
export interface LatchkeyServer {
  /** The address of its GraphQL endpoint, such as `http://latchkey:8080/graphql`. */
  readonly url: string | URL;
  /** For how long it is waited for, in milliseconds. */
  readonly timeout?: number;
}

// Latchkey's cookies, and what they are called with SECURE_COOKIES=off.
const cookieNames = {
  access: ['__Host-latchkey-access', 'latchkey-access'],
  refresh: ['__Host-latchkey-refresh', 'latchkey-refresh'],
  device: ['__Host-latchkey-device', 'latchkey-device'],
};

const toServer = [
  'Accept',
  'Authorization',
  'Content-Type',
  'Latchkey-Session',
  'Origin',
  'Sec-Fetch-Site',
  'Traceparent',
  'User-Agent',
  'X-Forwarded-For',
  // By one of these Latchkey knows that a request with cookies is no form of another site: docs/http.md.
  'Apollo-Require-Preflight',
  'GraphQL-Require-Preflight',
  'X-Apollo-Operation-Name',
  'X-Requested-With',
];
const toBrowser = ['Cache-Control', 'Content-Type', 'Date', 'Retry-After', 'X-Request-Id'];

/**
 * graphqlHandler returns the handlers of a route, such as app/api/graphql/route.ts, that passes operations on to Latchkey:
 * browsers then know one origin, that of the Next app, and the cookies are set there. That origin must be in Latchkey's
 * ALLOWED_ORIGINS. Of the cookies only Latchkey's own are passed on. Latchkey believes X-Forwarded-For where
 * TRUSTED_PROXIES names the Next app: do so only if what is before that sets the header itself.
 *
 * A server that cannot be reached, or does not answer within the timeout (15 s where nothing is said), is an answer with
 * HTTP 503 and an error with the code UNAVAILABLE.
 */
export function graphqlHandler(server: LatchkeyServer): {
  GET(request: Request): Promise<Response>;
  POST(request: Request): Promise<Response>;
} {
  const { timeout = 15_000 } = server;
  const handler = async (request: Request): Promise<Response> => {
    const headers = only(toServer, request.headers);
    const cookies = cookiesIn(request.headers.get('Cookie'), Object.values(cookieNames).flat());
    if (cookies.length > 0) {
      headers.set('Cookie', cookies.join('; '));
    }
    const url = new URL(server.url);
    url.search = new URL(request.url).search;
    try {
      const response = await fetch(url, {
        method: request.method,
        headers,
        body: request.body, // as it comes: how large it may be is for the server to say
        ...(request.body && { duplex: 'half' }),
        signal: AbortSignal.any([request.signal, AbortSignal.timeout(timeout)]),
        ...asIs,
      });
      mustNotRedirect(response);
      const answer = only(toBrowser, response.headers);
      response.headers.getSetCookie().forEach((cookie) => answer.append('Set-Cookie', cookie));
      return new Response(await response.arrayBuffer(), { status: response.status, headers: answer });
    } catch {
      return unavailable(request);
    }
  };
  return { GET: handler, POST: handler };
}

/**
 * refreshByCookie is for the app's proxy.ts (Next 16) or middleware.ts (Next 15). Where a page is opened whose access cookie
 * has expired, or will in a moment, it refreshes, once, and the new cookies go both to the browser and to the server
 * components that render the page. Return its response, or put its Set-Cookie headers on yours.
 *
 * It does nothing where it is not sure to help: without a refresh cookie, for anything but the opening of a page, for prefetches,
 * and with an access cookie that is good yet. Links within a page that is open do not need it, since the session there refreshes
 * ahead of time. Where the server is in trouble, does not answer within the timeout (3 s where nothing is said), or says that the
 * session is over, the page goes on as it is: nobody is signed out by it. Pages that are opened at once may all refresh: they get
 * the same tokens (docs/rotation.md). Server components cannot set cookies, so never refresh there.
 */
export async function refreshByCookie(request: NextRequest, { url, timeout = 3_000 }: LatchkeyServer): Promise<NextResponse> {
  const cookies = request.headers.get('Cookie');
  const refreshCookies = cookiesIn(cookies, cookieNames.refresh);
  if (refreshCookies.length === 0 || !opensPage(request) || cookiesIn(cookies, cookieNames.access).some(isGoodYet)) {
    return NextResponse.next();
  }
  const fresh = await newCookies(url, timeout, refreshCookies, request.headers);
  if (fresh.length === 0) {
    return NextResponse.next();
  }
  const headers = new Headers(request.headers);
  headers.set('Cookie', replaced(cookies, fresh));
  const response = NextResponse.next({ request: { headers } });
  fresh.forEach((cookie) => response.headers.append('Set-Cookie', cookie));
  response.headers.set('Cache-Control', 'private, no-store'); // no cache between may give these cookies to somebody else
  return response;
}

/** The cookies of a request, as `await cookies()` of next/headers returns them. */
export interface RequestCookies {
  get(name: string): { readonly value: string } | undefined;
}

/**
 * serverFetch returns a `fetch` for server components, for any GraphQL client: it asks Latchkey as who asked for the page. With
 * the access cookie only: it never refreshes, since a server component could not store the new tokens; refreshByCookie has done
 * so before. An operation may still be UNAUTHENTICATED, as where somebody follows a link from another site, with which no
 * browser sends the cookies: render what everybody may see, and leave the rest to the session in the page.
 * Requests to other addresses than `url` are sent without the cookie. It throws where there is no answer within the timeout,
 * 10 s where nothing is said.
 */
export function serverFetch(cookies: RequestCookies, { url, timeout = 10_000 }: LatchkeyServer): typeof fetch {
  const { origin, pathname } = new URL(url);
  return async (input, init) => {
    const request = new Request(input, init);
    const to = new URL(request.url);
    if (to.origin !== origin || to.pathname !== pathname) {
      return fetch(request);
    }
    const access = cookieNames.access.flatMap((name) => {
      const cookie = cookies.get(name);
      return cookie ? [`${name}=${cookie.value}`] : [];
    });
    const headers = new Headers(request.headers);
    headers.delete('Cookie');
    if (access.length > 0) {
      headers.set('Cookie', access.join('; '));
      headers.set('GraphQL-Require-Preflight', '1');
    }
    const response = await fetch(request, {
      headers,
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(timeout)]),
      ...asIs,
    });
    mustNotRedirect(response);
    return response;
  };
}

// What a redirect leads to must not get the cookies, and what a cache has is somebody else's.
const asIs = { redirect: 'manual', cache: 'no-store' } as const;

function mustNotRedirect(response: Response): void {
  if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) {
    throw new TypeError(`The server redirects, with HTTP ${response.status}: its address is another one.`);
  }
}

async function newCookies(url: string | URL, timeout: number, cookies: string[], from: Headers): Promise<string[]> {
  const headers = only(['Traceparent', 'User-Agent', 'X-Forwarded-For'], from);
  headers.set('Accept', 'application/graphql-response+json, application/json');
  headers.set('Content-Type', 'application/json');
  headers.set('Cookie', cookies.join('; '));
  headers.set('GraphQL-Require-Preflight', '1');
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body: JSON.stringify({ query: 'mutation Refresh { refreshToken { __typename } }' }),
      signal: AbortSignal.timeout(timeout),
      ...asIs,
    });
    await response.body?.cancel(); // the cookies say it all: a failure sets none
    return response.ok ? response.headers.getSetCookie() : [];
  } catch {
    return [];
  }
}

// Only documents. Requests of Next's router for a part of a page look the same here whether they are prefetches or not: Next
// hides their headers from its middleware.
function opensPage({ method, headers }: Request): boolean {
  const mode = headers.get('Sec-Fetch-Mode');
  const isPage = mode === null ? /\btext\/html\b/i.test(headers.get('Accept') ?? '') : mode === 'navigate';
  const isAhead =
    ['Next-Router-Prefetch', 'Next-Router-Segment-Prefetch', 'X-Middleware-Prefetch'].some((name) => headers.has(name)) ||
    ['Purpose', 'Sec-Purpose', 'X-Purpose', 'X-Moz'].some((name) => /prefetch|prerender|preview/i.test(headers.get(name) ?? ''));
  return method === 'GET' && isPage && !isAhead;
}

// isGoodYet looks into an access token without verifying it: enough to know whether it is worth asking for another one.
function isGoodYet(cookie: string): boolean {
  const claims = cookie.slice(cookie.indexOf('=') + 1).split('.')[1] ?? '';
  try {
    const { iat, exp } = JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/'))) as { iat: number; exp: number };
    // As much ahead as a session refreshes.
    return Date.now() < exp * 1000 - Math.min(30_000, ((exp - iat) * 1000) / 3);
  } catch {
    return false;
  }
}

function unavailable(request: Request): Response {
  const type = 'application/graphql-response+json';
  return Response.json(
    { errors: [{ message: 'The server cannot be reached.', extensions: { code: 'UNAVAILABLE' } }] },
    {
      status: 503,
      headers: {
        'Content-Type': request.headers.get('Accept')?.includes(type) ? type : 'application/json',
        'Cache-Control': 'no-store',
      },
    },
  );
}

function only(names: readonly string[], of: Headers): Headers {
  const headers = new Headers();
  for (const name of names) {
    const value = of.get(name);
    if (value !== null) {
      headers.set(name, value);
    }
  }
  return headers;
}

// cookiesIn returns the cookies of these names, each as name=value.
function cookiesIn(header: string | null, names: readonly string[]): string[] {
  return pairsIn(header).filter((pair) => names.includes(nameOf(pair)));
}

// replaced returns a Cookie header with what Set-Cookie headers set.
function replaced(header: string | null, fresh: readonly string[]): string {
  const set = fresh.map((cookie) => cookie.split(';', 1)[0]!.trim());
  const names = set.map(nameOf);
  return [...pairsIn(header).filter((pair) => !names.includes(nameOf(pair))), ...set].join('; ');
}

function pairsIn(header: string | null): string[] {
  return (header ?? '').split(';').flatMap((pair) => pair.trim() || []);
}

function nameOf(pair: string): string {
  return pair.split('=', 1)[0]!.trim();
}
