// Drives the stand on which a test runs: a server, its database and a proxy in front of both (internal/stand). The Go test
// that starts it names it in LATCHKEY_CONTROL. What these functions return is a promise that is kept once the thing is done.

const control = process.env.LATCHKEY_CONTROL;
if (!control) {
  throw new Error('LATCHKEY_CONTROL is not set: `go test ./examples` starts a stand, and sets it');
}

/**
 * @param {'GET' | 'POST'} method
 * @param {string} path
 * @param {Record<string, string | number | undefined>} [parameters]
 */
async function call(method, path, parameters = {}) {
  const url = new URL(path, control);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) {
      url.searchParams.set(name, String(value));
    }
  }
  const response = await fetch(url, { method });
  if (!response.ok) {
    throw new Error(`${method} ${url.pathname}${url.search}: ${await response.text()}`);
  }
  return method === 'GET' ? response.json() : undefined;
}

const { url, origins } = await call('GET', '/');

/**
 * An operation that came to the proxy.
 *
 * @typedef {object} Seen
 * @property {string} operation its name, or '' where it has none
 * @property {string} method
 * @property {number} status 0: nothing was answered, or not yet
 * @property {number} at when it came, as Date.now() has it
 * @property {boolean} authorized whether it had an Authorization header
 * @property {{ code: string, reason: string } | null} error the first top-level error of the answer
 * @property {'' | 'cut' | 'delay' | 'refuse'} fault what was done to its answer
 */

export const stand = {
  /** The server's URL, through the proxy. It stays the same when the server is started again. @type {string} */
  url,

  /** The origins of the pages, as the Go test has them. @type {string[]} */
  origins,

  /** Ends the server as an operator does, so that it finishes first. */
  stopServer: () => call('POST', '/server/stop'),

  /** Ends the server as a failure does: it can do nothing any more. */
  killServer: () => call('POST', '/server/kill'),

  /** Starts the server, and waits until it is ready. */
  startServer: () => call('POST', '/server/start'),

  /** Stops the server where it runs, starts it, and waits until it is ready. */
  restartServer: () => call('POST', '/server/restart'),

  /** Ends PostgreSQL. @param {'fast' | 'immediate'} [mode] as pg_ctl has them */
  stopDatabase: (mode = 'fast') => call('POST', '/database/stop', { mode }),

  /** Starts PostgreSQL, and waits until it answers. */
  startDatabase: () => call('POST', '/database/start'),

  /**
   * Loses the next answers to an operation: the server has done what was asked and says so, and nobody hears it.
   *
   * @param {string} [operation] its name; without one, any
   * @param {number} [times]
   */
  cutAnswer: (operation, times) => call('POST', '/answers/cut', { operation, times }),

  /**
   * Holds the next answers to an operation back.
   *
   * @param {number} milliseconds
   * @param {string} [operation] its name; without one, any
   * @param {number} [times]
   */
  delayAnswer: (milliseconds, operation, times) => call('POST', '/answers/delay', { for: `${milliseconds}ms`, operation, times }),

  /**
   * Answers the next requests as a gateway in trouble does, with a page for people, and does not ask the server.
   *
   * @param {object} [options]
   * @param {number} [options.status]
   * @param {number} [options.times]
   * @param {number} [options.retryAfter] seconds
   * @param {string} [options.operation] its name; without one, any
   * @param {boolean} [options.readable] whether pages of other origins may read it, which gateways seldom allow
   */
  refuse: ({ status = 503, times, retryAfter, operation, readable } = {}) =>
    call('POST', '/answers/refuse', { status, times, retryAfter, operation, readable: readable ? 'yes' : undefined }),

  /** Forgets what is still to be done to answers. */
  clearAnswers: () => call('POST', '/answers/clear'),

  /**
   * Returns what the proxy saw since the start or clearRequests, oldest first.
   *
   * @param {string} [operation] only those of this name
   * @returns {Promise<Seen[]>}
   */
  async requests(operation) {
    const seen = await call('GET', '/requests');
    return operation === undefined ? seen : seen.filter((one) => one.operation === operation);
  },

  /** Forgets what the proxy saw. */
  clearRequests: () => call('POST', '/requests/clear'),
};
