/**
 * A request that the server did not answer as it should have: it could not be reached, it is in trouble, or it does
 * not take the request. Nobody is signed out by one.
 */
export class SessionError extends Error {
  override readonly name = 'SessionError';

  constructor(
    /**
     * `extensions.code` of the server's error, as docs/errors.md lists them. UNAVAILABLE also where no server answered:
     * offline, an answer that was cut or came too late, HTTP 429 or 5xx of a gateway.
     */
    readonly code: string,
    message: string,
    /** When to ask again, where the server says so. By this device's clock, if a session threw the error. */
    readonly retryAt: Date | null = null,
    /** What the server's log knows the request by, where it said so. */
    readonly requestId: string | null = null,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** Whether the same request may be answered later. */
  get temporary(): boolean {
    return temporaryCodes.has(this.code);
  }
}

const temporaryCodes = new Set(['UNAVAILABLE', 'RATE_LIMITED']);

/** Nothing came back: offline, a dead line, or a page that may not ask. */
export function unreachable(cause: unknown): SessionError {
  return new SessionError('UNAVAILABLE', 'The server cannot be reached.', null, null, { cause });
}

/** An answer began, and did not end. */
export function cutOff(cause: unknown): SessionError {
  return new SessionError('UNAVAILABLE', "The server's answer was cut off.", null, null, { cause });
}

/** An error in the answer to a GraphQL operation, as any client hands it on. */
export interface ErrorInAnswer {
  readonly message: string;
  readonly extensions?: { readonly [name: string]: unknown } | undefined;
}

/** Why the server found nobody signed in: docs/errors.md, UNAUTHENTICATED. */
export type UnauthenticatedReason = 'TOKEN_MISSING' | 'TOKEN_EXPIRED' | 'TOKEN_INVALID' | 'SESSION_ENDED';

/** What hinders an operation, where a session can do something about it: refresh, or wait. */
export type Hindrance = { readonly unauthenticated: UnauthenticatedReason } | { readonly trouble: SessionError };

/** hindranceIn returns what hindered an operation with these errors, or null where a session cannot help. */
export function hindranceIn(errors: readonly ErrorInAnswer[] | null | undefined): Hindrance | null {
  for (const { extensions } of errors ?? []) {
    if (extensions?.code === 'UNAUTHENTICATED') {
      return { unauthenticated: extensions.reason as UnauthenticatedReason };
    }
  }
  const trouble = errors?.map((error) => errorIn([error])).find((error) => error?.temporary);
  return trouble ? { trouble } : null;
}

/** errorIn returns the first error as a SessionError, or null where there is none. Its times are what `timeOf` makes of them. */
export function errorIn(
  errors: readonly ErrorInAnswer[] | null | undefined,
  timeOf = (text: string): Date => new Date(text),
): SessionError | null {
  const first = errors?.[0];
  if (!first) {
    return null;
  }
  const { code, retryAt, requestId } = first.extensions ?? {};
  return new SessionError(
    String(code ?? 'INTERNAL_SERVER_ERROR'),
    first.message,
    typeof retryAt === 'string' ? timeOf(retryAt) : null,
    typeof requestId === 'string' ? requestId : null,
  );
}

/**
 * errorOfStatus returns what an HTTP answer that is not GraphQL means, such as the page of a gateway, or null where
 * its status is no trouble.
 */
export function errorOfStatus(response: Response): SessionError | null {
  if (response.status !== 429 && response.status < 500) {
    return null;
  }
  return new SessionError(
    'UNAVAILABLE',
    `The server, or something before it, answered with HTTP ${response.status}.`,
    retryAfter(response),
    response.headers.get('X-Request-Id'),
  );
}

// RFC 9110 §10.2.3: seconds, or a date.
function retryAfter(response: Response): Date | null {
  const value = response.headers.get('Retry-After');
  if (!value) {
    return null;
  }
  const at = /^\d+$/.test(value) ? Date.now() + Number(value) * 1000 : Date.parse(value);
  return Number.isNaN(at) ? null : new Date(at);
}
