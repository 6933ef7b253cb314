import type { ApolloClient, ObservableQuery } from '@apollo/client';
import { CombinedGraphQLErrors, ServerError, ServerParseError } from '@apollo/client/errors';
import { ApolloLink } from '@apollo/client/link';
import { OperationTypeNode } from 'graphql';
import { firstValueFrom, Observable, ReplaySubject, Subject, Subscription } from 'rxjs';
import { cutOff, errorIn, errorOfStatus, hindranceIn, SessionError, unreachable, type Hindrance } from './errors.js';
import type { Session } from './session.js';

/**
 * sessionLink returns a link, to be put before the HttpLink, that runs operations as who is signed in, as Session.authorized
 * does: a query or mutation whose access token was refused is run again with the next one, and a query that meets
 * a server in trouble is run again until the patience is over. What comes of the last run is handed on as it came,
 * errors included. Where it could not be run at all, since no token could be had, the error is a SessionError.
 * Subscriptions are run once, with an access token that was good when they began.
 * Headers and credentials of an operation's context stay, but for `Authorization`. Whatever is behind the link gets the token:
 * put no link to another server there.
 */
export function sessionLink(session: Session): ApolloLink {
  return new ApolloLink(
    (operation, forward) =>
      new Observable<ApolloLink.Result>((observer) => {
        const { headers: own, credentials: ownCredentials } = operation.getContext();
        const isSubscription = operation.operationType === OperationTypeNode.SUBSCRIPTION;
        const unsubscribed = new AbortController();
        let attempt = Subscription.EMPTY;
        let answered: Subject<ApolloLink.Result> | undefined;

        const handedOn = session
          .authorized<Answers>({
            repeatable: operation.operationType === OperationTypeNode.QUERY,
            signal: unsubscribed.signal,
            async run({ headers, credentials = ownCredentials }) {
              operation.setContext({ headers: { ...own, ...headers }, credentials });
              // An answer may come in parts. They are kept until it is known that this one is handed on, but those of a
              // subscription have no end.
              const answers = isSubscription ? new Subject<ApolloLink.Result>() : new ReplaySubject<ApolloLink.Result>();
              if (isSubscription) {
                answers.subscribe(observer);
              }
              const first = firstValueFrom(answers, { defaultValue: null });
              refusedIn(session).delete(handedOn);
              answered = answers;
              attempt.unsubscribe();
              attempt = forward(operation).subscribe(answers);
              return { answers, hindered: isSubscription ? await first.then(() => null) : await hindranceOf(first) };
            },
            hindrance({ hindered }) {
              if (hindered && 'unauthenticated' in hindered) {
                refusedIn(session).add(handedOn);
              }
              return hindered;
            },
          })
          .then(
            ({ answers }) => void (isSubscription || answers.subscribe(observer)),
            (error: unknown) => observer.error(error),
          )
          .finally(() => refusedIn(session).delete(handedOn));

        return () => {
          unsubscribed.abort();
          attempt.unsubscribe();
          answered?.error(unsubscribed.signal.reason); // or it would be waited for for ever
        };
      }),
  );
}

interface Answers {
  readonly answers: Observable<ApolloLink.Result>;
  readonly hindered: Hindrance | null;
}

async function hindranceOf(first: Promise<ApolloLink.Result | null>): Promise<Hindrance | null> {
  try {
    return hindranceIn((await first)?.errors);
  } catch (error) {
    const trouble = troubleIn(error);
    if (!trouble) {
      throw error;
    }
    return { trouble };
  }
}

/**
 * sessionErrorOf returns what an error of Apollo Client says of the server: the code of docs/errors.md, when to ask again,
 * and what the server's log knows the request by. Null: it is about something else.
 */
export function sessionErrorOf(error: unknown): SessionError | null {
  if (error instanceof SessionError) {
    return error;
  }
  return CombinedGraphQLErrors.is(error) ? errorIn(error.errors) : troubleIn(error);
}

// troubleIn returns what an error of an HttpLink says about the server, or null where it says nothing.
function troubleIn(error: unknown): SessionError | null {
  if (ServerError.is(error)) {
    return errorOfStatus(error.response);
  }
  // A page that is not JSON at all is that of another server, and stays so: waiting does not help.
  const isCut = ServerParseError.is(error) && /\bjson\b/i.test(error.response.headers.get('Content-Type') ?? '');
  // What fetch throws where there is no answer. By its name, for one of another realm.
  const isUnreachable = error instanceof Error && error.name === 'TypeError';
  if (!isCut && !isUnreachable) {
    return null;
  }
  const says = isCut ? "The server's answer was cut." : 'The server cannot be reached.';
  return new SessionError('UNAVAILABLE', says, null, null, { cause: error });
}

/**
 * clearStoreOnUserChange clears a client's store whenever somebody else is signed in than before, or nobody any more, until
 * the function that it returns is called. A refresh is no such change, nor is that a page finds out who is signed in.
 *
 * At sign-out the queries that are shown lose their data and are not asked again: nobody could answer them. When the
 * next person signs in, those that are shown then are asked anew. Call it before anything is rendered.
 */
export function clearStoreOnUserChange(client: ApolloClient, session: Session): () => void {
  let who = userIn(session);
  return session.subscribe(() => {
    const before = who;
    who = userIn(session);
    if (before === undefined || before === who) {
      return;
    }
    if (who !== null) {
      client.resetStore().catch(() => {}); // each query has its own error
      return;
    }
    // The store cancels what is under way with an error of its own. Those by which it came out that the session is over say
    // so first.
    const refused = refusedIn(session);
    if (refused.size === 0) {
      client.clearStore().catch(report);
      return;
    }
    const shown = client.getObservableQueries();
    Promise.all(refused)
      .then(() => (who === null ? clear(client, shown) : undefined))
      .catch(report);
  });
}

// clear asks those queries again that nobody's page has begun meanwhile.
async function clear(client: ApolloClient, shown: ReadonlySet<ObservableQuery<unknown>>): Promise<void> {
  await client.clearStore();
  for (const query of client.getObservableQueries()) {
    if (!shown.has(query)) {
      query.refetch().catch(() => {}); // the query has its error
    }
  }
}

// What an app's own onClearStore throws is the app's.
const report = (error: unknown): void => console.error(error);

// The id of who is signed in, null for nobody, undefined while it is not known.
function userIn({ state }: Session): string | null | undefined {
  switch (state.status) {
    case 'resuming':
      return undefined;
    case 'signedIn':
      return state.user.id;
    case 'signedOut':
      return null;
  }
}

// Operations whose token was refused, until their answer is handed on.
const refusals = new WeakMap<Session, Set<Promise<void>>>();

function refusedIn(session: Session): Set<Promise<void>> {
  let refused = refusals.get(session);
  if (!refused) {
    refusals.set(session, (refused = new Set()));
  }
  return refused;
}
