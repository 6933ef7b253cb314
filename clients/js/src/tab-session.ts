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
import { isNewer, isTokens, tokensOf, type Tokens } from './tokens.js';
import { longestTimer, Trouble } from './trouble.js';

// What tabs tell each other.
type Message =
  | { readonly kind: 'signedIn'; readonly tokens: Tokens; readonly clock: Ahead | null }
  | { readonly kind: 'signedOut'; readonly sessionId: string; readonly endReason: SessionEndReason | null }
  | { readonly kind: 'whoIsSignedIn' };

// For how long a new tab waits for another one to tell it who is signed in, before it asks the server.
const tabsAnswerWithin = 50;
// After how many milliseconds a page that does not know who is signed in asks again what was answered with nonsense.
const askAgainAfter = 15_000;
// How many times in a row the server may refuse a token that is good by its own clock, before that is believed.
const refusalsInARow = 3;
// However slow a line is, and however short the life of a token, nobody refreshes all the time.
const shortestTimer = 500;

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
  readonly #listeners = new Set<{ readonly listener: () => void }>();
  readonly #closed = new AbortController();
  readonly #trouble = new Trouble({
    ask: () => this.#ask(),
    changed: () => this.#show(),
    over: () => this.#schedule(), // what failed meanwhile is due yet
    closed: this.#closed.signal,
  });

  #state: SessionState = { status: 'resuming', trouble: null };
  #known = false; // whether #tokens tells who is signed in
  #tokens: Tokens | null = null;
  #endReason: SessionEndReason | null = null;
  #changed = new AbortController(); // aborted when #tokens change: what was to change them is moot
  readonly #ended = new Set<string>(); // sessions that are over, whatever a slow tab says of them later
  #resuming: Promise<void> | null = null;
  #refreshing: Promise<boolean> | null = null;
  #refusals = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ url, delivery = 'REFRESH_COOKIE', storage, deviceName, patience = 30_000, fetch }: SessionOptions) {
    if (typeof patience !== 'number' || !(patience >= 0)) {
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
        online: () => {
          this.#trouble.wake();
          this.#begin();
        },
        left: () => this.#tabs.pause(),
        back: () => {
          this.#tabs.resume();
          this.#catchUp().catch(() => {});
        },
      });
      this.#begin();
    }
  }

  get state(): SessionState {
    return this.#state;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    const subscription = { listener };
    this.#listeners.add(subscription);
    this.#begin();
    return () => {
      this.#listeners.delete(subscription);
    };
  };

  readonly signUp = async (input: SignUp): Promise<SignInResult> => {
    let unknown = false; // whether an earlier try may have opened the account
    const result = await this.#trouble.patiently(this.patience, () =>
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
    this.#trouble.patiently(this.patience, () =>
      this.#signIn(async () => (await this.#server.run<LogInMutation>(documents.logIn, { input: this.#asked(input) })).login),
    );

  readonly signOut = (): Promise<void> => {
    const whose = this.#tokens?.sessionId;
    return this.#trouble.patiently(this.patience, async () => {
      await this.#tabs.alone(async () => {
        const tokens = this.#tokens;
        if (whose !== undefined && tokens?.sessionId !== whose) {
          return; // over already, or somebody else's by now
        }
        const sessionId = await this.#revoke(await this.#keep.refreshToken(), tokens?.accessToken);
        if (whose !== undefined && sessionId !== whose) {
          await this.#end(whose, 'SIGNED_OUT'); // it was over, or the cookies were those of another one
        }
        await this.#end(sessionId ?? whose ?? null, 'SIGNED_OUT');
      });
    });
  };

  readonly refresh = (): Promise<boolean> => {
    this.#refreshing ??= this.#refreshPatiently().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  };

  readonly accessToken = async (): Promise<string | null> => (await this.current())?.accessToken ?? null;

  readonly authorized = <Answer>(attempt: Attempt<Answer>): Promise<Answer> => runAuthorized(this, attempt);

  readonly fetch: typeof fetch = async (input, init) => {
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

  held(): Tokens | null {
    return this.#tokens;
  }

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
      // Another tab may have signed somebody else in: then the cookies are theirs, and the server refuses the request.
      return { headers: tokens ? { 'Latchkey-Session': tokens.sessionId } : {}, credentials: 'include' };
    }
    return { headers: tokens ? { Authorization: `Bearer ${tokens.accessToken}` } : {} };
  }

  ofOne(first: Tokens | null, second: Tokens | null): boolean {
    return !first || !second || first.user.id === second.user.id;
  }

  async refused(tokens: Tokens | null, reason: string): Promise<boolean> {
    if (this.#tokens === tokens && tokens) {
      // Loop guard: a server that refuses what it has just issued, as one with another audience does, is not asked for ever.
      // Those that were refused together count once.
      const looksGood = reason !== 'SESSION_ENDED' && this.#server.clock.now() < tokens.expiresAt;
      if (looksGood && !this.#refreshing && ++this.#refusals > refusalsInARow) {
        return false;
      }
      await this.refresh(); // which finds out why, if the session is over
    }
    return this.#tokens !== tokens && this.#tokens !== null && this.ofOne(tokens, this.#tokens);
  }

  answered(): void {
    this.#refusals = 0;
    this.#trouble.reached();
  }

  worthRepeating(error: SessionError, deadline: number, signal?: AbortSignal | null): Promise<boolean> {
    return this.#trouble.worthRepeating(error, deadline, signal);
  }

  // catchUp asks for what a page in the back/forward cache did not hear.
  async #catchUp(): Promise<void> {
    const maybe = await this.#keep.maySignIn();
    if (this.#tokens && !maybe) {
      this.#become(null, 'SIGNED_OUT'); // by another tab: nobody need be asked
    } else if (this.#tokens) {
      await this.#ask();
    } else if (maybe && !(await this.#heardOfOthers())) {
      await this.#exchangeAlone();
    }
  }

  // ask asks the server who is signed in: an answer shows that it and its database are well.
  async #ask(): Promise<void> {
    const tokens = this.#tokens;
    if (!this.#known || (tokens && this.#server.clock.now() >= tokens.staleAt)) {
      await this.#exchangeAlone();
      return;
    }
    let id: string | undefined;
    try {
      const { me } = await this.#server.run<WhoAmIQuery>(documents.whoAmI, {}, { ...this.authorizationOf(tokens).headers });
      id = me?.id;
    } catch (error) {
      if (!(error instanceof SessionError && error.code === 'UNAUTHENTICATED')) {
        throw error;
      }
    }
    if (tokens && tokens.user.id !== id) {
      await this.#exchangeAlone(); // it is over, or the cookies are somebody else's by now
    }
  }

  // begin does what is due without being waited for. What it meets is in the state.
  #begin(): void {
    const due = this.#tokens ? this.#server.clock.now() >= this.#tokens.refreshAt : !this.#known;
    if (due && !this.#closed.signal.aborted) {
      (this.#known ? this.refresh() : this.#resume()).catch((error: unknown) => {
        if (error instanceof SessionError) {
          this.#trouble.lasts(error); // shown until the next answer, also where waiting does not promise help
          if (!this.#known) {
            clearTimeout(this.#timer);
            this.#timer = setTimeout(() => this.#begin(), askAgainAfter); // or the page would never know
          }
        } else {
          reportError(error);
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
    if (this.url.startsWith('/')) {
      throw new SessionError('NO_PAGE', 'Nobody can be signed in where there is no page: a path alone is no address.');
    }
    const { signal } = this.#changed;
    const maybe = await this.#keep.maySignIn();
    if (signal.aborted || (maybe && (await this.#heardOfOthers()))) {
      return;
    }
    if (maybe) {
      await this.refresh();
    } else {
      this.#become(null, null);
    }
  }

  // heardOfOthers asks the other tabs who is signed in, and tells whether one answered with news.
  async #heardOfOthers(): Promise<boolean> {
    const { signal } = this.#changed;
    if (this.#tabs.shared) {
      this.#tabs.say({ kind: 'whoIsSignedIn' });
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve());
        setTimeout(resolve, tabsAnswerWithin);
      });
    }
    return signal.aborted;
  }

  async #refreshPatiently(): Promise<boolean> {
    const { signal } = this.#changed;
    await this.#trouble.patiently(this.patience, () => this.#exchangeAlone(signal));
    return this.#tokens !== null;
  }

  async #exchangeAlone(moot = this.#changed.signal): Promise<void> {
    await this.#tabs.alone(() => this.#exchange(), moot);
  }

  async #exchange(repeated = false): Promise<void> {
    const { signal } = this.#changed; // an answer is for who is signed in now, not for who is when it comes
    const sessionId = this.#tokens?.sessionId ?? null;
    const refreshToken = await this.#keep.refreshToken();
    if (this.#delivery === 'BODY' && !refreshToken) {
      if (!(await this.#heardOfOthers())) {
        this.#become(null, null); // in this tab: others may have what this one cannot read
      }
      return;
    }
    const { refreshToken: outcome } = await this.#server.run<RefreshMutation>(documents.refresh, { refreshToken });
    const isReplaced = (await this.#keep.refreshToken()) !== refreshToken;
    if (outcome.__typename === 'AuthSuccess') {
      const isOld = signal.aborted && !isNewer(tokensOf(outcome, this.#server.clock), this.#tokens);
      if (!isReplaced && !isOld && !this.#ended.has(outcome.session.id)) {
        return this.#accept(outcome);
      }
    } else if (outcome.code !== 'SESSION_ENDED' && outcome.code !== 'INVALID_REFRESH_TOKEN') {
      throw new SessionError(outcome.code, outcome.message); // of a newer server
    } else if (!isReplaced && !signal.aborted) {
      return this.#end(sessionId, outcome.endReason);
    }
    // It came late: a tab that did not wait for the lock has signed somebody in or out.
    if (!repeated && !signal.aborted) {
      return this.#exchange(true);
    }
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

  // revoke ends the session of a refresh token, or of the cookie, or else that of an access token. It returns its id, or
  // null where neither is good: then it was over.
  async #revoke(refreshToken: string | null, accessToken: string | null = null): Promise<string | null> {
    for (const headers of [{}, accessToken && { Authorization: `Bearer ${accessToken}` }]) {
      if (!headers || (this.#delivery === 'BODY' && !refreshToken && !('Authorization' in headers))) {
        continue;
      }
      try {
        const { revokeSession } = await this.#server.run<SignOutMutation>(documents.signOut, { refreshToken }, headers);
        return revokeSession.sessionId;
      } catch (error) {
        if (!(error instanceof SessionError && error.code === 'UNAUTHENTICATED')) {
          throw error;
        }
      }
    }
    return null;
  }

  async #accept(granted: SignedInFragment): Promise<void> {
    const tokens = tokensOf(granted, this.#server.clock);
    await this.#keep.signedIn(tokens.sessionId, granted.refreshToken);
    this.#become(tokens, null);
    this.#tabs.say({ kind: 'signedIn', tokens, clock: this.#server.clock.ahead });
  }

  async #end(sessionId: string | null, endReason: SessionEndReason | null): Promise<void> {
    await this.#keep.signedOut(sessionId);
    if (sessionId !== null) {
      this.#ended.add(sessionId);
      this.#tabs.say({ kind: 'signedOut', sessionId, endReason });
    }
    if (sessionId === null || !this.#tokens || this.#tokens.sessionId === sessionId) {
      this.#become(null, endReason);
    }
  }

  #hear(message: Message): void {
    if (!isMessage(message)) {
      return; // of another script, or another version
    }
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
    this.#trouble.reached();
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
      this.#listeners.forEach(({ listener }) => {
        try {
          listener();
        } catch (error) {
          reportError(error); // it must not keep the others from hearing it
        }
      });
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

function isMessage(told: Partial<Message> | null | undefined): told is Message {
  switch (told?.kind) {
    case 'whoIsSignedIn':
      return true;
    case 'signedIn':
      return isTokens(told.tokens);
    case 'signedOut':
      return typeof told.sessionId === 'string';
    default:
      return false;
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

// Not everything that runs JavaScript has it.
function reportError(error: unknown): void {
  if (typeof globalThis.reportError === 'function') {
    globalThis.reportError(error);
  } else {
    console.error(error);
  }
}
