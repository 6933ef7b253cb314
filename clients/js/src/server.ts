import { ServerClock } from './clock.js';
import { cutOff, errorIn, errorOfStatus, SessionError, unreachable, type ErrorInAnswer } from './errors.js';

/** After how many milliseconds an answer is not waited for any more. What was asked is asked again, which is safe. */
export const answerWithin = 10_000;

/** A Latchkey server: operations go to it, and its clock is read from its answers. */
export class Server {
  readonly #fetch: typeof globalThis.fetch;
  readonly clock = new ServerClock();

  constructor(
    readonly url: string,
    fetch: typeof globalThis.fetch | undefined,
  ) {
    const fetchAny = fetch ?? globalThis.fetch;
    this.#fetch = (...args) => fetchAny(...args); // that of a browser wants no `this`
  }

  /** fetchElsewhere fetches from another server. */
  fetchElsewhere(request: Request): Promise<Response> {
    return this.#fetch(request);
  }

  /**
   * fetch fetches, and reads the server's clock from the answer.
   * It throws a SessionError where there is no answer, and the AbortError of the caller's own signal.
   */
  async fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const sent = Date.now();
    let response: Response;
    try {
      response = await this.#fetch(input, init);
    } catch (error) {
      if ((init?.signal ?? (input as Partial<Request>).signal)?.aborted) {
        throw error;
      }
      throw unreachable(error);
    }
    this.clock.read(response.headers.get('Date'), sent);
    return response;
  }

  /**
   * run runs an operation and returns its data. Cookies are sent and taken.
   * It throws a SessionError where the server gave none.
   */
  async run<Data>(query: string, variables: object, headers: Record<string, string> = {}): Promise<Data> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), answerWithin);
    try {
      const response = await this.fetch(this.url, {
        method: 'POST',
        credentials: 'include',
        cache: 'no-store',
        redirect: 'manual', // another server must not get what this one is sent
        headers: {
          Accept: 'application/graphql-response+json, application/json',
          'Content-Type': 'application/json',
          // No form of another site can send it: programs that keep cookies are let in by it, see docs/http.md.
          'GraphQL-Require-Preflight': '1',
          ...headers,
        },
        body: JSON.stringify({ query, variables }),
        signal: late.signal,
      });
      const answer = await answerIn(response);
      if (!answer.data || answer.errors?.length) {
        throw errorIn(answer.errors, (time) => this.clock.onDevice(time)) ?? unreadable(response);
      }
      return answer.data as Data;
    } catch (error) {
      if (error instanceof SessionError) {
        throw error;
      }
      throw late.signal.aborted ? unreachable(error) : cutOff(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

interface Answer {
  readonly data?: unknown;
  readonly errors?: readonly ErrorInAnswer[];
}

async function answerIn(response: Response): Promise<Answer> {
  if (!/\bjson\b/i.test(response.headers.get('Content-Type') ?? '')) {
    throw errorOfStatus(response) ?? unreadable(response);
  }
  const answer: unknown = await response.json();
  return answer && typeof answer === 'object' ? answer : {};
}

function unreadable(response: Response): SessionError {
  return new SessionError('BAD_ANSWER', `What answered at this address, with HTTP ${response.status}, is not a Latchkey server.`);
}
