import type { SessionUser } from '@latchkey/client';
import { useSession } from '@latchkey/client/react';
import { useEffect, useState } from 'react';
import { Provider, useQuery } from 'urql';
import { useAction } from './action.js';
import { DeviceFragment, Devices } from './devices.js';
import { graphql } from './graphql.js';
import { Password } from './password.js';
import { newClient } from './session.js';
import { troubleOf } from './words.js';

const AccountQuery = graphql(
  `
    query Account {
      me {
        id
        sessions {
          id
          ...Device
        }
      }
    }
  `,
  [DeviceFragment],
);

/** The account of who is signed in, with a client of its own: what it has in its cache is shown to nobody else. */
export function Account({ user }: { readonly user: SessionUser }) {
  const [client] = useState(newClient);
  return (
    <Provider value={client}>
      <Overview user={user} />
    </Provider>
  );
}

function Overview({ user }: { readonly user: SessionUser }) {
  const { signOut } = useSession();
  const leave = useAction<void>(async () => {
    await signOut();
    return null;
  });
  const { account, error, ask } = useAccount();
  return (
    <div className="account">
      <section className="who" aria-labelledby="who">
        <div>
          <h1 id="who">Your account</h1>
          <p>
            Signed in as <strong>{user.email}</strong>
          </p>
        </div>
        <button onClick={() => leave.run()} aria-busy={leave.busy}>
          Sign out
        </button>
      </section>
      {leave.fault && <p role="alert">{leave.fault.text}</p>}
      {error && (
        <p role="alert">
          {troubleOf(error)} <button onClick={ask}>Try again</button>
        </p>
      )}
      {account ? (
        <div className="cards">
          <Devices devices={account.sessions} />
          <Password email={user.email} />
        </div>
      ) : (
        !error && <p className="late">One moment…</p>
      )}
    </div>
  );
}

// useAccount asks again when somebody comes back to the page, and when the server is back. What is known stays on the page
// until there is an answer.
function useAccount() {
  const [{ data, error }, ask] = useQuery({ query: AccountQuery });
  const { state } = useSession();
  const [account, setAccount] = useState(data?.me);
  if (data?.me && data.me !== account) {
    setAccount(data.me);
  }
  useEffect(() => {
    const lookedAt = () => document.visibilityState === 'visible' && ask();
    document.addEventListener('visibilitychange', lookedAt);
    return () => document.removeEventListener('visibilitychange', lookedAt);
  }, [ask]);
  const trouble = state.trouble !== null;
  useEffect(() => {
    if (!trouble) {
      ask();
    }
  }, [trouble, ask]);
  return { account, error, ask: () => ask() };
}
