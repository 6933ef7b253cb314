import { useSession } from '@latchkey/client/react';
import { useAddress, useFocusOnHeading } from './address';
import { Resuming } from './screens/Resuming';
import { SignedIn } from './screens/SignedIn';
import { SignedOut } from './screens/SignedOut';
import { Reconnecting } from './ui/Reconnecting';

export function App() {
  const { state } = useSession();
  const address = useAddress();
  useFocusOnHeading(state.status === 'resuming' ? null : `${state.status} ${address}`);
  return (
    <>
      {state.status === 'resuming' && <Resuming />}
      {state.status === 'signedOut' && <SignedOut address={address} endReason={state.endReason} />}
      {/* Another session is another person's, or begins anew: nothing that was typed or asked stays. */}
      {state.status === 'signedIn' && <SignedIn key={state.sessionId} address={address} user={state.user} />}
      <Reconnecting trouble={state.trouble} />
    </>
  );
}
