import { cutOff, errorOfStatus, hindranceIn, SessionError, type Hindrance, type UnauthenticatedReason } from './errors.js';
import type { Attempt, Authorization } from './session.js';
import { isTemporary, unlessAborted } from './trouble.js';

/** What is needed of a session to run operations as who is signed in. Credential: what the session knows of its tokens. */
export interface Credentials<Credential> {
  /** For how long an operation may wait, in milliseconds. */
  readonly patience: number;
  /** held returns what there is, good or not. */
  held(): Credential;
  /** current returns what is good now. It throws a SessionError where that cannot be had. */
  current(): Promise<Credential>;
  authorizationOf(credential: Credential): Authorization;
  /** ofOne tells whether two are of one person. What nobody sent is of anybody. */
  ofOne(first: Credential, second: Credential): boolean;
  /** refused says that the server did not take it, and returns whether there is another one by now. */
  refused(credential: Credential, reason: UnauthenticatedReason): Promise<boolean>;
  /** answered says that the server did. */
  answered(): void;
  /** worthRepeating waits until the server may answer again; false: not before the deadline. */
  worthRepeating(error: SessionError, deadline: number, signal?: AbortSignal | null): Promise<boolean>;
}

/** runAuthorized is Session.authorized. */
export async function runAuthorized<Answer, Credential>(
  credentials: Credentials<Credential>,
  { run, hindrance, repeatable, signal }: Attempt<Answer>,
): Promise<Answer> {
  const deadline = Date.now() + credentials.patience;
  const first = credentials.held(); // of whoever saw the page that asks
  let refreshed = false;
  for (;;) {
    let credential: Credential;
    try {
      credential = await unlessAborted(credentials.current(), signal);
    } catch (error) {
      // Nothing has run yet, and others who waited for the same may have begun earlier.
      if (isTemporary(error) && (await credentials.worthRepeating(error, deadline, signal))) {
        continue;
      }
      throw error;
    }
    if (!credentials.ofOne(first, credential)) {
      throw new SessionError('SIGNED_IN_AS_ANOTHER', 'Somebody else is signed in by now.'); // and did not ask for it
    }
    const outcome = await run(credentials.authorizationOf(credential)).then(
      (answer) => ({ answer, hindered: hindrance(answer) }),
      (error: unknown) => {
        if (isTemporary(error)) {
          return { thrown: error, hindered: { trouble: error } };
        }
        throw error;
      },
    );
    const { hindered } = outcome;
    let again = false;
    if (!hindered) {
      credentials.answered();
    } else if ('trouble' in hindered) {
      again = (await credentials.worthRepeating(hindered.trouble, repeatable ? deadline : 0, signal)) && repeatable;
    } else if (!refreshed || hindered.unauthenticated === 'SESSION_ENDED') {
      // It has not run: the server looks at the token first. Once only: what it refuses after a refresh, it refuses. Where
      // the session is over, a refresh finds out why.
      again = (await unlessAborted(credentials.refused(credential, hindered.unauthenticated), signal)) && !refreshed;
      refreshed = true;
    }
    if (!again) {
      if ('thrown' in outcome) {
        throw outcome.thrown;
      }
      return outcome.answer;
    }
  }
}

/** fetchAuthorized is Session.fetch. */
export async function fetchAuthorized(
  fetchOnce: (request: Request) => Promise<Response>,
  authorized: <Answer>(attempt: Attempt<Answer>) => Promise<Answer>,
  request: Request,
): Promise<Response> {
  const repeatable = request.method === 'GET' || isQuery(await request.clone().text());
  const { response } = await authorized<{ response: Response; hindered: Hindrance | null }>({
    repeatable,
    signal: request.signal,
    run: async ({ headers, credentials }) => {
      const attempt = new Request(request.clone(), { redirect: 'manual', ...(credentials && { credentials }) });
      for (const [name, value] of Object.entries(headers)) {
        attempt.headers.set(name, value);
      }
      const response = await fetchOnce(attempt);
      return { response, hindered: await hindranceOf(response) };
    },
    hindrance: ({ hindered }) => hindered,
  });
  return response;
}

// A string that says "mutation" makes a query look like one, and what has no text might be anything: then it is not
// repeated, which is safe.
function isQuery(body: string): boolean {
  try {
    const { query } = JSON.parse(body) as { query?: unknown };
    return typeof query === 'string' && !/\b(mutation|subscription)\b/.test(query);
  } catch {
    return false;
  }
}

async function hindranceOf(response: Response): Promise<Hindrance | null> {
  if (/\bjson\b/i.test(response.headers.get('Content-Type') ?? '')) {
    let text: string;
    try {
      text = await response.clone().text();
    } catch (error) {
      throw cutOff(error);
    }
    try {
      const hindered = hindranceIn((JSON.parse(text) as { errors?: [] } | null)?.errors);
      if (hindered) {
        return hindered;
      }
    } catch {
      // Whoever asked will see that it is not JSON.
    }
  }
  const trouble = errorOfStatus(response);
  return trouble && { trouble };
}
