import type { SessionEndReason } from '@latchkey/client';
import { useState } from 'react';
import { Brand } from '../ui/Brand';
import { endInWords } from '../words';
import { SignIn } from './SignIn';
import { SignUp } from './SignUp';

interface SignedOutProps {
  address: string;
  endReason: SessionEndReason | null;
}

/** Signing in or up. The address of another screen stays, so that it is shown once somebody is signed in. */
export function SignedOut({ address, endReason }: SignedOutProps) {
  const [email, setEmail] = useState('');
  return (
    <div className="signed-out">
      <header>
        <Brand />
      </header>
      <main>
        {address === '#/sign-up' ? (
          <SignUp email={email} onEmail={setEmail} />
        ) : (
          <>
            {endReason && <EndNotice reason={endReason} />}
            <SignIn email={email} onEmail={setEmail} />
          </>
        )}
      </main>
    </div>
  );
}

function EndNotice({ reason }: { reason: SessionEndReason }) {
  return reason === 'SIGNED_OUT' ? (
    <p className="notice" role="status">
      {endInWords[reason]}
    </p>
  ) : (
    <p className="notice notice-warning" role="alert">
      {endInWords[reason]}
    </p>
  );
}
