import { SessionError } from './errors.js';

/** The longest time that timers know, in milliseconds. */
export const longestTimer = 2 ** 31 - 1;

const shortest = 250;
const longest = 8_000;
// A server may ask for more, but not for a clock that is wrong.
const longestAsked = 120_000;

/** What trouble is for. */
export interface InTrouble {
  /** ask asks the server something that shows, by an answer, that it and its database are well. */
  ask(): Promise<void>;
  /** changed hears that `lasting` may say something else. */
  changed(): void;
  /** over hears that the server answers again. */
  over(): void;
  readonly closed: AbortSignal;
}

/**
 * While a server cannot be asked everybody waits for the same moment to ask it again: later each time, and at random,
 * so that the clients of a server that comes back do not come all at once.
 */
export class Trouble {
  readonly #whose: InTrouble;
  #error: SessionError | null = null;
  #failures = 0;
  #waiting: Promise<void> | null = null;
  #wake: () => void = () => {};
  #watching = false;

  constructor(whose: InTrouble) {
    this.#whose = whose;
  }

  /** Why the server could not be asked, where it is worth showing: one lost answer is repeated before anybody notices. */
  get lasting(): SessionError | null {
    return this.#failures > 1 ? this.#error : null;
  }

  /** lasts says that it will not pass by itself. */
  lasts(error: SessionError): void {
    this.#error = error;
    this.#failures = Math.max(this.#failures, 2);
    this.#whose.changed();
  }

  /** reached says that the server answered, whatever it said. */
  reached(): void {
    if (this.#error) {
      this.#error = null;
      this.#failures = 0;
      this.#wake();
      this.#whose.changed();
      this.#whose.over();
    }
  }

  /** wake lets everybody ask at once: the device is online again, or somebody looks at the page. */
  wake(): void {
    this.#wake();
  }

  /** patiently repeats what a server in trouble did not answer, for so many milliseconds, and throws what it threw last. */
  async patiently<Result>(patience: number, action: () => Promise<Result>): Promise<Result> {
    const deadline = Date.now() + patience;
    for (;;) {
      try {
        const result = await action();
        this.reached();
        return result;
      } catch (error) {
        if (!(isTemporary(error) && (await this.worthRepeating(error, deadline)))) {
          throw error;
        }
      }
    }
  }

  /** worthRepeating waits until the server may answer again. False: not before the deadline, a time as Date.now() has it. */
  async worthRepeating(error: SessionError, deadline: number, signal?: AbortSignal | null): Promise<boolean> {
    const again = this.#wait(error);
    void this.#watch(error);
    const left = deadline - Date.now();
    if (left <= 0 || signal?.aborted) {
      return false;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.min(left, longestTimer));
    });
    await unlessAborted(Promise.race([again, late]), signal).finally(() => clearTimeout(timer));
    return Date.now() < deadline && !this.#whose.closed.aborted;
  }

  #wait(error: SessionError): Promise<void> {
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
    this.#whose.changed();
    return this.#waiting;
  }

  // One asks whether it is over, also when nobody waits for an answer.
  async #watch(met: SessionError): Promise<void> {
    if (this.#watching) {
      return;
    }
    this.#watching = true;
    let error: SessionError | null = met;
    while (error && !this.#whose.closed.aborted) {
      await this.#wait(error);
      error = this.#error;
      if (error && !this.#whose.closed.aborted) {
        error = await this.#whose.ask().then(
          () => null,
          (now: unknown) => (isTemporary(now) ? now : null),
        );
        if (!error) {
          this.reached();
        }
      }
    }
    this.#watching = false;
  }
}

export function isTemporary(error: unknown): error is SessionError {
  return error instanceof SessionError && error.temporary;
}

/**
 * unlessAborted waits for a result, and no longer than a signal lets it: then it throws the signal's reason. What is
 * waited for goes on, since others may wait for it too.
 */
export async function unlessAborted<Result>(result: Promise<Result>, signal: AbortSignal | null | undefined): Promise<Result> {
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) {
      abort();
    }
  });
  return Promise.race([result, aborted]).finally(() => signal?.removeEventListener('abort', abort));
}
