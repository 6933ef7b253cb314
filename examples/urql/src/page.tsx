import { useSession } from '@latchkey/client/react';
import { useEffect, useRef, type ReactNode } from 'react';
import { Account } from './account.js';
import { SignIn } from './sign-in.js';

/** The page: a form, or the account of who is signed in. */
export function Page() {
  const { state } = useSession();
  const { trouble } = state;
  const main = useFocusAfterChange(state.status);
  return (
    <>
      <header>Latchkey with urql</header>
      <main ref={main} tabIndex={-1}>
        {trouble && !trouble.temporary && <p role="alert">{trouble.message}</p>}
        {contentOf(state)}
      </main>
      {/* It is there from the start, so that screen readers hear it change, and above the page, so that nothing moves. */}
      <p className="reconnecting" role="status">
        {trouble?.temporary && 'Reconnecting…'}
      </p>
    </>
  );
}

function contentOf(state: ReturnType<typeof useSession>['state']): ReactNode {
  switch (state.status) {
    case 'resuming':
      return <h1 className="late">{state.trouble?.temporary === false ? 'Signing in does not work' : 'One moment…'}</h1>;
    case 'signedOut':
      return <SignIn endReason={state.endReason} />;
    case 'signedIn':
      // The key makes all of it new with each session, and with it the client and its cache: see Account.
      return <Account key={state.sessionId} user={state.user} />;
    default:
      return state satisfies never;
  }
}

// What was focused is gone after a sign-in or a sign-out: the keyboard goes on at the top of what came instead.
function useFocusAfterChange(status: string) {
  const main = useRef<HTMLElement>(null);
  const before = useRef(status);
  useEffect(() => {
    if (before.current !== status && before.current !== 'resuming') {
      main.current?.focus();
    }
    before.current = status;
  }, [status]);
  return main;
}
