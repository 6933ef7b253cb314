import { fetchAuthorized, runAuthorized, type Credentials } from './authorized.js';
import type { Ahead } from './clock.js';
import { documents } from './documents.js';
import { SessionError } from './errors.js';
import type {
  LogInMutation,
  RefreshMutation,
  SessionEndReason,
  SignedInFragment,
  SignOutMutation,
  SignUpMutation,
  TokenDelivery,
  WhoAmIQuery,
} from './generated/documents.js';
import { keepCookie, keepToken, type Keep } from './keep.js';
import { followPage, isVisible } from './page.js';
import { Server } from './server.js';
import type { Attempt, Authorization, LogIn, Session, SessionOptions, SessionState, SignInResult, SignUp } from './session.js';
import { tabsOf, type Tabs } from './tabs.js';
import { isNewer, tokensOf, type Tokens } from './tokens.js';
import { Trouble } from './trouble.js';

// What tabs tell each other.
type Message =
  | { readonly kind: 'signedIn'; readonly tokens: Tokens; readonly clock: Ahead | null }
  | { readonly kind: 'signedOut'; readonly sessionId: string; readonly endReason: SessionEndReason | null }
  | { readonly kind: 'whoIsSignedIn' };

// For how long a new tab waits for another one to tell it who is signed in, before it asks the server.
const tabsAnswerWithin = 50;
// How many times in a row the server may refuse a token that is good by its own clock, before that is believed.
const refusalsInARow = 3;
// However slow a line is, and however short the life of a token, nobody refreshes all the time.
const shortestTimer = 500;
// The longest time that timers know.
const longestTimer = 2 ** 31 - 1;

type SignInOutcome = SignUpMutation['signUp'] | LogInMutation['login'];

/** A session as one tab has it. */
export class TabSession implements Session, Credentials<Tokens | null> {
  readonly url: string;
  readonly patience: number;
  readonly #delivery: TokenDelivery;
  readonly #deviceName: string | null;
  readonly #server: Server;
  readonly #keep: Keep;
  readonly #tabs: Tabs<Message>;
  readonly #trouble = new Trouble();
  readonly #listeners = new Set<() => void>();
  readonly #closed = new AbortController();

  #state: SessionState = { status: 'resuming', trouble: null };
  #known = false; // whether #tokens tells who is signed in
  #tokens: Tokens | null = null;
  #endReason: SessionEndReason | null = null;
  #changed = new AbortController(); // aborted when #tokens change: what was to change them is moot
  readonly #ended = new Set<string>(); // sessions that are over, whatever a slow tab says of them later
  #resuming: Promise<void> | null = null;
  #refreshing: Promise<boolean> | null = null;
  #watching = false;
  #refusals = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ url, delivery = 'REFRESH_COOKIE', storage, deviceName, patience = 30_000, fetch }: SessionOptions) {
    if (!(patience >= 0)) {
      throw new TypeError('patience is not a number of milliseconds');
    }
    if (!['BODY', 'REFRESH_COOKIE', 'COOKIES'].includes(delivery)) {
      throw new TypeError('delivery is none of BODY, REFRESH_COOKIE and COOKIES');
    }
    if (storage && delivery !== 'BODY') {
      throw new TypeError(`storage is for the delivery BODY: with ${delivery} the refresh token is in a cookie`);
    }
    if (storage && storage === sessionStorageOfPage()) {
      throw new TypeError('storage is sessionStorage, which a duplicated tab copies: that would look like a stolen token');
    }
    this.url = absolute(url);
    this.patience = patience;
    this.#delivery = delivery;
    this.#deviceName = deviceName ?? null;
    this.#server = new Server(this.url, fetch);
    const name = `latchkey:${this.url}`;
    this.#keep = delivery === 'BODY' ? keepToken(storage ?? null, name) : keepCookie(name);
    const shared = delivery !== 'BODY' || Boolean(storage);
    this.#tabs = tabsOf<Message>(shared ? `${name}:${delivery}:1` : null, (message) => this.#hear(message));
    if (typeof document === 'object') {
      followPage(this.#closed.signal, {
        shown: () => {
          this.#trouble.wake();
          this.#begin();
          this.#schedule();
        },
        hidden: () => clearTimeout(this.#timer),
        online: () => this.#trouble.wake(),
        left: () => this.#tabs.pause(),
        back: () => {
          this.#tabs.resume();
          if (this.#tokens) {
            this.#ask().catch(() => {}); // what the others said meanwhile was not heard
          }
        },
      });
      this.#begin();
    }
  }

  get state(): SessionState {
    return this.#state;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    this.#begin();
    return () => {
      this.#listeners.delete(listener);
    };
  };

  readonly signUp = async (input: SignUp): Promise<SignInResult> => {
    let unknown = false; // whether an earlier try may have opened the account
    const result = await this.#patiently(() =>
      this.#signIn(async () => {
        try {
          return (await this.#server.run<SignUpMutation>(documents.signUp, { input: this.#asked(input) })).signUp;
        } catch (error) {
          unknown = true;
          throw error;
        }
      }),
    );
    if (unknown && result.__typename === 'AuthFailure' && result.code === 'EMAIL_TAKEN') {
      const mine = await this.logIn({ email: input.email, password: input.password });
      return mine.__typename === 'AuthSuccess' ? mine : result;
    }
    return result;
  };

  readonly logIn = (input: LogIn): Promise<SignInResult> =>
    this.#patiently(() =>
      this.#signIn(async () => (await this.#server.run<LogInMutation>(documents.logIn, { input: this.#asked(input) })).login),
    );

  readonly signOut = (): Promise<void> =>
    this.#patiently(async () => {
      await this.#tabs.alone(async () => {
        const sessionId = await this.#revoke(await this.#keep.refreshToken());
        await this.#end('SIGNED_OUT', sessionId ?? undefined); // null: it was over
      });
    });

  readonly refresh = (): Promise<boolean> => {
    this.#refreshing ??= this.#refreshPatiently().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  };

  readonly accessToken = async (): Promise<string | null> => (await this.current())?.accessToken ?? null;

  readonly authorized = <Answer>(attempt: Attempt<Answer>): Promise<Answer> => runAuthorized(this, attempt);

  readonly fetch: typeof fetch = (input, init) => {
    const request = new Request(input instanceof Request ? input : absolute(input), init);
    const fetchOnce = (attempt: Request) => this.#server.fetch(attempt);
    return new URL(request.url).origin === new URL(this.url).origin
      ? fetchAuthorized(fetchOnce, this.authorized, request)
      : this.#server.fetchElsewhere(request);
  };

  readonly close = (): void => {
    this.#closed.abort();
    clearTimeout(this.#timer);
    this.#tabs.pause();
    this.#trouble.wake();
  };

  // What operations need: Credentials.

  async current(): Promise<Tokens | null> {
    if (!this.#known) {
      await this.#resume();
    }
    const tokens = this.#tokens;
    if (tokens) {
      if (this.#server.clock.latest() >= tokens.staleAt) {
        await this.refresh();
      } else if (this.#server.clock.now() >= tokens.refreshAt) {
        this.#begin(); // nobody need wait for it
      }
    }
    return this.#tokens;
  }

  authorizationOf(tokens: Tokens | null): Authorization {
    if (this.#delivery === 'COOKIES') {
      return { headers: {}, credentials: 'include' };
    }
    return { headers: tokens ? { Authorization: `Bearer ${tokens.accessToken}` } : {} };
  }

  async refused(tokens: Tokens | null, reason: string): Promise<boolean> {
    if (this.#tokens === tokens && tokens) {
      // Loop guard: a server that refuses what it has just issued, as one with another audience does, is not asked for ever.
      // Those that were refused together count once.
      const looksGood = reason !== 'SESSION_ENDED' && this.#server.clock.now() < tokens.expiresAt;
      if (looksGood && !this.#refreshing && ++this.#refusals > refusalsInARow) {
        return false;
      }
      await this.refresh(); // which says why, if the session is over
    }
    return this.#tokens !== tokens && this.#tokens !== null;
  }

  answered(): void {
    this.#refusals = 0;
    this.#reached();
  }

  async worthRepeating(error: SessionError, deadline: number, signal?: AbortSignal | null): Promise<boolean> {
    const again = this.#trouble.wait(error);
    this.#show();
    void this.#watch();
    const left = deadline - Date.now();
    if (left <= 0 || signal?.aborted) {
      return false;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    let abort = () => {};
    await Promise.race([
      again,
      new Promise<void>((resolve, reject) => {
        timer = setTimeout(resolve, left);
        abort = () => reject(signal?.reason);
        signal?.addEventListener('abort', abort);
      }),
    ]).finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    });
    return Date.now() < deadline && !this.#closed.signal.aborted;
  }

  // reached notes that the server answered, whatever it said.
  #reached(): void {
    if (this.#trouble.over()) {
      this.#show();
    }
  }

  // While there is trouble one asks whether it is over, also when nobody waits for an answer.
  async #watch(): Promise<void> {
    if (this.#watching) {
      return;
    }
    this.#watching = true;
    try {
      while (this.#trouble.error && !this.#closed.signal.aborted) {
        const again = this.#trouble.wait(this.#trouble.error);
        this.#show();
        await again;
        if (!this.#trouble.error || this.#closed.signal.aborted) {
          return;
        }
        try {
          await this.#ask();
          this.#reached();
        } catch (error) {
          if (!(error instanceof SessionError && error.temporary)) {
            this.#reached();
          }
        }
      }
    } finally {
      this.#watching = false;
    }
  }

  // ask asks the server who is signed in: an answer shows that it and its database are well.
  async #ask(): Promise<void> {
    const tokens = this.#tokens;
    if (!this.#known || (tokens && this.#server.clock.now() >= tokens.staleAt)) {
      await this.#exchangeAlone();
      return;
    }
    try {
      await this.#server.run<WhoAmIQuery>(documents.whoAmI, {}, { ...this.authorizationOf(tokens).headers });
    } catch (error) {
      if (tokens && error instanceof SessionError && error.code === 'UNAUTHENTICATED') {
        await this.#exchangeAlone();
        return;
      }
      throw error;
    }
  }

  // patiently repeats what a server in trouble did not answer.
  async #patiently<Result>(action: () => Promise<Result>): Promise<Result> {
    const deadline = Date.now() + this.patience;
    for (;;) {
      try {
        const result = await action();
        this.#reached();
        return result;
      } catch (error) {
        if (!(error instanceof SessionError && error.temporary && (await this.worthRepeating(error, deadline)))) {
          throw error;
        }
      }
    }
  }

  // begin does what is due without being waited for. What it meets is in the state.
  #begin(): void {
    const due = this.#tokens ? this.#server.clock.now() >= this.#tokens.refreshAt : !this.#known;
    if (due && !this.#closed.signal.aborted) {
      (this.#known ? this.refresh() : this.#resume()).catch((error: unknown) => {
        if (error instanceof SessionError) {
          this.#trouble.lasts(error); // shown until the next answer, also where waiting would not help
          this.#show();
        }
      });
    }
  }

  #resume(): Promise<void> {
    this.#resuming ??= this.#findOut().finally(() => {
      this.#resuming = null;
    });
    return this.#resuming;
  }

  async #findOut(): Promise<void> {
    const { signal } = this.#changed;
    const maybe = await this.#keep.maySignIn();
    if (maybe && !signal.aborted) {
      this.#tabs.say({ kind: 'whoIsSignedIn' });
      if (this.#tabs.shared) {
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve());
          setTimeout(resolve, tabsAnswerWithin);
        });
      }
    }
    if (signal.aborted) {
      return;
    }
    if (maybe) {
      await this.refresh();
    } else {
      this.#become(null, null);
    }
  }

  async #refreshPatiently(): Promise<boolean> {
    const { signal } = this.#changed;
    await this.#patiently(() => this.#exchangeAlone(signal));
    return this.#tokens !== null;
  }

  async #exchangeAlone(moot = this.#changed.signal): Promise<void> {
    await this.#tabs.alone(() => this.#exchange(), moot);
  }

  async #exchange(repeated = false): Promise<void> {
    const refreshToken = await this.#keep.refreshToken();
    if (this.#delivery === 'BODY' && !refreshToken) {
      return this.#end(null);
    }
    const { refreshToken: outcome } = await this.#server.run<RefreshMutation>(documents.refresh, { refreshToken });
    if (outcome.__typename === 'AuthSuccess') {
      return this.#accept(outcome);
    }
    // A tab that did not wait for the lock may have been faster, and that token is another session's by now.
    if (!repeated && (await this.#keep.refreshToken()) !== refreshToken) {
      return this.#exchange(true);
    }
    return this.#end(outcome.endReason);
  }

  async #signIn(send: () => Promise<SignInOutcome>): Promise<SignInResult> {
    let result: SignInResult | undefined;
    await this.#tabs.alone(async () => {
      const replaced = await this.#keep.refreshToken();
      const outcome = await send();
      if (outcome.__typename === 'AuthSuccess') {
        await this.#accept(outcome);
        result = { __typename: 'AuthSuccess', user: outcome.user, sessionId: outcome.session.id };
        if (replaced) {
          this.#revoke(replaced).catch(() => {}); // it ends by itself; a cookie's session is ended by the server
        }
      } else {
        const { code, message, retryAt } = outcome;
        result = { __typename: 'AuthFailure', code, message, retryAt: retryAt === null ? null : this.#server.clock.onDevice(retryAt) };
      }
    });
    return result!;
  }

  #asked<Input>(input: Input): Input & { delivery: TokenDelivery; deviceName: string | null } {
    return { ...input, delivery: this.#delivery, deviceName: this.#deviceName };
  }

  // revoke ends a session, and returns its id where the server knows it.
  async #revoke(refreshToken: string | null): Promise<string | null> {
    if (this.#delivery === 'BODY' && !refreshToken) {
      return null;
    }
    try {
      const { revokeSession } = await this.#server.run<SignOutMutation>(documents.signOut, { refreshToken });
      return revokeSession.sessionId;
    } catch (error) {
      if (error instanceof SessionError && error.code === 'UNAUTHENTICATED') {
        return null; // there is no cookie, or none that is good
      }
      throw error;
    }
  }

  async #accept(granted: SignedInFragment): Promise<void> {
    const tokens = tokensOf(granted, this.#server.clock);
    await this.#keep.signedIn(tokens.sessionId, granted.refreshToken);
    this.#become(tokens, null);
    this.#tabs.say({ kind: 'signedIn', tokens, clock: this.#server.clock.ahead });
  }

  async #end(endReason: SessionEndReason | null, sessionId = this.#tokens?.sessionId ?? null): Promise<void> {
    await this.#keep.signedOut(sessionId);
    this.#become(null, endReason);
    if (sessionId !== null) {
      this.#ended.add(sessionId);
      this.#tabs.say({ kind: 'signedOut', sessionId, endReason });
    }
  }

  #hear(message: Message): void {
    switch (message.kind) {
      case 'whoIsSignedIn':
        if (this.#tokens) {
          this.#tabs.say({ kind: 'signedIn', tokens: this.#tokens, clock: this.#server.clock.ahead });
        }
        break;
      case 'signedIn':
        if (!this.#ended.has(message.tokens.sessionId) && isNewer(message.tokens, this.#tokens)) {
          if (message.clock) {
            this.#server.clock.learn(message.clock);
          }
          this.#become(message.tokens, null);
        }
        break;
      case 'signedOut':
        this.#ended.add(message.sessionId);
        if (this.#tokens?.sessionId === message.sessionId) {
          this.#become(null, message.endReason);
        }
        break;
    }
  }

  #become(tokens: Tokens | null, endReason: SessionEndReason | null): void {
    this.#known = true;
    this.#tokens = tokens;
    this.#endReason = endReason;
    this.#changed.abort();
    this.#changed = new AbortController();
    this.#trouble.over();
    this.#show();
    this.#schedule();
  }

  #show(): void {
    const trouble = this.#trouble.lasting;
    let state: SessionState;
    if (!this.#known) {
      state = { status: 'resuming', trouble };
    } else if (this.#tokens) {
      state = { status: 'signedIn', user: this.#tokens.user, sessionId: this.#tokens.sessionId, trouble };
    } else {
      state = { status: 'signedOut', endReason: this.#endReason, trouble };
    }
    if (describe(state) !== describe(this.#state)) {
      this.#state = state;
      this.#listeners.forEach((listener) => listener());
    }
  }

  // A page that is looked at refreshes ahead by itself; others when they are used, or looked at again.
  #schedule(): void {
    clearTimeout(this.#timer);
    if (!this.#tokens || this.#closed.signal.aborted || !isVisible()) {
      return;
    }
    const wait = Math.min(Math.max(shortestTimer, this.#tokens.refreshAt - this.#server.clock.now()), longestTimer);
    this.#timer = setTimeout(() => {
      this.#begin();
      if (!this.#refreshing) {
        this.#schedule(); // it was too far off for one timer
      }
    }, wait);
  }
}

// Where a server renders a page, nothing tells what a path is to be added to, and nothing is asked.
function absolute(url: string | URL): string {
  const page = globalThis.location?.href;
  return page === undefined && String(url).startsWith('/') ? String(url) : new URL(url, page).href;
}

function sessionStorageOfPage(): unknown {
  try {
    return globalThis.sessionStorage;
  } catch {
    return undefined; // blocked
  }
}

// An error is another object each time, and says the same.
function describe(state: SessionState): string {
  return JSON.stringify({ ...state, trouble: state.trouble?.code });
}
