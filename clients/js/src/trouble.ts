import type { SessionError } from './errors.js';

const shortest = 250;
const longest = 8_000;
// A server may ask for more, but not for a clock that is wrong.
const longestAsked = 120_000;

/**
 * While a server cannot be asked everybody waits for the same moment to ask it again: later each time, and at random,
 * so that the clients of a server that comes back do not come all at once.
 */
export class Trouble {
  #error: SessionError | null = null;
  #failures = 0;
  #waiting: Promise<void> | null = null;
  #wake: () => void = () => {};

  /** Why the server could not be asked the last time, or null where it answered. */
  get error(): SessionError | null {
    return this.#error;
  }

  /** The same where it is worth showing: one lost answer is repeated before anybody notices. */
  get lasting(): SessionError | null {
    return this.#failures > 1 ? this.#error : null;
  }

  /** lasts says that it will not pass by itself. */
  lasts(error: SessionError): void {
    this.#error = error;
    this.#failures = Math.max(this.#failures, 2);
  }

  /** over says that the server answered. It returns whether it had not. */
  over(): boolean {
    const was = this.#error !== null;
    this.#error = null;
    this.#failures = 0;
    this.#wake();
    return was;
  }

  /** wait waits until it is worth asking again after an error, or until wake is called. */
  wait(error: SessionError): Promise<void> {
    this.#error = error;
    this.#waiting ??= new Promise<void>((resolve) => {
      const step = Math.min(longest, shortest * 2 ** this.#failures++);
      const asked = (error.retryAt?.getTime() ?? 0) - Date.now();
      const timer = setTimeout(() => this.#wake(), Math.max(step / 2, Math.min(asked, longestAsked)) + (Math.random() * step) / 2);
      this.#wake = () => {
        clearTimeout(timer);
        this.#waiting = null;
        this.#wake = () => {};
        resolve();
      };
    });
    return this.#waiting;
  }

  /** wake lets everybody ask at once: the device is online again, or somebody looks at the page. */
  wake(): void {
    this.#wake();
  }
}
