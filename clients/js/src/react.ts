'use client';

import { createContext, createElement, useContext, useMemo, useSyncExternalStore } from 'react';
import type { ReactElement, ReactNode } from 'react';
import type { Session, SessionState } from './session.js';

const SessionContext = createContext<Session | null>(null);

// A server renders for whoever it is, and so does the browser until it has taken over what the server rendered.
const notKnownYet: SessionState = { status: 'resuming', trouble: null };

/** SessionProvider gives the components in it a session, for useSession. It does not close it. */
export function SessionProvider(props: { readonly session: Session; readonly children?: ReactNode }): ReactElement {
  const { session, children } = props;
  return createElement(SessionContext.Provider, { value: session }, children);
}

/** What components need of a session. */
export type UsedSession = Pick<Session, 'state' | 'signUp' | 'logIn' | 'signOut' | 'refresh' | 'accessToken'>;

/**
 * useSession returns who is signed in, and what can be done about it. The component is rendered again when `state` changes,
 * and only then; the functions are the same for as long as the session is. Where a server renders, and while a browser
 * takes that over, `state` is 'resuming'. It throws an Error outside of a SessionProvider.
 */
export function useSession(): UsedSession {
  const session = useContext(SessionContext);
  if (!session) {
    throw new Error('useSession: there is no <SessionProvider session={…}> around this component');
  }
  const state = useSyncExternalStore(
    session.subscribe,
    () => session.state,
    () => notKnownYet,
  );
  return useMemo(() => {
    const { signUp, logIn, signOut, refresh, accessToken } = session;
    return { state, signUp, logIn, signOut, refresh, accessToken };
  }, [session, state]);
}
