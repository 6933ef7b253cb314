/** How far a server's clock is ahead of this device's, in milliseconds: at least, and at most. */
export interface Ahead {
  readonly least: number;
  readonly most: number;
}

/**
 * A server's clock, as its answers tell it. The header Date has whole seconds, cut off, and was written at some
 * time between request and answer: each answer narrows down what the ones before left open.
 */
export class ServerClock {
  #ahead: Ahead | null = null;

  /** What is known, to tell other tabs. Null: nothing. */
  get ahead(): Ahead | null {
    return this.#ahead;
  }

  /** now returns the time by the server's clock, in milliseconds, and by the device's while nothing is known. */
  now(): number {
    return Date.now() + (this.#ahead ? (this.#ahead.least + this.#ahead.most) / 2 : 0);
  }

  /** latest returns the latest that it may be by the server's clock. */
  latest(): number {
    return Date.now() + (this.#ahead?.most ?? 0);
  }

  /** onDevice returns when it is a time of the server's, by the device's clock: what pages count down with. */
  onDevice(time: string): Date {
    return new Date(Date.parse(time) - (this.now() - Date.now()));
  }

  /** read reads the header Date of an answer to what was sent at a time by the device's clock. */
  read(header: string | null, sent: number): void {
    const date = Date.parse(header ?? '');
    if (!Number.isNaN(date)) {
      this.learn({ least: date - Date.now(), most: date + 1_000 - sent });
    }
  }

  /** learn adds to what is known. What contradicts it is right: one of the clocks was set. */
  learn(told: Ahead): void {
    const known = this.#ahead ?? told;
    const both = { least: Math.max(known.least, told.least), most: Math.min(known.most, told.most) };
    this.#ahead = both.least <= both.most ? both : told;
  }
}
