import type { Hindrance, SessionError } from './errors.js';
import type { AuthFailureCode, Role, SessionEndReason, TokenDelivery } from './generated/documents.js';
import type { TokenStorage } from './keep.js';
import { TabSession } from './tab-session.js';

/** What createSession is told. */
export interface SessionOptions {
  /** The address of the GraphQL endpoint, such as `https://auth.example.com/graphql`, or `/graphql`. */
  readonly url: string | URL;
  /**
   * How the tokens come: docs/http.md, "Delivery". REFRESH_COOKIE where nothing is said: scripts cannot read what keeps a
   * person signed in. COOKIES: they can read nothing. BODY: for programs that have a safe place for `storage`.
   */
  readonly delivery?: TokenDelivery | undefined;
  /**
   * With BODY: where the refresh token is kept. All tabs must share it, so never sessionStorage: what a duplicated tab
   * copies looks like a stolen token. Absent: in memory, for as long as the page lives and for this tab only.
   */
  readonly storage?: TokenStorage | undefined;
  /** What the list of devices calls this one. */
  readonly deviceName?: string | undefined;
  /**
   * For how long an operation waits for a server in trouble before it fails, in milliseconds. 30,000 where nothing is said. One
   * that was sent and is not answered at all waits for as long as `fetch` does: give it a signal.
   */
  readonly patience?: number | undefined;
  /** What to fetch with. Absent: the global fetch. */
  readonly fetch?: typeof fetch | undefined;
}

/** Who is signed in, as of the last sign-in or refresh. */
export interface SessionUser {
  readonly id: string;
  readonly email: string;
  readonly name: string | null;
  readonly role: Role;
}

/**
 * Who is signed in. The object changes only when what it says does: a refresh that goes well changes nothing.
 * `trouble` is why the server cannot be asked at present, and null while it can. It signs nobody out. One answer that was
 * lost is no trouble yet: it is asked for again first.
 */
export type SessionState =
  /** Not known yet: a page was opened, and the server is being asked. */
  | { readonly status: 'resuming'; readonly trouble: SessionError | null }
  | {
      readonly status: 'signedIn';
      readonly user: SessionUser;
      readonly sessionId: string;
      readonly trouble: SessionError | null;
    }
  /** `endReason`: why the session that there was is over. Null where there was none, or none that the server knows. */
  | { readonly status: 'signedOut'; readonly endReason: SessionEndReason | null; readonly trouble: SessionError | null };

/** What a person gives to open an account. */
export interface SignUp {
  readonly email: string;
  readonly password: string;
  readonly name?: string | null;
}

/** What a person gives to sign in. */
export interface LogIn {
  readonly email: string;
  readonly password: string;
}

/** What became of a sign-up or a login: docs/errors.md says what to do about each code. */
export type SignInResult =
  | { readonly __typename: 'AuthSuccess'; readonly user: SessionUser; readonly sessionId: string }
  | {
      readonly __typename: 'AuthFailure';
      readonly code: AuthFailureCode;
      /** One English sentence, which may be shown. */
      readonly message: string;
      /** With TOO_MANY_ATTEMPTS: when the next attempt is let in, by this device's clock. */
      readonly retryAt: Date | null;
    };

/** What a request needs to be that of who is signed in. */
export interface Authorization {
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials?: RequestCredentials;
}

/** How an adapter has an operation run: see Session.authorized. */
export interface Attempt<Answer> {
  /** Runs the operation, once. It throws a SessionError where the server did not answer. */
  run(authorization: Authorization): Promise<Answer>;
  /** What hindered it, if anything. */
  hindrance(answer: Answer): Hindrance | null;
  /** Whether it may be run again although it may have had its effect, as queries may. */
  readonly repeatable: boolean;
  /** Ends the waiting, with its reason. */
  readonly signal?: AbortSignal | null | undefined;
}

/**
 * A person's session, shared by all tabs. Everything may be called at any time, by several callers at once, and without its
 * `this`.
 */
export interface Session {
  /** The address of the GraphQL endpoint, in full where there is a page to tell. */
  readonly url: string;
  readonly state: SessionState;
  /** Calls a function whenever `state` changes, until the function that it returns is called. */
  subscribe(listener: () => void): () => void;
  /**
   * Opens an account and signs in, in all tabs.
   * Throws a SessionError: BAD_USER_INPUT where the address cannot be one, UNAVAILABLE when the patience is over.
   */
  signUp(input: SignUp): Promise<SignInResult>;
  /** Signs in, in all tabs. Throws as signUp does. */
  logIn(input: LogIn): Promise<SignInResult>;
  /**
   * Ends the session at the server, and in all tabs. Throws a SessionError where the server cannot be told: then the
   * session lives, and so it does here.
   */
  signOut(): Promise<void>;
  /**
   * Gets the next access token, once however many ask in however many tabs, and says whether anybody is signed in.
   * Calling it is never needed: operations refresh ahead of time by themselves.
   * Throws a SessionError where the server cannot be asked within the patience; the session lives on.
   */
  refresh(): Promise<boolean>;
  /**
   * Returns an access token that is good now, for requests to services that take it. It refreshes before, if it must. Null
   * while nobody is signed in, and with the delivery COOKIES. Throws as refresh does.
   */
  accessToken(): Promise<string | null>;
  /**
   * Fetches as who is signed in, for GraphQL clients that take a `fetch`. Where the access token has expired it refreshes and sends the
   * request again; a query that meets a server in trouble is sent again until the patience is over. Requests to
   * other origins than that of `url` are left as they are.
   */
  readonly fetch: typeof fetch;
  /**
   * Runs an operation as who is signed in, as `fetch` does, for adapters to clients that do not take one.
   * Its answer is returned even if it was hindered; what `run` threw last is thrown. Where somebody else
   * has signed in since it was called, a SessionError with the code SIGNED_IN_AS_ANOTHER is thrown.
   */
  authorized<Answer>(attempt: Attempt<Answer>): Promise<Answer>;
  /** Stops listening and refreshing. The session lives on, at the server and in other tabs. */
  close(): void;
}

/**
 * createSession returns the session of this page, and begins to find out who is signed in; without a page it begins
 * with the first use. Call it once in a page; in a server, once for each person. It throws a TypeError for options that cannot be.
 */
export function createSession(options: SessionOptions): Session {
  return new TabSession(options);
}
